// A table of any length: only the rows in sight are in the document, and only their pages are fetched.
//
// The grid itself has the keyboard; the row that it is at is told by `aria-activedescendant`, so that
// focus is never on a row that is about to show another record.

import { control, element } from "./elements";
import { type FetchPage, Pages } from "./pages";
import { Window } from "./window";

export interface Column<Row> {
  title: string;
  /** A track of a CSS grid, such as `5em` or `minmax(0, 2fr)`. */
  width: string;
  /** Shown in a narrow table too. */
  narrow?: boolean;
  /** Not to be read but to be pressed: whether the row is picked. */
  pick?: boolean;
  /** Right-aligned digits. */
  number?: boolean;
  /** By which the table is sorted when the title is pressed; `-` in front means the other way round. */
  order?: string;
  text(row: Row): string;
  /** Words for a screen reader where `text` is a sign. */
  label?(row: Row): string;
}

export interface TableOptions<Row> {
  label: string;
  columns: readonly Column<Row>[];
  rowHeight: number;
  fetchPage: FetchPage<Row>;
  keyOf(row: Row): string;
  onOpen(row: Row, index: number): void;
  onOrder?(order: string): void;
  /** How many rows there are now; called after each answer. */
  onTotal?(total: number): void;
  onError(error: unknown): void;
  /** Rows can be picked, to do something with many at once: hears the keys of all that are. */
  onPick?(keys: readonly string[]): void;
  pageSize?: number;
}

/** Rows drawn above and below what is in sight, so that a scroll shows no gap. */
const SPARE_ROWS = 8;
/** After this long without a scroll, rows are put in order and far pages are asked for. */
const STILL_MS = 90;
const NAME = crypto.getRandomValues(new Uint32Array(1))[0]!.toString(36);
let tables = 0;

interface Slot<Row> {
  element: HTMLElement;
  cells: HTMLElement[];
  index: number;
  /** The index that it was filled for. */
  filled: number;
  row: Row | undefined;
  top: number;
}

export class VirtualTable<Row> {
  readonly element: HTMLElement;
  private readonly id = `ady-grid-${NAME}-${++tables}`;
  private readonly head = element("div", { class: "cells head", role: "row", "aria-rowindex": "1" });
  private readonly body = element("div", { class: "rows", role: "rowgroup" });
  private readonly window: Window;
  private readonly columns: readonly Column<Row>[];
  private readonly picked = new Set<string>();
  private readonly pages: Pages<Row>;
  private readonly sizes: ResizeObserver | null;
  private readonly free: Slot<Row>[] = [];
  private readonly shown = new Map<number, Slot<Row>>();
  private active = 0;
  private selected: string | null = null;
  private pointed: HTMLElement | null = null;
  private frame = 0;
  private still: ReturnType<typeof setTimeout> | undefined;
  private sight = { height: 0, head: 0 };

  constructor(private readonly options: TableOptions<Row>) {
    this.window = new Window(options.rowHeight);
    this.columns = options.onPick ? [this.pickColumn(), ...options.columns] : options.columns;
    this.element = control("div", { class: "virtual", role: "grid", tabindex: "0", "aria-label": options.label, "aria-rowcount": "-1", "aria-busy": "true" });
    this.element.append(element("div", { role: "rowgroup", class: "heads" }, this.head), this.body);
    this.element.style.setProperty("--row", `${options.rowHeight}px`);
    this.element.style.setProperty("--wide", tracks(this.columns));
    this.element.style.setProperty("--narrow", tracks(this.columns.filter((column) => column.narrow)));
    this.head.append(...this.columns.map((column) => this.headOf(column)));
    this.pages = new Pages(
      options.fetchPage,
      options.pageSize ?? 100,
      (restarted) => this.changed(restarted),
      (error) => this.failed(error),
    );
    this.listen();
    this.sizes = typeof ResizeObserver === "undefined" ? null : new ResizeObserver(() => this.measure());
    this.sizes?.observe(this.element);
    this.sizes?.observe(this.head);
    this.pages.reload();
  }

  /** Begin again at the first row: another search, filter or order. */
  reload(): void {
    this.element.setAttribute("aria-busy", "true");
    this.pages.reload();
  }

  /** Show what has changed, and stay where the reader is. */
  refresh(): void {
    this.pages.refresh();
  }

  close(): void {
    this.sizes?.disconnect();
    this.pages.close();
    cancelAnimationFrame(this.frame);
    clearTimeout(this.still);
  }

  get total(): number {
    return this.pages.total;
  }

  /** Mark the row with this key as the one that is open. */
  select(key: string | null): void {
    this.selected = key;
    for (const slot of this.shown.values()) this.mark(slot);
  }

