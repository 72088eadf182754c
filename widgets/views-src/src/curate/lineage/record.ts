// Where one record went: the versions that hold it, and the jobs and adapters that saw it.

import { element } from "../../parts/elements";
import { countWords } from "../../parts/words";
import { ask, type Context } from "../things";
import { wordsOf } from "../../host/host";
import { actsOf } from "./acts";
import { Graph } from "./graph";
import type { RecordLineage } from "./things";

export function recordLineage(context: Context, record: string): HTMLElement {
  const box = element("div", { class: "record-lineage" }, element("p", { class: "soft", role: "status" }, "Looking …"));
  void load(context, record, box);
  return box;
}

async function load(context: Context, record: string, box: HTMLElement): Promise<void> {
  try {
    const { versions, graph } = await ask<RecordLineage>(context, "records.lineage", { record_id: record });
    if (versions.length === 0) return box.replaceChildren(element("p", { class: "soft", role: "status" }, "No version that you may see holds it as it is now: no adapter has seen it."));
    const adapters = graph.nodes.filter(({ kind }) => kind === "adapter");
    const words = adapters.length === 0 ? "No adapter has seen it yet." : `${countWords(adapters.length, "adapter")} saw it: ${adapters.map(({ name }) => name ?? "one that is not shared with you").join(", ")}.`;
    const places = versions.map(({ name, position, split }) => `${name} (record ${position.toLocaleString()}${split ? `, ${split}` : ""})`);
    box.replaceChildren(element("p", { role: "status" }, words), element("p", { class: "soft" }, `It is in ${places.join(", ")}.`), new Graph(graph, null, actsOf(context)).element);
  } catch (error) {
    if (!context.signal.aborted) box.replaceChildren(element("p", { class: "bad", role: "alert" }, wordsOf(error)));
  }
}
