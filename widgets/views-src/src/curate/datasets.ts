// The datasets that the reader may see, to choose one or begin another.

import { control, element } from "../parts/elements";
import { agoWords, momentWords } from "../parts/words";
import { column } from "./files";
import { NewDataset } from "./new-dataset";
import { askToRemove } from "./remove-dataset";
import { ask, attempt, type Context, type Dataset, type List } from "./things";

const PAGE = 50;
/** A pause in typing after which the service is asked. */
const TYPING_MS = 250;

export class Datasets {
  readonly element = element("div", { class: "datasets" });
  private readonly begin = control("button", { type: "button", class: "main" }, "New dataset");
  private readonly form = element("div");
  private readonly filter = control("input", { type: "search", placeholder: "Owner or name", maxlength: "200" });
  private readonly body = element("tbody");
  private readonly table: HTMLTableElement;
  private readonly bar: HTMLElement;
  private readonly empty = element("p", { class: "empty", role: "status" }, "Looking for your datasets …");
  private readonly more = control("button", { type: "button", hidden: true }, "Load more");
  private datasets: Dataset[] = [];
  private hasMore = false;
  /** What the datasets were looked for by. */
  private sought = "";
  private turn = 0;
  private typing: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly context: Context,
    /** Hears which dataset is opened, and whether to be erased; and whether the form of a new one is. */
    private readonly tell: { open(dataset: Dataset, erase?: boolean): void; begins(open: boolean): void },
  ) {
    const head = element("tr", {}, column("Name"), column("Records", "number"), column("Sensitivity", "wide"), column("Owner", "wide"), column("Changed", "wide"), element("td"));
    this.table = element("table", { "aria-label": "Datasets", hidden: true }, element("thead", {}, head), this.body);
    this.bar = element("div", { class: "row", hidden: true }, element("label", { class: "wide-field" }, "Filter", this.filter));
    this.element.append(element("header", { class: "row" }, element("h2", {}, "Datasets"), element("span", { class: "end" }, this.begin)), this.form, this.bar, this.table, this.more, this.empty);
    this.begin.addEventListener("click", () => this.open());
    this.more.addEventListener("click", () => void this.load(this.datasets.at(-1)?.id));
    this.filter.addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => void this.load(), TYPING_MS);
    });
    void this.load();
  }

  /** The page behind a dataset, or the first one; the ones that were changed last come first. */
  private async load(after?: string): Promise<void> {
    const turn = ++this.turn;
    const search = this.filter.value.trim();
    const args = { order: "-changed", limit: PAGE, ...(search ? { search } : {}), ...(after ? { after } : {}) };
    await attempt(this.context, async () => {
      const { items, has_more } = await ask<List<Dataset>>(this.context, "datasets.list", args);
      if (turn !== this.turn) return; // another look began meanwhile
      const known = after ? this.datasets.filter(({ id }) => !items.some((item) => item.id === id)) : [];
      this.datasets = [...known, ...items];
      this.hasMore = has_more;
      this.sought = search;
      this.show();
    }, true);
  }

  private show(): void {
    this.body.replaceChildren(...this.datasets.map((dataset) => this.row(dataset)));
    const none = this.datasets.length === 0;
    this.table.hidden = none;
    this.more.hidden = !this.hasMore;
    this.bar.hidden = none && this.sought === "";
    this.empty.hidden = !none;
    this.empty.textContent = this.sought === "" ? "You have no dataset yet. Make one with “New dataset”, then upload a file of examples into it." : "No dataset fits this filter.";
  }

  private row(dataset: Dataset): HTMLElement {
    const { name, records, sensitivity, tenant, updated_at: at, right, description } = dataset;
    const open = control("button", { type: "button", class: "link" }, name);
    open.addEventListener("click", () => this.tell.open(dataset));
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
    const answer = await askToRemove(this.context, dataset);
    if (answer === "published") return this.tell.open(dataset, true);
    if (answer === "kept") return;
    this.datasets = this.datasets.filter(({ id }) => id !== dataset.id);
    this.show();
  }

  /** Begin a new dataset. */
  open(): void {
    const form = new NewDataset(this.context, (dataset) => {
      this.form.replaceChildren();
      this.begin.hidden = false;
      if (dataset) return this.tell.open(dataset);
      this.tell.begins(false);
      this.begin.focus();
    });
    this.begin.hidden = true;
    this.form.replaceChildren(form.element);
    form.focus();
    this.tell.begins(true);
  }
}
