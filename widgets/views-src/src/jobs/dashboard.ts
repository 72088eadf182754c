// Every job that the reader may see, in one table for each state, as they are now.

import { repeat, persist } from "../host/persist";
import { ask, type Job, list } from "../host/things";
import { button, control, element } from "../parts/elements";
import { type Deed, JobActions, Said } from "../parts/job-actions";
import type { Workplace } from "../parts/work";
import { Choice } from "./choice";
import { Row } from "./row";
import { type Counts, Section } from "./section";
import { placed, SECTIONS } from "./sections";

const LOOK_EVERY_MS = 3000;
/** Every so many looks also at the jobs that are over, which seldom change; sooner if one may have ended. */
const LOOKS_AT_FINAL = 5;
const TYPING_MS = 250;

interface Listener {
  /** The reader searches for something else. */
  searched(words: string): void;
  compare(jobs: string[]): void;
}

export class Dashboard {
  private readonly search = control("input", { type: "search", "aria-label": "Search jobs by name", placeholder: "Search by name", autocomplete: "off" });
  private readonly sections = SECTIONS.map((kind) => new Section(kind));
  private readonly list = element("div", { class: "sections", hidden: true });
  private readonly bar: HTMLElement;
  private readonly empty = element("div", { class: "empty" }, element("p", {}, "Looking for your jobs …"));
  private readonly said = new Said();
  private readonly actions: JobActions;
  private readonly choice: Choice;
  private readonly life = new AbortController();
  private readonly signal: AbortSignal;
  readonly element: HTMLElement;
  private readonly rows = new Map<string, Row>();
  private typing: ReturnType<typeof setTimeout> | undefined;
  private looks = 0;
  private counts: Counts | null = null;
  private isAdmin = false;

  constructor(
    private readonly place: Workplace & { root: HTMLElement },
    search: string,
    private readonly tell: Listener,
  ) {
    this.signal = AbortSignal.any([place.signal, this.life.signal]);
    this.actions = new JobActions(place, { changed: () => this.lookNow(), deleted: () => this.lookNow(), said: this.said.say });
    this.choice = new Choice((jobs) => tell.compare(jobs), () => this.show());
    this.search.value = search;
    this.bar = element("div", { class: "row" }, this.search, this.trainButton());
    this.list.append(...this.sections.map((section) => section.element));
    this.element = element("div", { class: "dashboard" }, element("h2", {}, "Jobs"), this.bar, this.said.element, this.empty, this.list, this.choice.element);
    this.search.addEventListener("input", () => this.typed());
    for (const section of this.sections) section.more.addEventListener("click", () => void this.showMore(section));
  }

  /** Look again and again; `compared` are jobs that are chosen from the start. */
  async start(compared: readonly string[]): Promise<void> {
    await persist(() => this.prepare(compared), this.signal, this.place.notices.trouble);
    await repeat(() => this.look(this.looks % LOOKS_AT_FINAL === 0), LOOK_EVERY_MS, this.signal, this.place.notices.trouble);
  }

  private async prepare(compared: readonly string[]): Promise<void> {
    const { scopes } = await ask<{ scopes?: string[] }>(this.place.host, "whoami");
    this.isAdmin = scopes?.includes("admin") ?? false;
    for (const job of compared) this.choice.set(await ask<Job>(this.place.host, "jobs.get", { job }), true);
  }

  close(): void {
    clearTimeout(this.typing);
    this.life.abort();
  }

  private trainButton(): HTMLButtonElement {
    return button("Train an adapter", () => this.actions.open("train", {}), "main end");
  }

  // -- looking ------------------------------------------------------------------------------------

