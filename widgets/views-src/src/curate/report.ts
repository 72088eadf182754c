// What a version holds, as its report says it.

import { copyButton } from "../parts/copy";
import { element } from "../parts/elements";
import { countWords, digestWords, momentWords } from "../parts/words";
import { type Kind, KINDS } from "./record";
import { languageWords, QUEUES, type Queue } from "./review/things";
import { SPLITS } from "./filters";
import type { Version, VersionReport } from "./things";

export function digestOf(digest: string | null): HTMLElement {
  if (!digest) return element("span", { class: "soft" }, "–");
  return element("span", { class: "digest" }, element("code", { title: digest }, digestWords(digest)), copyButton("Copy", "Copy the whole digest", () => digest));
}

/** The lines of a report: a title and words. */
export function linesOf({ records, duplicates_dropped, report }: Version): [string, string][] {
  const lines: [string, string][] = [
    ["Records", records.toLocaleString()],
    ["Duplicates dropped", duplicates_dropped.toLocaleString()],
  ];
  if (!report) return lines;
  const { kinds, edits, characters } = report;
  lines.push(["Kinds", Object.entries(kinds).map(([kind, count]) => `${KINDS[kind as Kind] ?? kind} ${count.toLocaleString()}`).join(", ")]);
  lines.push(["Files", filesOf(report)]);
  lines.push(["Edits by hand", edits.toLocaleString()]);
  lines.push(["Characters", characters.total.toLocaleString()]);
  lines.push(["Characters of one record", `${characters.min.toLocaleString()} to ${characters.max.toLocaleString()}, median ${characters.median.toLocaleString()}`]);
  lines.push(...foundLines(report));
  return lines;
}

/** What was found and decided before it was published, and what a merge dropped. */
function foundLines({ splits, unsplit, languages, review, decided: standing, dropped }: VersionReport): [string, string][] {
  const counted = (counts: Record<string, number> | null | undefined, words: (name: string) => string): string => Object.entries(counts ?? {}).map(([name, count]) => `${words(name)} ${count.toLocaleString()}`).join(", ");
  const decided = Object.entries(review ?? {}).map(([queue, { open, decided }]) => `${QUEUES[queue as Queue]?.title ?? queue}: ${decided.toLocaleString()} decided${open > 0 ? `, ${open.toLocaleString()} left open` : ""}`);
  const changed = Object.entries(standing ?? {}).filter(([queue]) => !review?.[queue as Queue]);
  decided.push(...changed.map(([queue, count]) => `${QUEUES[queue as Queue]?.title ?? queue}: ${count.toLocaleString()} decided, the draft changed afterwards`));
  const lines: [string, string][] = [
    ["Splits", counted(splits, (name) => SPLITS[name] ?? name)],
    ["In no split", unsplit ? unsplit.toLocaleString() : ""],
    ["Languages", counted(languages, languageWords)],
    ["Review", decided.join("; ")],
    ["Left out by the translation", counted(dropped, (name) => name)],
  ];
  return lines.filter(([, words]) => words !== "");
}

export function reportOf(version: Version): HTMLElement {
  const made = element("dl", { class: "report" });
  for (const [title, words] of linesOf(version)) made.append(pair(title, words));
  if (version.license) made.append(pair("Licence", version.license));
  made.append(pair("Content digest", digestOf(version.content_digest)), pair("Published", momentWords(version.created_at)));
  return made;
}

function pair(title: string, words: Node | string): HTMLElement {
  return element("div", {}, element("dt", {}, title), element("dd", {}, words));
}

function filesOf({ files, files_left_out }: VersionReport): string {
  const words = files.map(({ name, records }) => `${name ?? "added by hand"} (${records.toLocaleString()})`);
  return [...words, ...(files_left_out > 0 ? [`and ${countWords(files_left_out, "more", "more")}`] : [])].join(", ");
}
