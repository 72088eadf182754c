// The contract between a view and the place that shows it. A view knows nothing else of the world.

/** A value that can travel between a view and its host. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** What went wrong, in words for the reader. Never holds a prompt or an answer. */
export class HostError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly hint: string | null = null,
  ) {
    super(message);
    this.name = "HostError";
  }
}

export interface Host {
  /** Ask for one answer. Rejects with a HostError. */
  call(verb: string, args?: Json): Promise<Json>;
  /** Ask for a stream of events; aborting the signal ends it at its source. Throws a HostError. */
  stream(verb: string, args: Json, signal: AbortSignal): AsyncIterable<Json>;
}

/** Show a view in `el`; the result removes it and ends what it started. */
export type Mount = (el: HTMLElement, host: Host) => () => void;
