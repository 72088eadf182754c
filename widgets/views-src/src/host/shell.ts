// What is around a view: the page, a tab of Lab, the output of a cell. It answers the verbs that are
// about the place and not about the service, and passes all others on.
//
//   view.start  {}              what this view shall show at first, e.g. {"job": "jb_…"}
//   view.here   {title, start}  the view says what it shows now, so that a reload comes back to it
//   view.open   {view, start}   show another view

import type { Args, Host, Json } from "./host";

/** The views by name; each is a module of its own. */
export type ViewName = "panel" | "curate" | "train" | "jobs" | "watch" | "chat" | "keys";

export interface Place {
  start(): Json | Promise<Json>;
  here(title: string, start: Json): void;
  open(view: ViewName, start: Json): void | Promise<void>;
}

export class ShellHost implements Host {
  constructor(
    private readonly inner: Host,
    private readonly place: Place,
  ) {}

  async call(verb: string, args: Args = {}): Promise<Json> {
    if (verb === "view.start") return this.place.start();
    if (verb === "view.here") this.place.here(String(args.title ?? ""), args.start as Json);
    else if (verb === "view.open") await this.place.open(args.view as ViewName, (args.start ?? {}) as Json);
    else return this.inner.call(verb, args);
    return null;
  }

  stream(verb: string, args: Args, signal: AbortSignal): AsyncIterable<Json> {
    return this.inner.stream(verb, args, signal);
  }
}
