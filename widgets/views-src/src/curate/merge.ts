// Merging versions into the next one of this dataset: it references their files and adds a recipe.

import { FormDialog } from "../parts/dialog";
import { control, element } from "../parts/elements";
import { KINDS } from "./record";
import { options } from "./records";
import { Sources } from "./sources";
import type { Context, Dataset, Operation } from "./things";

/** Ask what to merge, and begin; null if the reader thought better of it. */
export async function askToMerge(context: Context, dataset: Dataset): Promise<Operation | null> {
  let begun: Operation | null = null;
  const kind = control("select");
  options(kind, { "": "As they are", ...KINDS });
  const description = control("textarea", { rows: "2", maxlength: "4000" });
  const sources = new Sources(context, { drafts: false }, (complete) => dialog.allow(complete));
  const dialog: FormDialog = new FormDialog({
    title: `Merge versions into ${dataset.name}`,
    content: [
      element("p", { class: "soft" }, `The next version of ${dataset.name} refers to the files of these versions, with how much of each. Its sensitivity is the highest of theirs.`),
      sources.element,
      element("label", {}, "Turn all records into kind", kind),
      element("label", {}, "Description (optional)", description),
    ],
    action: "Merge",
    signal: context.signal,
    act: async () => {
      const words = description.value.trim();
      const args = { dataset: dataset.id, sources: sources.args, ...(kind.value ? { kind: kind.value } : {}), ...(words ? { description: words } : {}) };
      begun = (await context.host.call("versions.merge", args)) as unknown as Operation;
    },
  });
  dialog.allow(false);
  return (await dialog.open(context.root)) ? begun : null;
}
