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

/** What to show of an error: sentences, and of an unexpected one nothing. */
export function wordsOf(error: unknown): string {
  if (!(error instanceof HostError)) return "Something went wrong in this view.";
  return [error.message, error.hint ?? ""].filter(Boolean).map(sentence).join(" ");
}

function sentence(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1) + (/[.!?…]$/.test(words) ? "" : ".");
}

/** Whoever is silent for too long has failed: both ways of asking throw a HostError then. */
export interface Host {
  /** Ask for one answer. Rejects with a HostError. */
  call(verb: string, args?: Json): Promise<Json>;
  /** Ask for a stream of events; aborting the signal ends it at its source. Throws a HostError. */
  stream(verb: string, args: Json, signal: AbortSignal): AsyncIterable<Json>;
}

/** Show a view in `el`; the result removes it and ends what it started. */
export type Mount = (el: HTMLElement, host: Host) => () => void;