  /** Pick nothing any more. */
  unpick(): void {
    if (this.picked.size === 0) return;
    this.picked.clear();
    this.repaint();
  }

  private pickColumn(): Column<Row> {
    const picks = (row: Row): boolean => this.picked.has(this.options.keyOf(row));
    return { title: "", width: "2.6em", narrow: true, pick: true, text: (row) => (picks(row) ? "☑" : "☐"), label: (row) => (picks(row) ? "picked" : "not picked") };
  }

  /** Pick a row, or no longer; with `from` all that are known between the two as well. */
  private pick(index: number, from: number | null = null): void {
    const row = this.pages.row(index);
    if (row === undefined || !this.options.onPick) return;
    const picks = !this.picked.has(this.options.keyOf(row));
    const [first, last] = from === null ? [index, index] : [Math.min(from, index), Math.max(from, index)];
    for (let at = first; at <= last; at++) {
      const one = this.pages.row(at);
      if (one === undefined) continue;
      if (picks) this.picked.add(this.options.keyOf(one));
      else this.picked.delete(this.options.keyOf(one));
    }
    this.repaint();
  }

  private repaint(): void {
    for (const slot of this.shown.values()) {
      slot.filled = -1;
      this.fill(slot, this.pages.row(slot.index));
    }
    this.options.onPick?.([...this.picked]);
  }

  /** Say by what the rows are sorted. */
  sorted(order: string): void {
    this.columns.forEach((column, index) => {
      if (!column.order) return;
      const sort = order === column.order ? "ascending" : order === `-${column.order}` ? "descending" : "none";
      this.head.children[index]!.setAttribute("aria-sort", sort);
    });
  }

  /** Go to a row and show it. */
  go(index: number): void {
    if (this.total === 0) return;
    this.active = Math.max(0, Math.min(index, this.total - 1));
    if (this.window.reveal(this.active)) this.place();
    this.draw();
  }

  private headOf(column: Column<Row>): HTMLElement {
    const cell = element("div", { role: "columnheader", class: classOf(column) });
    if (!column.order) {
      cell.append(column.pick ? element("span", { class: "visually-hidden" }, "Picked") : column.title);
      return cell;
    }
    const button = control("button", { type: "button", class: "sort" }, element("span", {}, column.title));
    button.addEventListener("click", () => {
      const up = cell.getAttribute("aria-sort") === "ascending";
      this.options.onOrder?.(up ? `-${column.order}` : column.order!);
    });
    cell.append(button);
    return cell;
  }

  private listen(): void {
    this.element.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.element.addEventListener("keydown", (event) => this.pressed(event));
    this.element.addEventListener("focus", () => this.draw());
    this.body.addEventListener("click", (event) => {
      const row = (event.target as HTMLElement).closest("[aria-rowindex]");
      if (!row) return;
      const [before, index] = [this.active, Number(row.getAttribute("aria-rowindex")) - 2];
      const picks = (event.target as HTMLElement).closest(".pick") !== null;
      if (!picks && String(getSelection() ?? "") !== "") return; // text was marked, not a row chosen
      this.active = index;
      this.draw();
      if (picks) return this.pick(index, event.shiftKey ? before : null);
      this.open();
    });
  }

  private scrolled(): void {
    this.window.scrolled(this.element.scrollTop);
    clearTimeout(this.still);
    this.still = setTimeout(() => this.rest(), STILL_MS);
    this.soon();
  }

  private soon(): void {
    if (this.frame === 0) this.frame = requestAnimationFrame(() => this.draw());
  }

  private pressed(event: KeyboardEvent): void {
    if (event.target !== this.element || event.altKey || (event.ctrlKey && !["Home", "End"].includes(event.key)) || event.metaKey) return;
    const page = this.window.rowsInSight;
    const to: Record<string, number> = {
      ArrowDown: this.active + 1,
      ArrowUp: this.active - 1,
      PageDown: this.active + page,
      PageUp: this.active - page,
      Home: 0,
      End: this.total - 1,
    };
    if (event.key === "Enter") this.open();
    else if (event.key === " " && this.options.onPick) this.pick(this.active);
    else if (event.key in to) this.go(to[event.key]!);
    else return;
    event.preventDefault();
  }

  private open(): void {
    const row = this.pages.row(this.active);
    if (row !== undefined) this.options.onOpen(row, this.active);
  }

  private changed(restarted: boolean): void {
    if (restarted) {
      this.active = 0;
      this.window.position = 0;
      this.element.setAttribute("aria-busy", "false");
    }
    this.active = Math.max(0, Math.min(this.active, this.total - 1));
    this.element.setAttribute("aria-rowcount", String(this.total + 1));
    this.options.onTotal?.(this.total);
    this.window.fit(this.total, this.sight.height);
    this.place();
    this.draw();
  }

