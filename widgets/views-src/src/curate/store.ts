// How well the place of the published files guards them, as its self-test found.

import { control, element } from "../parts/elements";
import { momentWords } from "../parts/words";
import { column } from "./files";

/** See Store in adaptery/schemas/stores.py. */
export interface Store {
  kind: string;
  level: "enforced" | "integrity checked";
  why: string;
  checked_at: string | null;
  checks: { name: string; held: boolean; needed: boolean; found: string }[];
}

const KINDS: Readonly<Record<string, string>> = { filesystem: "the service's own disk", seaweedfs: "SeaweedFS", s3: "an S3 store" };

export function storeOf({ kind, level, why, checked_at: at, checks }: Store): HTMLElement {
  const chip = element("span", { class: `chip ${level === "enforced" ? "open" : ""}` }, level);
  const line = element("span", {}, `Published files lie on ${KINDS[kind] ?? kind}: `, chip, ` ${why}`);
  if (checks.length === 0) return element("p", { class: "soft store" }, line);
  const rows = checks.map(({ name, held, needed, found }) => element("tr", {}, element("th", { scope: "row", class: "name" }, name), element("td", {}, held ? "✓ refused" : needed ? "✗ went through" : "– not refused"), element("td", {}, found)));
  const table = element("table", { "aria-label": "Self-test of the store" }, element("thead", {}, element("tr", {}, column("What was tried"), column("Outcome"), column("What happened"))), element("tbody", {}, ...rows));
  return control("details", { class: "store" }, control("summary", {}, line), element("p", { class: "soft" }, at ? `Tested ${momentWords(at)}.` : "Not tested yet."), table);
}
