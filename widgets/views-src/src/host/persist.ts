// Asking again while nobody answers, so that a view outlives a restart or a minute without network.

import { type Args, type Host, isPassing, type Json } from "./host";

/** Pauses before asking again; the last one repeats. */
export const PAUSES_MS: readonly number[] = [500, 1000, 2000, 4000, 5000];

/** Hears what is wrong while something is tried again, and null when it is well. */
export type Trouble = (error: unknown | null) => void;

/** Ask until somebody answers; any error that asking again does not mend is thrown, and the reason of an abort. */
export async function persist<T>(ask: () => Promise<T>, signal: AbortSignal, trouble: Trouble): Promise<T> {
  for (let failures = 0; ; ) {
    signal.throwIfAborted();
    try {
      const answer = await ask();
      if (failures > 0) trouble(null);
      return answer;
    } catch (error) {
      if (!isPassing(error)) throw error;
      trouble(error);
      await pause(PAUSES_MS[Math.min(failures++, PAUSES_MS.length - 1)]!, signal);
    }
  }
}

/**
 * Follow a stream of events until `over` says that it is, opening it again where it broke off.
 * `args` is asked before each opening, so that it can name the last event that is known.
 */
export async function follow(
  host: Host,
  verb: string,
  args: () => Args,
  onEvent: (event: Json) => void,
  over: () => Promise<boolean>,
  signal: AbortSignal,
  trouble: Trouble,
): Promise<void> {
  for (let failures = 0; !signal.aborted; ) {
    try {
      for await (const event of host.stream(verb, args(), signal)) {
        if (failures > 0) trouble(null);
        failures = 0;
        onEvent(event);
      }
      if (signal.aborted || (await over())) {
        if (failures > 0) trouble(null);
        return;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!isPassing(error)) throw error;
      trouble(error);
    }
    await pause(PAUSES_MS[Math.min(failures++, PAUSES_MS.length - 1)]!, signal);
  }
}

/** Look again and again, `everyMs` apart, until the signal; a hidden page is left alone. */
export async function repeat(look: () => Promise<void>, everyMs: number, signal: AbortSignal, trouble: Trouble): Promise<void> {
  while (!signal.aborted) {
    try {
      if (!globalThis.document?.hidden) await persist(look, signal, trouble);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    await pause(everyMs, signal);
  }
}

/** Wait; an abort ends it early. The network coming back does too. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      globalThis.removeEventListener?.("online", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
    globalThis.addEventListener?.("online", done);
  });
}
