// The Records tab: search, filters and order above a table of any length, and the record that is open.

import { control, element } from "../parts/elements";
import type { Page } from "../parts/pages";
import { VirtualTable } from "../parts/table";
import { countWords } from "../parts/words";
import { Bulk, BULK_STEP } from "./bulk";
import { nameOf, type Taken } from "./collated";
import { Filters } from "./filters";
import { History } from "./history";
import { RecordPanel } from "./panel";
import { answerOf, type Kind, KINDS, lengthOf, questionOf } from "./record";
import type { QueueSummary } from "./review/things";
import { ask, type Context, type Dataset, type FileInfo, isCode, type List, mayEdit, type RecordItem } from "./things";

const ORDERS: Readonly<Record<string, string>> = {
  position: "Number",
  "-position": "Number, last first",
  "-length": "Longest first",
  length: "Shortest first",
  "-changed": "Last changed first",
  changed: "First changed first",
};

/** What a row shows; the record itself is fetched when it is opened. */
export interface Row {
  id: string;
  kind: Kind;
  question: string;
  answer: string;
  length: number;
  edited: boolean;
}

export function rowOf({ id, record, length, edited }: RecordItem): Row {
  return { id, kind: record.kind, question: questionOf(record), answer: answerOf(record), length: length ?? lengthOf(record), edited: edited ?? false };
}

export const ROW_COLUMNS = [
  { title: "No.", width: "6.5em", narrow: true, number: true, order: "position", text: (row: Row) => Number(row.id).toLocaleString() },
  { title: "Kind", width: "7em", text: (row: Row) => KINDS[row.kind] ?? row.kind },
  { title: "User or text", width: "minmax(0, 3fr)", narrow: true, text: (row: Row) => row.question },
  { title: "Answer", width: "minmax(0, 3fr)", text: (row: Row) => row.answer },
  { title: "Length", width: "6em", number: true, order: "length", text: (row: Row) => row.length.toLocaleString() },
];
const EDITED = { title: "Edited", width: "6em", order: "changed", text: (row: Row) => (row.edited ? "✎ edited" : "") };

export class Records {
  readonly element = element("div", { class: "records" });
  private readonly order = control("select");
  private readonly count = element("span", { role: "status", class: "count" });
  private readonly said = element("span", { role: "status", class: "soft" });
  private readonly add = control("button", { type: "button" }, "Add a record");
  private readonly filters = new Filters(this.order, () => this.apply(), () => void this.lookForLanguages());
  private readonly bulk: Bulk;
  private readonly history: History;
  private readonly panel: RecordPanel;
  private readonly table: VirtualTable<Row>;
  private readonly split = element("div", { class: "split" });
  private readonly empty = element("p", { class: "empty", hidden: true });
  /** Whether the first answer has come. */
  private known = false;
  private picked: readonly string[] = [];

  constructor(
    private readonly context: Context,
    private dataset: Dataset,
    private readonly onChange: () => void,
    onOperation: (id: string | null) => void = () => undefined,
  ) {
    this.history = new History(context, dataset.id, (words) => this.say(words), (record, position) => this.stepped(record, position));
    this.panel = new RecordPanel(context, dataset.id, mayEdit(dataset), {
      onChange: (words) => this.changed(words),
      onClose: () => this.closed(),
      onGroup: (group) => this.filters.showGroup(group),
    });
    this.bulk = new Bulk(context, dataset.id, { onOperation, onChange: (words) => this.changed(words), onUnpick: () => this.table.unpick() });
    options(this.order, ORDERS);
    this.table = new VirtualTable<Row>({
      label: `Records of ${dataset.name}`,
      columns: [...ROW_COLUMNS, EDITED],
      rowHeight: 36,
      fetchPage: (offset, limit, signal) => this.fetch(offset, limit, signal),
      keyOf: ({ id }) => id,
      onOpen: ({ id }) => this.open(id),
      onOrder: (order) => this.sort(order),
      onTotal: () => {
        this.known = true;
        this.tell();
      },
      onError: (error) => context.notices.problem(error, () => this.table.reload()),
      ...(mayEdit(dataset)
        ? {
            onPick: (keys: readonly string[]) => {
              this.picked = keys;
              this.offer();
            },
          }
        : {}),
    });
    this.lay();
    this.listen();
    this.table.sorted(this.order.value);
    context.signal.addEventListener("abort", () => this.close(), { once: true });
    void this.history.look();
    void this.lookForFiles();
  }

  /** Whether leaving would lose something. */
  get busy(): boolean {
    return this.panel.dirty;
  }

  /** The dataset changed: by us, or by somebody else. */
  show(dataset: Dataset): void {
    const changed = dataset.updated_at !== this.dataset.updated_at;
    this.dataset = dataset;
    this.panel.allow(mayEdit(dataset));
    for (const offered of [this.add, this.history.undo, this.history.redo]) offered.hidden = !mayEdit(dataset);
    if (changed) this.refresh();
    this.tell();
  }

  private refresh(): void {
    this.table.refresh();
    void this.panel.renew().then(() => this.layout());
    void this.history.look();
    void this.lookForFiles();
  }

