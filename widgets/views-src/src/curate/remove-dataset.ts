// Removing a dataset that was never published.

import { confirm } from "../parts/dialog";
import { countWords } from "../parts/words";
import { ask, attempt, type Context, type Dataset, isCode, type List, type Version } from "./things";

/** What came of it: it is gone, it stays, or it can only be erased, since it was published. */
export type Removal = "removed" | "kept" | "published";

/** Remove it, if the reader is sure and it was never published. */
export async function askToRemove(context: Context, dataset: Dataset): Promise<Removal> {
  const published = await isPublished(context, dataset);
  if (published !== false) return published === null ? "kept" : "published";
  const words = `Its ${countWords(dataset.records, "record")}, files and edits are deleted. This cannot be undone.`;
  if (!(await confirm(context.root, `Remove ${dataset.name}?`, words, "Remove it"))) return "kept";
  const gone = await attempt(context, async () => {
    try {
      await ask(context, "datasets.remove", { dataset: dataset.id });
    } catch (error) {
      if (!isCode(error, "not_found")) throw error; // gone already: an answer was lost
    }
  });
  return gone ? "removed" : "kept";
}

/** Whether it was published; null if nobody knows, which is said. */
async function isPublished(context: Context, { id: dataset }: Dataset): Promise<boolean | null> {
  let published: boolean | null = null;
  await attempt(context, async () => {
    published = (await ask<List<Version>>(context, "versions.list", { dataset, limit: 1 })).items.length > 0;
  });
  return published;
}
