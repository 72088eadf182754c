// The Jobs view: every job that the reader may see, in one table for each state, as they are now.

import type { Host, Mount } from "../host/host";
import { widget } from "../host/notebook";
import { persist, repeat } from "../host/persist";
import type { ViewName } from "../host/shell";
import { ask, type Job, list } from "../host/things";
import { confirm } from "../parts/dialog";
import { control, element } from "../parts/elements";
import { Notices } from "../parts/notice";
import { adopt } from "../parts/style";
import { Row } from "./row";
import { Section } from "./section";
import { type Action, placed, SECTIONS } from "./sections";
import { JOBS_STYLE } from "./style";

const LOOK_EVERY_MS = 3000;
/** Every so many looks also at the jobs that are over, which seldom change; sooner if one may have ended. */
const LOOKS_AT_FINAL = 5;
const TYPING_MS = 250;

class Jobs {
  private readonly ending = new AbortController();
  private readonly notices = new Notices();
  private readonly search = control("input", { type: "search", "aria-label": "Search jobs by name", placeholder: "Search by name", autocomplete: "off" });
  private readonly sections = SECTIONS.map((kind) => new Section(kind));
  private readonly list = element("div", { class: "sections", hidden: true });
  private readonly bar: HTMLElement;
  private readonly empty = element("div", { class: "empty" }, element("p", {}, "Looking for your jobs …"));
  private readonly root: HTMLElement;
  private readonly rows = new Map<string, Row>();
  private typing: ReturnType<typeof setTimeout> | undefined;
  private looks = 0;

  constructor(
    private readonly el: HTMLElement,
    private readonly host: Host,
  ) {
    this.bar = element("div", { class: "row" }, this.search, this.trainButton());
    this.list.append(...this.sections.map((section) => section.element));
    this.root = element("section", { class: "ady ady-jobs", "aria-label": "Jobs" }, element("h2", {}, "Jobs"), this.bar, this.notices.element, this.empty, this.list);
    this.el.replaceChildren(this.root);
    adopt(this.root, JOBS_STYLE);
    this.search.addEventListener("input", () => this.typed());
    for (const section of this.sections) section.more.addEventListener("click", () => void this.showMore(section));
    void this.begin();
  }

  close(): void {
    clearTimeout(this.typing);
    this.ending.abort();
    this.el.replaceChildren();
  }

  private get signal(): AbortSignal {
    return this.ending.signal;
  }

  private trainButton(): HTMLButtonElement {
    const button = control("button", { type: "button", class: "main end" }, "Train an adapter");
    button.addEventListener("click", () => this.open("train", {}));
    return button;
  }

  // -- looking ------------------------------------------------------------------------------------

  private async begin(): Promise<void> {
    try {
      const start = await persist(() => ask<{ search?: string } | null>(this.host, "view.start"), this.signal, this.notices.trouble);
      this.search.value = typeof start?.search === "string" ? start.search : "";
      this.tellHere();
      await this.goOn();
    } catch (error) {
      this.problem(error, () => void this.begin());
    }
  }

  private goOn(): Promise<void> {
    return repeat(() => this.look(this.looks % LOOKS_AT_FINAL === 0), LOOK_EVERY_MS, this.signal, this.notices.trouble);
  }

  /** Ask for what is shown and show it, unless it was asked for anew meanwhile. */
  private async look(atFinal: boolean): Promise<void> {
    const turn = ++this.looks;
    const pages = this.sections.map(({ page }) => page);
    for (const [at, { kind, wanted, page }] of this.sections.entries()) {
      if (kind.final && !atFinal && page !== null && !this.someEnded(pages)) continue;
      const search = this.search.value.trim();
      const args = { state: kind.states.join(","), ...(search ? { search } : {}) };
      pages[at] = await list<Job>(this.host, "jobs.list", args, wanted);
      if (turn !== this.looks || this.signal.aborted) return;
    }
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
      await persist(() => this.look(true), this.signal, this.notices.trouble);
    } catch (error) {
      this.problem(error, () => void this.lookNow());
    }
  }

  // -- showing ------------------------------------------------------------------------------------

  private show(): void {
    const now = Date.now();
    const jobs = placed(this.sections.map(({ page }) => page));
    this.keepingFocus(() =>
      this.sections.forEach((section, at) => {
        const rows = jobs[at]!.map((job) => {
          const row = this.rows.get(job.id) ?? new Row(job, (action, of) => void this.act(action, of));
          this.rows.set(job.id, row);
          row.update(job, section.kind, now);
          return row;
        });
        section.show(rows);
      }),
    );
    const shown = new Set(jobs.flat().map(({ id }) => id));
    for (const id of this.rows.keys()) if (!shown.has(id)) this.rows.delete(id);
    this.showEmpty(shown.size === 0);
  }

  /** A row that moves to another place would lose the focus. */
  private keepingFocus(change: () => void): void {
    const scope = this.root.getRootNode() as Document | ShadowRoot;
    const before = scope.activeElement;
    change();
    if (before instanceof HTMLElement && scope.activeElement !== before && this.root.contains(before) && !before.hidden) before.focus({ preventScroll: true });
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
    const button = control("button", { type: "button" }, "Show all jobs");
    button.addEventListener("click", () => {
      this.search.value = "";
      this.search.focus();
      this.typed(0);
    });
    return button;
  }

  // -- what the reader does -----------------------------------------------------------------------

  private typed(waitMs = TYPING_MS): void {
    clearTimeout(this.typing);
    this.typing = setTimeout(() => {
      for (const section of this.sections) section.wanted = section.kind.size;
      this.tellHere();
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

  private async act(action: Action, job: Job): Promise<void> {
    if (action === "cancel") await this.cancel(job);
    else if (action === "watch") this.open("watch", { job: job.id });
    else if (action === "chat") this.open("chat", { model: job.adapter! });
    else this.open("train", { job: job.id });
  }

  private async cancel(job: Job): Promise<void> {
    const words = job.state === "training" ? "It stops at its next step. What it has learnt so far makes no adapter." : "It will not be trained.";
    if (!(await confirm(this.root, `Cancel ${job.name}?`, words, "Cancel the job", "Keep it"))) return;
    try {
      await persist(() => this.host.call("jobs.cancel", { job: job.id }), this.signal, this.notices.trouble);
    } catch (error) {
      this.problem(error);
    }
    await this.lookNow();
  }

  private open(view: ViewName, start: { [id: string]: string }): void {
    this.host.call("view.open", { view, start }).catch((error: unknown) => this.problem(error));
  }

  private tellHere(): void {
    const search = this.search.value.trim();
    void this.host.call("view.here", { title: "Jobs", start: search ? { search } : {} }).catch(() => undefined);
  }

  private problem(error: unknown, retry: (() => void) | null = null): void {
    if (!this.signal.aborted) this.notices.problem(error, retry);
  }
}

export const mount: Mount = (el, host) => {
  const jobs = new Jobs(el, host);
  return () => jobs.close();
};

export default widget(mount);
