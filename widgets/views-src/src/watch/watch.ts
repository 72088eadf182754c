// The Watch view: one job, from its place in the queue to the adapter that it made.

import { type Host, isMissing, type Mount } from "../host/host";
import { widget } from "../host/notebook";
import { persist } from "../host/persist";
import type { ViewName } from "../host/shell";
import { ask, type Job, type Page } from "../host/things";
import { control, element } from "../parts/elements";
import { STATISTICS_STYLE } from "../parts/job-statistics";
import { MENU_STYLE } from "../parts/menu";
import { Notices } from "../parts/notice";
import { adopt } from "../parts/style";
import { JobPage } from "./job-page";
import { WATCH_STYLE } from "./style";

/** Of so many newest jobs, one that is training is shown first. */
const NEWEST = 50;

class Watch {
  private readonly life = new AbortController();
  private readonly notices = new Notices();
  private readonly root = element("section", { class: "ady ady-watch", "aria-label": "Watch a job" });

  constructor(
    private readonly el: HTMLElement,
    private readonly host: Host,
  ) {
    this.el.replaceChildren(this.root);
    adopt(this.root, MENU_STYLE, STATISTICS_STYLE, WATCH_STYLE);
    this.root.replaceChildren(this.notices.element, element("p", { class: "empty" }, "Looking for the job …"));
    void this.start();
  }

  close(): void {
    this.life.abort();
    this.el.replaceChildren();
  }

  private async start(): Promise<void> {
    try {
      const job = await persist(() => this.find(), this.life.signal, this.notices.trouble);
      if (this.life.signal.aborted) return;
      if (job === null) this.showNone();
      else this.showJob(job);
    } catch (error) {
      if (this.life.signal.aborted) return;
      if (isMissing(error)) this.showMissing();
      else this.showProblem(error);
    }
  }

  /** The job that was asked for, else the newest that is training, else the newest. */
  private async find(): Promise<Job | null> {
    const start = (await this.host.call("view.start")) as { job?: string } | null;
    if (start?.job) return ask<Job>(this.host, "jobs.get", { job: start.job });
    const { items } = await ask<Page<Job>>(this.host, "jobs.list", { limit: NEWEST });
    return items.find((job) => job.state === "training") ?? items[0] ?? null;
  }

  private showJob(job: Job): void {
    void this.host.call("view.here", { title: `Job ${job.name}`, start: { job: job.id } });
    const page = new JobPage(this.host, job, this.life, () => this.showMissing());
    this.root.replaceChildren(page.element);
    page.start();
  }

  private showProblem(error: unknown): void {
    this.offer("", this.button("", "All jobs", "jobs"));
    this.notices.problem(error, () => void this.start());
  }

  /** Nothing is left to follow. */
  private showMissing(): void {
    this.life.abort();
    this.offer("There is no such job, or you have no right to see it.", this.button("main", "All jobs", "jobs"));
  }

  private showNone(): void {
    const words = "There is no job to watch yet. Train an adapter on one of your datasets, then see here how it learns.";
    this.offer(words, this.button("main", "Train an adapter", "train"));
  }

  private offer(words: string, button: HTMLButtonElement): void {
    this.root.replaceChildren(this.notices.element, element("div", { class: "empty none" }, ...(words ? [element("p", {}, words)] : []), button));
  }

  private button(type: string, words: string, view: ViewName): HTMLButtonElement {
    const button = control("button", { type: "button", class: type }, words);
    button.addEventListener("click", () => {
      this.host.call("view.open", { view, start: {} }).catch((error: unknown) => this.notices.problem(error));
    });
    return button;
  }
}

export const mount: Mount = (el, host) => {
  const watch = new Watch(el, host);
  return () => watch.close();
};

export default widget(mount);