  private failed(error: unknown): void {
    this.element.setAttribute("aria-busy", "false");
    this.options.onError(error);
  }

  /** Take the size that the page gives us. Reading it anywhere else would cost a layout each time. */
  private measure(): void {
    const head = this.head.offsetHeight;
    this.sight = { head, height: Math.max(0, this.element.clientHeight - head) };
    this.window.fit(this.total, this.sight.height);
    this.place();
    this.draw();
  }

  /** Put the scrolled element where the window says. */
  private place(): void {
    this.body.style.height = `${this.window.height}px`;
    const to = this.window.scrollTop;
    this.window.settle();
    if (Math.abs(this.element.scrollTop - to) >= 1) this.element.scrollTop = to;
  }

  private rest(): void {
    if (this.window.drifted) this.place();
    const inOrder = [...this.shown.keys()].sort((a, b) => a - b).map((index) => this.shown.get(index)!.element);
    if (inOrder.some((row, index) => this.body.children[index] !== row)) this.body.append(...inOrder);
    this.draw();
    const { first, end } = this.window.rows(0);
    this.pages.want(first, end);
  }

  private draw(): void {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    const { first, end } = this.window.rows(SPARE_ROWS);
    for (const [index, slot] of this.shown) {
      if (index >= first && index < end) continue;
      this.shown.delete(index);
      this.free.push(slot);
    }
    for (let index = first; index < end; index++) {
      const slot = this.shown.get(index) ?? this.slot(index);
      this.fill(slot, this.pages.row(index));
      this.put(slot, this.window.topOf(index));
    }
    for (const slot of this.free.splice(0)) slot.element.remove();
    this.point();
    if (this.near(first, end)) this.pages.want(first, end);
    else this.later();
  }

  /** Whether a page in sight is known: whoever leaps through the table asks for nothing on the way. */
  private near(first: number, end: number): boolean {
    return this.pages.row(first) !== undefined || this.pages.row(Math.max(first, end - 1)) !== undefined;
  }

  private later(): void {
    clearTimeout(this.still);
    this.still = setTimeout(() => this.rest(), STILL_MS);
  }

  private slot(index: number): Slot<Row> {
    const slot = this.free.pop() ?? this.made();
    slot.index = index;
    slot.element.id = `${this.id}-${index}`;
    slot.element.setAttribute("aria-rowindex", String(index + 2));
    this.shown.set(index, slot);
    return slot;
  }

  private made(): Slot<Row> {
    const cells = this.columns.map((column) => element("div", { role: "gridcell", class: classOf(column) }));
    const made = element("div", { class: "cells", role: "row" }, ...cells);
    this.body.append(made);
    return { element: made, cells, index: -1, filled: -1, row: undefined, top: -1 };
  }

  private put(slot: Slot<Row>, top: number): void {
    if (slot.top === top) return;
    slot.top = top;
    slot.element.style.top = `${top}px`;
  }

  private fill(slot: Slot<Row>, row: Row | undefined): void {
    if (slot.row === row && slot.filled === slot.index) return;
    slot.row = row;
    slot.filled = slot.index;
    slot.element.classList.toggle("waiting", row === undefined);
    this.columns.forEach((column, at) => {
      const cell = slot.cells[at]!;
      cell.textContent = row === undefined ? "" : column.text(row);
      if (row !== undefined && column.label) cell.setAttribute("aria-label", column.label(row));
      else cell.removeAttribute("aria-label");
    });
    this.mark(slot);
  }

  private mark(slot: Slot<Row>): void {
    const selected = slot.row !== undefined && this.options.keyOf(slot.row) === this.selected;
    slot.element.setAttribute("aria-selected", String(selected));
  }

  /** Tell where the keyboard is. */
  private point(): void {
    const pointed = this.shown.get(this.active)?.element ?? null;
    if (this.pointed !== pointed) {
      this.pointed?.classList.remove("active");
      pointed?.classList.add("active");
      this.pointed = pointed;
    }
    if (pointed) this.element.setAttribute("aria-activedescendant", `${this.id}-${this.active}`);
    else this.element.removeAttribute("aria-activedescendant");
  }
}

function tracks<Row>(columns: readonly Column<Row>[]): string {
  return columns.map((column) => column.width).join(" ");
}

function classOf<Row>(column: Column<Row>): string {
  return [column.narrow ? "" : "wide", column.number ? "number" : "", column.pick ? "pick" : ""].filter(Boolean).join(" ");
}
