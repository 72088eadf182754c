// The Versions tab: what was published, and a look into it.

import { control, element } from "../parts/elements";
import { VirtualTable } from "../parts/table";
import { agoWords, momentWords } from "../parts/words";
import { bubbles } from "./bubbles";
import { column } from "./files";
import { trainButton } from "./publish";
import { ROW_COLUMNS, type Row, rowOf } from "./records";
import { digestOf, reportOf } from "./report";
import { ask, attempt, type Context, type Dataset, type List, type RecordItem, type Version } from "./things";

const PAGE = 100;

export class Versions {
  readonly element = element("div", { class: "versions" });
  private readonly body = element("tbody");
  private readonly table: HTMLTableElement;
  private readonly empty = element("p", { class: "empty", hidden: true });
  private readonly details = element("section", { class: "details", hidden: true });
  private preview: Preview | null = null;

  constructor(
    private readonly context: Context,
    private readonly dataset: Dataset,
  ) {
    const head = element("tr", {}, column("Version"), column("Records", "number"), column("Duplicates dropped", "number mid"), column("Digest", "mid"), column("Published", "wide"), element("td"));
    this.table = element("table", { "aria-label": "Versions", hidden: true }, element("thead", {}, head), this.body);
    this.empty.textContent = emptyWords(dataset);
    this.element.append(this.table, this.empty, this.details);
    context.signal.addEventListener("abort", () => this.preview?.close(), { once: true });
  }

  /** Look what is published now. */
  refresh(): void {
    void attempt(this.context, async () => {
      const versions = await this.all();
      this.body.replaceChildren(...versions.map((version) => this.row(version)));
      this.table.hidden = versions.length === 0;
      this.empty.hidden = versions.length > 0;
    }, true);
  }

  /** The newest first; the service lists the oldest first. */
  private async all(): Promise<Version[]> {
    const found: Version[] = [];
    for (;;) {
      const after = found.at(-1)?.id;
      const args = { dataset: this.dataset.id, limit: PAGE, ...(after ? { after } : {}) };
      const { items, has_more } = await ask<List<Version>>(this.context, "versions.list", args);
      found.push(...items);
      if (!has_more || items.length === 0) return found.reverse();
    }
  }

  private row(version: Version): HTMLElement {
    const train = trainButton(this.context, version);
    train.classList.add("small");
    const look = control("button", { type: "button", class: "small", "aria-label": `Details of ${version.name}` }, "Details");
    look.addEventListener("click", () => this.look(version));
    const when = element("time", { datetime: version.created_at, title: momentWords(version.created_at) }, agoWords(version.created_at));
    return element(
      "tr",
      {},
      element("th", { scope: "row", class: "name" }, version.name),
      element("td", { class: "number" }, version.records.toLocaleString()),
      element("td", { class: "number mid" }, version.duplicates_dropped.toLocaleString()),
      element("td", { class: "mid" }, digestOf(version.content_digest)),
      element("td", { class: "wide" }, when),
      element("td", {}, element("div", { class: "row actions" }, look, train)),
    );
  }

  private look(version: Version): void {
    this.preview?.close();
    this.preview = new Preview(this.context, version);
    const close = control("button", { type: "button", class: "small end", "aria-label": `Close the details of ${version.name}` }, "✕");
    close.addEventListener("click", () => {
      this.preview?.close();
      this.preview = null;
      this.details.hidden = true;
    });
    const title = element("h3", { tabindex: "-1" }, version.name);
    this.details.setAttribute("aria-label", `Details of ${version.name}`);
    this.details.replaceChildren(element("header", { class: "row" }, title, close), reportOf(version), this.preview.element);
    this.details.hidden = false;
    title.focus();
    title.scrollIntoView({ block: "nearest" });
  }
}

function emptyWords({ right }: Dataset): string {
  const why = "a version never changes, so every adapter can say what it learnt from.";
  if (right === "manage") return `Nothing is published yet. Publish the draft to train on it: ${why}`;
  return `Nothing is published yet. Who manages this dataset can publish its draft, to train on it: ${why}`;
}

type ReadRow = Row & { item: RecordItem };

/** The records of a version, to read. Their positions are 1, 2, 3 …, so a page is found by its offset. */
class Preview {
  readonly element = element("div", { class: "split" });
  private readonly panel = element("section", { class: "panel", "aria-label": "Record", hidden: true });
  private readonly table: VirtualTable<ReadRow>;

  constructor(context: Context, version: Version) {
    this.table = new VirtualTable<ReadRow>({
      label: `Records of ${version.name}`,
      columns: ROW_COLUMNS.map(({ order: _, ...rest }) => rest),
      rowHeight: 36,
      pageSize: 50, // of these the rows keep the whole records
      fetchPage: async (offset, limit, signal) => {
        const asked = { ...context, signal: AbortSignal.any([signal, context.signal]) };
        const args = { version: version.id, limit, ...(offset > 0 ? { after: String(offset) } : {}) };
        const { items } = await ask<List<RecordItem>>(asked, "versions.records", args);
        return { rows: items.map((item) => ({ ...rowOf(item), item })), total: version.records };
      },
      keyOf: ({ id }) => id,
      onOpen: (row) => this.open(row),
      onError: (error) => context.notices.problem(error, () => this.table.reload()),
    });
    this.element.append(element("div", { class: "list" }, this.table.element), this.panel);
  }

  close(): void {
    this.table.close();
  }

  private open({ id, item }: ReadRow): void {
    const close = control("button", { type: "button", class: "small end", "aria-label": "Close the record" }, "✕");
    close.addEventListener("click", () => this.hide());
    const head = element("header", { class: "row" }, element("h3", {}, `Record ${Number(id).toLocaleString()}`), close);
    this.panel.replaceChildren(head, element("div", { class: "panel-body" }, bubbles(item.record)));
    this.panel.hidden = false;
    this.element.classList.add("open");
    this.table.select(id);
  }

  private hide(): void {
    this.panel.hidden = true;
    this.element.classList.remove("open");
    this.table.select(null);
    this.table.element.focus();
  }
}
