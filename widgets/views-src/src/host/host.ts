// The contract between a view and the place that shows it. A view knows nothing else of the world.

/** A value that can travel between a view and its host. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** What a verb takes. A file to upload is the one thing in it that is not JSON. */
export type Args = { [name: string]: Json | Blob };

/** One thing wrong with what was asked: where, why, and what mends it. */
export interface FieldProblem {
  where: string;
  reason: string;
  remedy: string;
}

/** What went wrong, in words for the reader. Never holds a prompt, an answer or a record. */
export class HostError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly hint: string | null = null,
    readonly fields: readonly FieldProblem[] = [],
  ) {
    super(message);
    this.name = "HostError";
  }

  /** Each module has a copy of this class, and a host may come from another one: the name decides. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return value instanceof Error && value.name === "HostError";
  }
}

/** Nobody answered, or somebody who will be back: asking again may help. */
const PASSING = new Set(["network", "timeout", "unavailable", "engine_busy", "no_agent"]);

export function isPassing(error: unknown): error is HostError {
  return error instanceof HostError && PASSING.has(error.code);
}

/** What was asked for is gone, or the reader's right to see it. */
export function isMissing(error: unknown): error is HostError {
  return error instanceof HostError && error.code === "not_found";
}

/** What to show of an error: sentences, and of an unexpected one nothing. */
export function wordsOf(error: unknown): string {
  if (!(error instanceof HostError)) return "Something went wrong in this view.";
  return [error.message, error.hint ?? ""].filter(Boolean).map(sentence).join(" ");
}

export function sentence(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1) + (/[.!?…]$/.test(words) ? "" : ".");
}

/** Without a word for this long, an exchange has failed. The service says something every 15 s. */
export const SILENCE_MS = { call: 30_000, stream: 90_000 };

/**
 * Whoever is silent for too long has failed: both ways of asking throw a HostError then.
 *
 * The verbs are those of `core/adaptery/views/verbs.json`, which every host answers alike, and those
 * of the shell around the view (see shell.ts): `view.start`, `view.here` and `view.open`.
 */
export interface Host {
  /** Ask for one answer. Rejects with a HostError. */
  call(verb: string, args?: Args): Promise<Json>;
  /** Ask for a stream of events; aborting the signal ends it at its source. Throws a HostError. */
  stream(verb: string, args: Args, signal: AbortSignal): AsyncIterable<Json>;
}

/** Show a view in `el`; the result removes it and ends what it started. */
export type Mount = (el: HTMLElement, host: Host) => () => void;
