// Erasing a dataset for good: its key, its draft, its files and what was published. What stays is said.

import { FormDialog } from "../parts/dialog";
import { control, element } from "../parts/elements";
import { bytesWords, countWords, momentWords } from "../parts/words";
import type { Step } from "../parts/work";
import { column } from "./files";
import type { Context, Dataset, Operation } from "./things";

export const ERASE_STEP: Step = { title: "Erasing", cancelled: "Erasing was stopped; begin it again to finish it." };

/** See Erasure in adaptery/schemas/stores.py. */
export interface Erasure {
  dataset: string;
  key_destroyed: boolean;
  records: number;
  files: number;
  versions: string[];
  objects: number;
  bytes: number;
  remains: { kind: string; name: string; why: string; until: string | null }[];
}

/** Ask for the name, and begin; null if the reader thought better of it. */
export async function askToErase(context: Context, dataset: Dataset): Promise<Operation | null> {
  let begun: Operation | null = null;
  const name = control("input", { type: "text", autocomplete: "off", spellcheck: "false", autocapitalize: "off" });
  const dialog = new FormDialog({
    title: `Erase ${dataset.name} for good?`,
    content: [
      element("p", {}, "It was published, so it cannot just be removed. Erasing destroys its draft, files, versions and key. Adapters that were trained on it stay, and are listed afterwards. Nobody can bring it back."),
      element("label", {}, `Type ${dataset.full_name} to go on`, name),
    ],
    action: "Erase it",
    danger: true,
    signal: context.signal,
    act: async () => {
      begun = (await context.host.call("datasets.erase", { dataset: dataset.id, name: name.value.trim() })) as unknown as Operation;
    },
  });
  dialog.allow(false);
  name.addEventListener("input", () => dialog.allow(name.value.trim() === dataset.full_name));
  return (await dialog.open(context.root)) ? begun : null;
}

/** What was destroyed, and what remains. */
export function erasureOf(erasure: Erasure): HTMLElement {
  const { dataset, key_destroyed: key, records, files, versions, bytes, remains } = erasure;
  const done = [countWords(records, "record"), countWords(files, "file"), countWords(versions.length, "version"), bytesWords(bytes)].join(", ");
  const rows = remains.map(({ kind, name, why, until }) => element("tr", {}, element("td", {}, kind.replace(/_/g, " ")), element("th", { scope: "row", class: "name" }, name), element("td", {}, why, until ? ` Until ${momentWords(until)}.` : "")));
  const table = element("table", { "aria-label": "What remains" }, element("thead", {}, element("tr", {}, column("What"), column("Name"), column("Why, and what can be done"))), element("tbody", {}, ...rows));
  return element(
    "div",
    { class: "notice good-notice", role: "status" },
    element("div", { class: "grow" }, element("strong", {}, `Erased ${dataset}.`), element("p", {}, `Destroyed: ${done}${key ? ", and its key: no backup of its restricted files can be read any more" : ""}.`), ...(remains.length > 0 ? [element("p", {}, "This remains:"), table] : [element("p", {}, "Nothing remains.")])),
  );
}
