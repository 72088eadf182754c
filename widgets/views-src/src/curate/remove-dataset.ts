// Removing a dataset that was never published.

import { HostError } from "../host/host";
import { confirm } from "../parts/dialog";
import { countWords } from "../parts/words";
import { ask, attempt, type Context, type Dataset, isCode, type List, type Version } from "./things";

/** Remove it, if the reader is sure; says whether it is gone. */
export async function askToRemove(context: Context, dataset: Dataset): Promise<boolean> {
  if (await stays(context, dataset)) return false;
  const words = `Its ${countWords(dataset.records, "record")}, files and edits are deleted. This cannot be undone.`;
  if (!(await confirm(context.root, `Remove ${dataset.name}?`, words, "Remove it"))) return false;
  return attempt(context, async () => {
    try {
      await ask(context, "datasets.remove", { dataset: dataset.id });
    } catch (error) {
      if (!isCode(error, "not_found")) throw error; // gone already: an answer was lost
    }
  });
}

/** Whether it was published, so that it cannot be removed; that is said instead. */
async function stays(context: Context, { id: dataset, name }: Dataset): Promise<boolean> {
  let published = true; // as long as nobody knows
  await attempt(context, async () => {
    published = (await ask<List<Version>>(context, "versions.list", { dataset, limit: 1 })).items.length > 0;
    if (published) throw new HostError("conflict", `The dataset ${name} was published, so it stays.`, "To empty its draft, remove its files; what was published stays.");
  });
  return published;
}