  private async fetch(offset: number, limit: number, signal: AbortSignal): Promise<Page<Row>> {
    const context = { ...this.context, signal: AbortSignal.any([signal, this.context.signal]) };
    const args = { dataset: this.dataset.id, offset, limit, ...this.filters.args, ...(this.order.value === "position" ? {} : { order: this.order.value }) };
    try {
      const { items, total } = await ask<List<RecordItem> & { total: number }>(context, "records.list", args);
      return { rows: items.map(rowOf), total };
    } catch (error) {
      if (isCode(error, "not_found")) this.onChange(); // the dataset itself may be gone, or the right to see it
      throw error;
    }
  }

  private lay(): void {
    const tools = element("div", { class: "row tools" }, this.count, this.said, element("span", { class: "row end" }, this.history.undo, this.history.redo, this.add));
    this.split.append(element("div", { class: "list" }, this.table.element), this.panel.element);
    for (const offered of [this.add, this.history.undo, this.history.redo]) offered.hidden = !mayEdit(this.dataset);
    this.element.append(this.filters.element, tools, this.bulk.element, this.bulk.work.element, this.history.work.element, this.empty, this.split, this.history.list);
  }

  private listen(): void {
    this.order.addEventListener("change", () => this.sort(this.order.value));
    this.add.addEventListener("click", () => void this.panel.add().then(() => this.layout()));
    this.element.addEventListener("keydown", (event) => this.pressed(event));
  }

  private pressed(event: KeyboardEvent): void {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || !mayEdit(this.dataset)) return;
    const key = event.key.toLowerCase();
    if ((key !== "z" && key !== "y") || isText(event.target)) return;
    event.preventDefault();
    event.stopPropagation();
    void this.history.step(key === "y" || event.shiftKey ? "redo" : "undo");
  }

  private apply(): void {
    this.context.notices.clear();
    this.table.unpick();
    this.table.reload();
  }

  private sort(order: string): void {
    this.order.value = order;
    this.table.sorted(order);
    this.apply();
  }

  /** Follow a change of many records that was begun before. */
  async resume(operation: string): Promise<void> {
    await this.bulk.work.resume(BULK_STEP, operation);
    this.refresh();
    this.onChange();
  }

  /** Show a record that is named elsewhere. */
  open(id: string): void {
    void this.panel.open(id).then(() => this.layout());
  }

  /** The panel stands beside the table where there is room, and below it where not. */
  private layout(): void {
    const open = !this.panel.element.hidden;
    this.split.classList.toggle("open", open);
    this.table.select(this.panel.position);
  }

  private closed(): void {
    this.layout();
    this.table.element.focus();
  }

  private changed(words: string): void {
    this.say(words);
    this.layout();
    this.table.refresh();
    this.onChange();
  }

  private stepped(record: RecordItem | null, position: string | null): void {
    if (position === null) void this.panel.renew(); // many were changed: this one perhaps
    else this.panel.replace(position, record);
    this.layout();
    this.table.refresh();
    this.onChange();
  }

  private say(words: string): void {
    this.said.textContent = words;
  }

  private tell(): void {
    const { total } = this.table;
    const filtered = this.filters.active;
    if (!this.known) return;
    this.offer();
    this.count.textContent = filtered ? `${total.toLocaleString()} of ${countWords(this.dataset.records, "record")}` : countWords(total, "record");
    const focused = this.table.element.contains((this.element.getRootNode() as Document | ShadowRoot).activeElement);
    this.element.classList.toggle("none", total === 0);
    // The table is gone, and the focus with it: Ctrl+Z would undo what was typed into the search instead.
    if (focused && total === 0) this.history.undo.focus();
    this.empty.hidden = total > 0;
    this.empty.textContent = filtered ? "No record fits. Search for fewer words, or take a filter away." : mayEdit(this.dataset) ? "No records yet. Upload a file in the Files tab, or add one by hand here." : "This dataset has no records.";
  }

  private offer(): void {
    this.bulk.show(this.picked, this.filters.args, this.table.total, mayEdit(this.dataset));
  }

  /** Languages are known once the review has looked. */
  private async lookForLanguages(): Promise<void> {
    try {
      const { queues } = await ask<{ queues: QueueSummary[] }>(this.context, "review.get", { dataset: this.dataset.id });
      this.filters.offerLanguages(Object.keys(queues.find(({ queue }) => queue === "language")?.languages ?? {}));
    } catch {
      // The filter stays as it was.
    }
  }

  private async lookForFiles(): Promise<void> {
    try {
      const { items } = await ask<List<FileInfo>>(this.context, "files.list", { dataset: this.dataset.id, limit: 200 });
      const taken = await ask<List<Taken>>(this.context, "sources.list", { dataset: this.dataset.id, limit: 200 });
      this.filters.offerFiles(Object.fromEntries([...items.map(({ id, name }) => [id, name]), ...taken.items.map((source) => [source.id, `from ${nameOf(source)}`])]));
    } catch {
      // The filter stays as it was: the table says what is wrong.
    }
  }

  private close(): void {
    this.filters.close();
    this.table.close();
  }
}

function isText(target: EventTarget | null): boolean {
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement || (target instanceof HTMLInputElement && target.type !== "checkbox");
}

export function options(select: HTMLSelectElement, choices: Readonly<Record<string, string>>): void {
  select.replaceChildren(...Object.entries(choices).map(([value, words]) => element("option", { value }, words)));
}
