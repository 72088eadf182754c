// A version as a file in another format.

import { FormDialog } from "../parts/dialog";
import { fetched } from "../parts/download";
import { control, element } from "../parts/elements";
import { countWords } from "../parts/words";
import { SPLITS } from "./filters";
import { options } from "./records";
import { type Context, FORMATS, type Version } from "./things";

const CONTAINERS: Readonly<Record<string, string>> = { jsonl: "JSON Lines", json: "JSON", csv: "CSV", tsv: "TSV", parquet: "Parquet", arrow: "Arrow", txt: "Text", folder: "Folder for datasets.load_dataset, as .zip" };

/** See ExportReport in adaptery/schemas/exports.py. */
interface ExportReport {
  records: number;
  dropped: Record<string, number>;
  escaped_cells: number;
  refused: number;
  /** Records of each split; `unsplit`: in none. */
  splits?: Record<string, number>;
  /** Whether one file holds several splits, and does not tell which record is of which. */
  together?: boolean;
}

const ALL = "";

/** Ask which, and fetch it; says what came of it, or nothing if the reader thought better of it. */
export async function askToExport(context: Context, version: Version): Promise<string> {
  let said = "";
  const format = control("select");
  const container = control("select");
  options(format, FORMATS);
  options(container, CONTAINERS);
  const split = control("select");
  const splits = version.report?.splits ?? null;
  const loose = splits ? version.records - Object.values(splits).reduce((sum, count) => sum + count, 0) : 0;
  options(split, { [ALL]: "All", ...Object.fromEntries(Object.keys(splits ?? {}).map((name) => [name, SPLITS[name] ?? name])), ...(loose > 0 ? { none: SPLITS.none ?? "In no split" } : {}) });
  const progress = element("p", { class: "soft", role: "status" });
  const end = new AbortController();
  const dialog = new FormDialog({
    title: `Export ${version.name}`,
    content: [element("label", {}, "Format", format), element("label", {}, "As", container), ...(splits ? [element("label", {}, "Split", split), element("p", { class: "soft" }, "A folder has a file for each split. Any other file holds them together, unless you choose one.")] : []), element("p", { class: "soft" }, "A format that cannot hold all of a record leaves something out; you hear what."), progress],
    action: "Download",
    signal: context.signal,
    act: async () => {
      progress.textContent = "Preparing …";
      const args = { version: version.id, format: format.value, container: container.value, ...(split.value === ALL ? {} : { split: split.value }) };
      const { name, report } = await fetched(context, "versions.export", args, end.signal, (words) => (progress.textContent = words));
      said = [`Downloaded ${name}.`, ...(report ? reportWords(report as ExportReport) : [])].join(" ");
    },
  });
  dialog.element.addEventListener("close", () => end.abort());
  return (await dialog.open(context.root)) ? said : "";
}

/** What the file lacks. */
export function reportWords({ records, dropped, escaped_cells: escaped, refused, splits, together }: ExportReport): string[] {
  const lost = Object.entries(dropped).map(([what, count]) => `${what} (${countWords(count, "record")})`);
  const counted = Object.entries(splits ?? {}).map(([name, count]) => `${name} ${count.toLocaleString()}`).join(", ");
  return [
    ...(together ? [`Its splits (${counted}) are together in one file, which does not tell them apart: to keep them apart, choose one split or the folder.`] : []),
    lost.length > 0 ? `Left out: ${lost.join(", ")}.` : `It holds all of its ${countWords(records, "record")}.`,
    ...(refused > 0 ? [`${countWords(refused, "record")} ${refused === 1 ? "does" : "do"} not fit into this format.`] : []),
    ...(escaped > 0 ? [`${countWords(escaped, "cell")} got an apostrophe in front, so that no spreadsheet runs them.`] : []),
  ];
}
