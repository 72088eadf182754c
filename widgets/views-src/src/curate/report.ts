// What a version holds, as its report says it.

import { copyButton } from "../parts/copy";
import { element } from "../parts/elements";
import { momentWords } from "../parts/words";
import { KINDS } from "./record";
import type { Version } from "./things";

/** Characters of a digest that tell one from another at a glance. */
const SHORT = 12;

export function digestOf(digest: string | null): HTMLElement {
  if (!digest) return element("span", { class: "soft" }, "–");
  const hex = digest.replace(/^sha256:/, "");
  return element("span", { class: "digest" }, element("code", { title: digest }, `${hex.slice(0, SHORT)}…`), copyButton("Copy", "Copy the whole digest", () => digest));
}

/** The lines of a report: a title and words. What a report does not say is left out. */
export function linesOf(version: Version): [string, string][] {
  const report = (version.report ?? {}) as Record<string, unknown>;
  const lines: [string, string][] = [
    ["Records", version.records.toLocaleString()],
    ["Duplicates dropped", version.duplicates_dropped.toLocaleString()],
  ];
  const kinds = Object.entries((report.kinds ?? {}) as Record<string, number>);
  if (kinds.length > 0) lines.push(["Kinds", kinds.map(([kind, count]) => `${(KINDS as Record<string, string>)[kind] ?? kind} ${count.toLocaleString()}`).join(", ")]);
  const files = filesOf(report.files);
  if (files) lines.push(["Files", files]);
  const characters = charactersOf(report.characters);
  if (characters) lines.push(["Characters", characters]);
  return lines;
}

export function reportOf(version: Version): HTMLElement {
  const made = element("dl", { class: "report" });
  for (const [title, words] of linesOf(version)) made.append(pair(title, words));
  made.append(pair("Content digest", digestOf(version.content_digest)), pair("Published", momentWords(version.created_at)));
  return made;
}

function pair(title: string, words: Node | string): HTMLElement {
  return element("div", {}, element("dt", {}, title), element("dd", {}, words));
}

function filesOf(files: unknown): string | null {
  if (typeof files === "number") return files.toLocaleString();
  if (!Array.isArray(files)) return null;
  return files.map((file: unknown) => (typeof file === "string" ? file : describe(file as Record<string, unknown>))).join(", ") || null;
}

function describe({ name, records }: Record<string, unknown>): string {
  const count = typeof records === "number" ? ` (${records.toLocaleString()})` : "";
  return `${typeof name === "string" ? name : "added by hand"}${count}`;
}

function charactersOf(characters: unknown): string | null {
  if (typeof characters === "number") return characters.toLocaleString();
  const parts = Object.entries((characters ?? {}) as Record<string, unknown>).filter(([, value]) => typeof value === "number");
  return parts.map(([name, value]) => `${name} ${Math.round(value as number).toLocaleString()}`).join(", ") || null;
}
