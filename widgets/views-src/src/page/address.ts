// What the service's page shows, as the part of its address after "#": `#watch?job=jb_…`. So a reload
// comes back to it, and back and forward work. Only ids and names get in, whatever a view says.

import type { Json } from "../host/host";
import type { ViewName } from "../host/shell";

export interface Address {
  view: ViewName;
  start: Record<string, string>;
}

const NAME = /^[^\p{C}]{1,300}$/u;
const id = (prefix: string): RegExp => new RegExp(`^${prefix}_[0-9a-z]{26}$`);
const JOB = "jb_[0-9a-z]{26}";

/** The views, and what each may be opened with. */
const VIEWS: Record<ViewName, Record<string, RegExp>> = {
  panel: {},
  curate: {
    dataset: id("ds"),
    new: /^true$/,
    tab: /^(records|files|review|splits|versions)$/,
    queue: /^(exact|near|phrases|pii|quality|language|lengths)$/,
    version: id("dv"),
    operation: id("op"),
  },
  train: { version: id("dv"), job: id("jb") },
  jobs: { search: NAME, compare: new RegExp(`^${JOB}(,${JOB}){0,5}$`) },
  watch: { job: id("jb") },
  chat: { model: NAME },
  keys: { adapter: NAME },
};

/** What an address names; null if it is none of ours, or names something as nothing is named. No address at all is the overview. */
export function addressOf(hash: string): Address | null {
  const [name = "", query = ""] = split(hash.replace(/^#/, ""));
  const view = (name || "panel") as ViewName;
  if (!Object.hasOwn(VIEWS, view)) return null;
  const said = Object.fromEntries(new URLSearchParams(query));
  const start = kept(view, said);
  return Object.keys(VIEWS[view]).some((one) => Object.hasOwn(said, one) && !Object.hasOwn(start, one)) ? null : { view, start };
}

/** The address of a view and what it shows. */
export function hashOf(view: ViewName, start: Json): string {
  const values = typeof start === "object" && start !== null && !Array.isArray(start) ? start : {};
  const query = Object.entries(kept(view, values)).map(([name, value]) => `${name}=${readable(value)}`);
  return `#${view}${query.length > 0 ? `?${query.join("&")}` : ""}`;
}

function kept(view: ViewName, values: { [name: string]: Json }): Record<string, string> {
  const allowed = Object.entries(VIEWS[view]);
  return Object.fromEntries(
    allowed.flatMap(([name, pattern]) => {
      const value = Object.hasOwn(values, name) ? values[name] : null;
      const text = typeof value === "boolean" ? String(value) : value;
      return typeof text === "string" && pattern.test(text) ? [[name, text]] : [];
    }),
  );
}

/** Names of ours, such as @demo/soap@3, and lists of ids stay as they are. */
function readable(value: string): string {
  return encodeURIComponent(value).replace(/%40/g, "@").replace(/%2F/g, "/").replace(/%2C/g, ",");
}

function split(text: string): [string, string] {
  const at = text.indexOf("?");
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}
