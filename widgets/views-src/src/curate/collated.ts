// What was taken into a draft from other datasets: how much of each, and a way to take it out again.

import { confirm } from "../parts/dialog";
import { button, element } from "../parts/elements";
import { agoWords, countWords, momentWords } from "../parts/words";
import { column } from "./files";
import { ask, attempt, type Context, isCode, type List } from "./things";

const PAGE = 200;

/** See SourceInfo in adaptery/schemas/curation.py. */
export interface Taken {
  id: string;
  at: string;
  /** Null where the reader may not see it. */
  name: string | null;
  available: number;
  taken: number;
  records: number;
  dropped: Record<string, number>;
}

export class Collated {
  readonly element = element("section", { class: "files", hidden: true, "aria-label": "Taken from other datasets" });
  private readonly body = element("tbody");

  constructor(
    private readonly context: Context,
    private readonly dataset: string,
    private readonly onChange: () => void,
  ) {
    const head = element("tr", {}, column("Taken from"), column("Taken", "number"), column("In the draft", "number wide"), column("When", "wide"), element("td"));
    this.element.append(element("h3", {}, "Taken from other datasets"), element("table", { "aria-label": "Taken from other datasets" }, element("thead", {}, head), this.body));
  }

  /** Look what there is; who may edit can take it out again. */
  async look(mayEdit: boolean): Promise<void> {
    await attempt(this.context, async () => {
      const { items } = await ask<List<Taken>>(this.context, "sources.list", { dataset: this.dataset, limit: PAGE });
      this.body.replaceChildren(...items.map((source) => this.row(source, mayEdit)));
      this.element.hidden = items.length === 0;
    }, true);
  }

  private row(source: Taken, mayEdit: boolean): HTMLElement {
    const { at, taken, available, records } = source;
    const remove = mayEdit ? [button("Remove", () => void this.remove(source), "small", `Remove what was taken from ${nameOf(source)}`)] : [];
    return element(
      "tr",
      {},
      element("th", { scope: "row", class: "name" }, nameOf(source), ...lostOf(source)),
      element("td", { class: "number" }, `${taken.toLocaleString()} of ${available.toLocaleString()}`),
      element("td", { class: "number wide" }, records.toLocaleString()),
      element("td", { class: "wide" }, element("time", { datetime: at, title: momentWords(at) }, agoWords(at))),
      element("td", { class: "number" }, ...remove),
    );
  }

  private async remove(source: Taken): Promise<void> {
    const words = `${countWords(source.records, "record")} that came from there ${source.records === 1 ? "is" : "are"} taken out of this draft, with what you edited in them.`;
    if (!(await confirm(this.context.root, `Remove what was taken from ${nameOf(source)}?`, words, "Remove it"))) return;
    await attempt(this.context, async () => {
      try {
        await ask(this.context, "sources.remove", { dataset: this.dataset, source: source.id });
      } catch (error) {
        if (!isCode(error, "not_found")) throw error;
      }
      this.onChange();
    });
  }
}

export function nameOf({ name }: Pick<Taken, "name">): string {
  return name ?? "a dataset that is not shared with you";
}

function lostOf({ dropped }: Taken): HTMLElement[] {
  const lost = Object.entries(dropped).map(([what, count]) => `${what} (${count.toLocaleString()})`);
  return lost.length > 0 ? [element("p", { class: "soft about" }, `Dropped: ${lost.join(", ")}`)] : [];
}
