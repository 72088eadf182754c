// Taking records of other drafts and versions into this draft.

import { FormDialog } from "../parts/dialog";
import { element } from "../parts/elements";
import { countWords } from "../parts/words";
import type { Step } from "../parts/work";
import { nameOf, type Taken } from "./collated";
import { Sources } from "./sources";
import type { Context, Dataset, Operation } from "./things";

export const COLLATE_STEP: Step = { title: "Taking records", cancelled: "It was cancelled; nothing was taken in." };

/** What came of it; see CollateResult in adaptery/schemas/curation.py. */
interface CollateResult {
  records: number;
  sources: Taken[];
}

/** Ask what to take, and begin; null if the reader thought better of it. */
export async function askToCollate(context: Context, dataset: Dataset): Promise<Operation | null> {
  let begun: Operation | null = null;
  const sources = new Sources(context, { drafts: true, without: dataset.id }, (complete) => dialog.allow(complete));
  const dialog: FormDialog = new FormDialog({
    title: `Take records into ${dataset.name}`,
    content: [element("p", { class: "soft" }, "Records of other datasets are copied into this draft. The weight is the share of a source: 0.5 beside 1 takes half of its records."), sources.element],
    action: "Take them",
    signal: context.signal,
    act: async () => {
      begun = (await context.host.call("datasets.collate", { dataset: dataset.id, sources: sources.args })) as unknown as Operation;
    },
  });
  dialog.allow(false);
  return (await dialog.open(context.root)) ? begun : null;
}

/** What was taken from each source; what a change of kind dropped is listed where the sources are. */
export function collatedWords(result: unknown): string[] {
  const { sources } = result as CollateResult;
  return sources.map((source) => `${nameOf(source)}: ${source.taken.toLocaleString()} of ${countWords(source.available, "record")}.`);
}
