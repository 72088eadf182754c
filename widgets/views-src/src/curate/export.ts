// A version as a file in another format.

import { FormDialog } from "../parts/dialog";
import { control, element } from "../parts/elements";
import { bytesWords } from "../parts/words";
import { options } from "./records";
import { type Context, FORMATS, type Version } from "./things";

const CONTAINERS: Readonly<Record<string, string>> = { jsonl: "JSON Lines", json: "JSON", csv: "CSV", tsv: "TSV", parquet: "Parquet", arrow: "Arrow" };

export function askToExport(context: Context, version: Version): Promise<boolean> {
  const format = control("select");
  const container = control("select");
  options(format, FORMATS);
  options(container, CONTAINERS);
  const progress = element("p", { class: "soft", role: "status" });
  const end = new AbortController();
  const dialog = new FormDialog({
    title: `Export ${version.name}`,
    content: [element("label", {}, "Format", format), element("label", {}, "As", container), element("p", { class: "soft" }, "A format that cannot hold all of a record leaves something out; the file says what."), progress],
    action: "Download",
    signal: context.signal,
    act: async () => {
      progress.textContent = "Preparing …";
      const args = { version: version.id, format: format.value, container: container.value };
      await fetched(context, "versions.export", args, end.signal, (words) => (progress.textContent = words));
      context.notices.clear();
    },
  });
  dialog.element.addEventListener("close", () => end.abort());
  return dialog.open(context.root);
}

/** Fetch a file and say how far it is. */
export async function fetched(context: Context, verb: string, args: Record<string, string>, signal: AbortSignal, tell: (words: string) => void): Promise<void> {
  for await (const event of context.host.stream(verb, args, AbortSignal.any([signal, context.signal]))) {
    const { received, total } = event as { received?: number; total?: number | null };
    if (received !== undefined) tell(total ? `${bytesWords(received)} of ${bytesWords(total)}` : bytesWords(received));
  }
}
