// What the views and their hosts promise, as far as Lab needs to know it. They come from the Jupyter
// server (see server.ts), so that they are always as new as the service that they speak to.
// Source: widgets/views-src/src/host/host.ts and shell.ts.

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
/** What a view is to show at first, and what brings it back after a reload. */
export type Start = { [key: string]: Json };

export interface Host {
  call(verb: string, args?: { [name: string]: Json | Blob }): Promise<Json>;
  stream(verb: string, args: { [name: string]: Json | Blob }, signal: AbortSignal): AsyncIterable<Json>;
}

/** What is around a view. */
export interface Place {
  start(): Json;
  here(title: string, start: Json): void;
  open(view: string, start: Json): void | Promise<void>;
}

/** The module of a view. */
export interface View {
  mount(el: HTMLElement, host: Host): () => void;
}

/** The module `hosts`. */
export interface Hosts {
  HttpHost: new (base: string) => Host;
  ShellHost: new (inner: Host, place: Place) => Host;
  wordsOf(error: unknown): string;
}

/** An error of a host; its fields say what is wrong where. */
export interface HostError extends Error {
  readonly code: string;
  readonly fields: readonly { where: string; reason: string; remedy: string }[];
}

export function isHostError(error: unknown): error is HostError {
  return error instanceof Error && error.name === "HostError";
}