  /** Ask for what is shown and show it, unless it was asked for anew meanwhile. */
  private async look(atFinal: boolean): Promise<void> {
    const turn = ++this.looks;
    const search = this.search.value.trim();
    const pages = this.sections.map(({ page }) => page);
    const counts = search ? null : await ask<Counts>(this.place.host, "jobs.counts");
    for (const [at, { kind, wanted, page }] of this.sections.entries()) {
      if (kind.final && !atFinal && page !== null && !this.someEnded(pages)) continue;
      const args = { state: kind.states.join(","), ...(search ? { search } : {}) };
      pages[at] = await list<Job>(this.place.host, "jobs.list", args, wanted);
      if (turn !== this.looks || this.signal.aborted) return;
    }
    this.counts = counts;
    this.sections.forEach((section, at) => (section.page = pages[at] ?? null));
    this.show();
  }

  /** Whether a job that was not over is no longer among those that are not. */
  private someEnded(pages: readonly ({ items: Job[] } | null)[]): boolean {
    const active = this.sections.map(({ kind }) => !kind.final);
    const now = new Set(pages.flatMap((page, at) => (active[at] ? (page?.items ?? []).map(({ id }) => id) : [])));
    return this.sections.some(({ page }, at) => active[at] && page?.items.some(({ id }) => !now.has(id)));
  }

  private async lookNow(): Promise<void> {
    try {
      await persist(() => this.look(true), this.signal, this.place.notices.trouble);
    } catch (error) {
      if (!this.signal.aborted) this.place.notices.problem(error, () => void this.lookNow());
    }
  }

  // -- showing ------------------------------------------------------------------------------------

  private show(): void {
    const now = Date.now();
    const jobs = placed(this.sections.map(({ page }) => page));
    this.keepingFocus(() =>
      this.sections.forEach((section, at) => {
        const rows = jobs[at]!.map((job) => {
          const row = this.rows.get(job.id) ?? this.rowOf(job);
          this.rows.set(job.id, row);
          row.update(job, section.kind, now, this.choice.has(job.id));
          return row;
        });
        section.show(rows, this.counts);
      }),
    );
    const shown = new Set(jobs.flat().map(({ id }) => id));
    for (const id of this.rows.keys()) if (!shown.has(id)) this.rows.delete(id);
    this.showEmpty(shown.size === 0);
  }

  private rowOf(job: Job): Row {
    return new Row(job, this.isAdmin, {
      act: (deed: Deed, of: Job) => void this.actions.run(deed, of),
      compare: (of, chosen) => {
        if (!this.choice.set(of, chosen)) this.show();
      },
    });
  }

  /** A row that moves to another place would lose the focus. */
  private keepingFocus(change: () => void): void {
    const scope = this.element.getRootNode() as Document | ShadowRoot;
    const before = scope.activeElement;
    change();
    if (before instanceof HTMLElement && scope.activeElement !== before && this.element.contains(before) && !before.hidden) before.focus({ preventScroll: true });
  }

  private showEmpty(empty: boolean): void {
    const wanted = this.search.value.trim();
    this.list.hidden = empty;
    this.empty.hidden = !empty;
    this.bar.hidden = empty && wanted === "";
    const words = wanted === "" ? "No job yet. A job trains an adapter on a published version of a dataset." : `No job is found for “${wanted}”.`;
    if (!empty || this.empty.firstChild?.textContent === words) return;
    this.empty.replaceChildren(element("p", {}, words), wanted === "" ? this.trainButton() : this.clearButton());
  }

  private clearButton(): HTMLButtonElement {
    return button("Show all jobs", () => {
      this.search.value = "";
      this.search.focus();
      this.typed(0);
    });
  }

  // -- what the reader does -----------------------------------------------------------------------

  private typed(waitMs = TYPING_MS): void {
    clearTimeout(this.typing);
    this.typing = setTimeout(() => {
      for (const section of this.sections) section.wanted = section.kind.size;
      this.tell.searched(this.search.value.trim());
      void this.lookNow();
    }, waitMs);
  }

  private async showMore(section: Section): Promise<void> {
    const known = section.page?.items.length ?? 0;
    section.wanted = known + section.kind.size;
    await this.lookNow();
    const next = section.page?.items[known];
    if (section.more.hidden && next) this.rows.get(next.id)?.focus();
  }
}
