// All datasets that the reader may see, to choose one or begin another.

import { confirm } from "../parts/dialog";
import { control, element } from "../parts/elements";
import { agoWords, countWords, momentWords } from "../parts/words";
import { column } from "./files";
import { NewDataset } from "./new-dataset";
import { ask, attempt, type Context, type Dataset, isCode, type List } from "./things";

const PAGE = 50;

export class Datasets {
  readonly element = element("div", { class: "datasets" });
  private readonly begin = control("button", { type: "button", class: "main" }, "New dataset");
  private readonly form = element("div");
  private readonly filter = control("input", { type: "search", placeholder: "Name, owner or description", maxlength: "200" });
  private readonly body = element("tbody");
  private readonly table: HTMLTableElement;
  private readonly bar: HTMLElement;
  private readonly empty = element("p", { class: "empty", role: "status" }, "Looking for your datasets …");
  private readonly more = control("button", { type: "button", hidden: true }, "Load more");
  private datasets: Dataset[] = [];
  private hasMore = false;
  private loading = false;

  constructor(
    private readonly context: Context,
    private readonly onOpen: (dataset: Dataset) => void,
  ) {
    const head = element("tr", {}, column("Name"), column("Records", "number"), column("Sensitivity", "wide"), column("Owner", "wide"), column("Changed", "wide"), element("td"));
    this.table = element("table", { "aria-label": "Datasets", hidden: true }, element("thead", {}, head), this.body);
    this.bar = element("div", { class: "row", hidden: true }, element("label", { class: "wide-field" }, "Filter", this.filter));
    this.element.append(element("header", { class: "row" }, element("h2", {}, "Datasets"), element("span", { class: "end" }, this.begin)), this.form, this.bar, this.table, this.more, this.empty);
    this.begin.addEventListener("click", () => this.open());
    this.more.addEventListener("click", () => void this.load());
    this.filter.addEventListener("input", () => void this.sift());
    void this.load();
  }

  private async load(): Promise<void> {
    if (this.loading) return;
    this.loading = true;
    await attempt(this.context, async () => {
      const after = this.datasets.at(-1)?.id;
      const args = { limit: PAGE, ...(after ? { after } : {}) };
      const { items, has_more } = await ask<List<Dataset>>(this.context, "datasets.list", args);
      this.datasets.push(...items);
      this.hasMore = has_more;
      this.show();
    }, true);
    this.loading = false;
  }

  /** A filter is about all datasets, so all are fetched for it. */
  private async sift(): Promise<void> {
    this.show();
    while (this.filter.value && this.hasMore && !this.loading) {
      const before = this.datasets.length;
      await this.load();
      if (this.datasets.length === before) return;
    }
  }

  private show(): void {
    const found = matching(this.datasets, this.filter.value);
    this.body.replaceChildren(...found.map((dataset) => this.row(dataset)));
    this.table.hidden = found.length === 0;
    this.more.hidden = !this.hasMore || this.filter.value !== "";
    this.bar.hidden = this.datasets.length === 0;
    this.empty.hidden = found.length > 0;
    this.empty.textContent = this.datasets.length === 0 ? "You have no dataset yet. Make one with “New dataset”, then upload a file of examples into it." : "No dataset fits this filter.";
  }

  private row(dataset: Dataset): HTMLElement {
    const { name, records, sensitivity, tenant, updated_at: at, right, description } = dataset;
    const open = control("button", { type: "button", class: "link" }, name);
    open.addEventListener("click", () => this.onOpen(dataset));
    const about = description ? [element("p", { class: "soft about" }, description)] : [];
    return element(
      "tr",
      {},
      element("th", { scope: "row", class: "name" }, open, ...about),
      element("td", { class: "number" }, records.toLocaleString()),
      element("td", { class: "wide" }, element("span", { class: `chip ${sensitivity}` }, sensitivity)),
      element("td", { class: "wide" }, tenant),
      element("td", { class: "wide" }, element("time", { datetime: at, title: momentWords(at) }, agoWords(at))),
      element("td", { class: "number" }, ...(right === "manage" ? [this.removeButton(dataset)] : [])),
    );
  }

  private removeButton(dataset: Dataset): HTMLElement {
    const button = control("button", { type: "button", class: "small", "aria-label": `Remove ${dataset.name}` }, "Remove");
    button.addEventListener("click", () => void this.remove(dataset));
    return button;
  }

  private async remove(dataset: Dataset): Promise<void> {
    const words = `Its ${countWords(dataset.records, "record")}, files and edits are deleted. This cannot be undone. A dataset that was published stays.`;
    if (!(await confirm(this.context.root, `Remove ${dataset.name}?`, words, "Remove it"))) return;
    await attempt(this.context, async () => {
      try {
        await ask(this.context, "datasets.remove", { dataset: dataset.id });
      } catch (error) {
        if (!isCode(error, "not_found")) throw error; // gone already: an answer was lost
      }
      this.datasets = this.datasets.filter(({ id }) => id !== dataset.id);
      this.show();
    });
  }

  private open(): void {
    const form = new NewDataset(this.context, (dataset) => {
      this.form.replaceChildren();
      this.begin.hidden = false;
      if (dataset) this.onOpen(dataset);
      else this.begin.focus();
    });
    this.begin.hidden = true;
    this.form.replaceChildren(form.element);
    form.focus();
  }
}

/** The datasets in which every word of the filter occurs. */
export function matching(datasets: readonly Dataset[], filter: string): Dataset[] {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  return datasets.filter(({ full_name, sensitivity, description }) => {
    const text = `${full_name} ${sensitivity} ${description}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}
