// One table of the dashboard, with its heading; a line of its own while it is empty.

import type { Job, JobState, Page } from "../host/things";
import { control, element } from "../parts/elements";
import { numberWords } from "../parts/words";
import type { Row } from "./row";
import type { SectionKind } from "./sections";

/** How many jobs there are in each state. */
export type Counts = Partial<Record<JobState, number>>;

export class Section {
  /** How many jobs to ask for. */
  wanted: number;
  /** What the service said last; null until it did. */
  page: Page<Job> | null = null;
  readonly element: HTMLElement;
  private readonly count = element("span", { class: "count soft" });
  private readonly body = element("tbody", { role: "rowgroup" });
  private readonly table: HTMLElement;
  readonly more = control("button", { type: "button", class: "small more" }, "Load more");

  constructor(readonly kind: SectionKind) {
    this.wanted = kind.size;
    const heads = ["Job", "Data and model", kind.status, kind.since];
    const head = element(
      "tr",
      { role: "row" },
      ...heads.map((words) => element("th", { scope: "col", role: "columnheader" }, words)),
      element("th", { scope: "col", role: "columnheader" }, element("span", { class: "visually-hidden" }, "Actions")),
    );
    this.table = element("table", { role: "table", class: "jobs", "aria-label": `${kind.title} jobs` }, element("thead", { role: "rowgroup" }, head), this.body);
    this.element = element("section", {}, element("h3", {}, kind.title, " ", this.count), this.table, this.more);
  }

  /** Show these rows, in this order; those that are in their place already are not touched. */
  show(rows: readonly Row[], counts: Counts | null): void {
    const wanted = rows.map((row) => row.element);
    for (const stale of [...this.body.children]) if (!wanted.includes(stale as HTMLElement)) stale.remove();
    wanted.forEach((node, at) => {
      if (this.body.children[at] !== node) this.body.insertBefore(node, this.body.children[at] ?? null);
    });
    const more = this.page?.has_more ?? false;
    const counted = counts && this.kind.states.reduce((sum, state) => sum + (counts[state] ?? 0), 0);
    this.count.textContent = rows.length === 0 ? "none" : counted === null ? `${numberWords(rows.length)}${more ? "+" : ""}` : numberWords(counted);
    this.table.hidden = rows.length === 0;
    this.more.hidden = !more;
  }
}
