// What can be done with a job, and doing it. The service says which of it a reader may do now.

import { isMissing, type Json } from "../host/host";
import { newKey } from "../host/key";
import { persist } from "../host/persist";
import type { ViewName } from "../host/shell";
import { ask, type Job, type JobAction, type Priority } from "../host/things";
import { confirm, show } from "./dialog";
import { fetched } from "./download";
import { button, element } from "./elements";
import { type Statistics, statisticsOf } from "./job-statistics";
import type { Workplace } from "./work";

/** `lower` and `raise` are the two ways to prioritise. */
export type Deed = Exclude<JobAction, "prioritise"> | "watch" | "lower" | "raise";

/** In the order in which they are offered. */
export const DEEDS: Readonly<Record<Deed, string>> = {
  chat: "Chat",
  resubmit: "Run again",
  clone: "Clone",
  watch: "Watch",
  compare: "Compare",
  statistics: "Statistics",
  download: "Download",
  raise: "Raise priority",
  lower: "Lower priority",
  cancel: "Cancel",
  delete: "Delete",
};

const PRIORITIES: readonly Priority[] = ["low", "normal", "high"];

/** What the reader can do with a job now; only an administrator gives a high priority. */
export function deedsOf({ actions, priority }: Job, isAdmin: boolean): Deed[] {
  const highest: Priority = isAdmin ? "high" : "normal";
  return [
    "watch",
    ...actions.flatMap((action): Deed[] => {
      if (action !== "prioritise") return [action];
      const raises = PRIORITIES.indexOf(priority) < PRIORITIES.indexOf(highest);
      return [...(raises ? ["raise" as const] : []), ...(priority === "low" ? [] : ["lower" as const])];
    }),
  ];
}

interface Listener {
  /** A job is no longer as it was. */
  changed(): void | Promise<void>;
  deleted(job: Job): void | Promise<void>;
  /** Something is well, in words. */
  said(words: string, ...more: Node[]): void;
}

export class JobActions {
  constructor(
    private readonly place: Workplace & { root: HTMLElement },
    private readonly tell: Listener,
  ) {}

  /** Do it; what goes wrong is shown. */
  async run(deed: Deed, job: Job): Promise<void> {
    try {
      await this.act(deed, job);
    } catch (error) {
      if (!this.place.signal.aborted) this.place.notices.problem(error);
    }
  }

  open(view: ViewName, start: Json): void {
    this.place.host.call("view.open", { view, start }).catch((error: unknown) => this.place.notices.problem(error));
  }

  private act(deed: Deed, job: Job): Promise<void> | void {
    switch (deed) {
      case "watch":
        return this.open("watch", { job: job.id });
      case "chat":
        return this.open("chat", { model: job.adapter });
      case "clone":
        return this.open("train", { job: job.id });
      case "compare":
        return this.open("jobs", { compare: job.id });
      case "statistics":
        return this.statistics(job);
      case "download":
        return this.download(job);
      case "resubmit":
        return this.resubmit(job);
      case "cancel":
        return this.cancel(job);
      case "delete":
        return this.remove(job);
      case "raise":
        return this.prioritise(job, 1);
      case "lower":
        return this.prioritise(job, -1);
    }
  }

  private ask<T>(verb: string, args: { [name: string]: Json }): Promise<T> {
    return persist(() => ask<T>(this.place.host, verb, args), this.place.signal, this.place.notices.trouble);
  }

  private async statistics(job: Job): Promise<void> {
    const statistics = await this.ask<Statistics>("jobs.statistics", { job: job.id });
    if (!this.place.signal.aborted) show(this.place.root, `Statistics of ${job.name}`, statisticsOf(statistics));
  }

  private async download(job: Job): Promise<void> {
    this.tell.said(`Fetching ${job.adapter} …`);
    const { name } = await fetched(this.place, "adapters.download", { adapter: job.adapter_id! }, this.place.signal, (words) => this.tell.said(`Fetching ${job.adapter}: ${words}`));
    this.tell.said(`Downloaded ${name}.`);
  }

  /** Exactly as it was: the same versions, options and base model. */
  private async resubmit(job: Job): Promise<void> {
    const again = await this.ask<Job>("jobs.resubmit", { job: job.id, key: newKey() });
    this.tell.said(`${again.name} is submitted again, as it was.`, button("Watch it", () => this.open("watch", { job: again.id }), "small"));
    await this.tell.changed();
  }

  private async cancel(job: Job): Promise<void> {
    const words = job.state === "training" ? "It stops at its next step. What it has learnt so far makes no adapter." : "It will not be trained.";
    if (!(await confirm(this.place.root, `Cancel ${job.name}?`, words, "Cancel the job", "Keep it"))) return;
    try {
      await this.ask("jobs.cancel", { job: job.id });
    } finally {
      await this.tell.changed();
    }
  }

  private async remove(job: Job): Promise<void> {
    const words = `Its numbers, its log and its checkpoints are gone for good.${job.adapter ? " Its adapter stays." : ""}`;
    if (!(await confirm(this.place.root, `Delete ${job.name}?`, words, "Delete the job", "Keep it"))) return;
    await this.ask("jobs.delete", { job: job.id }).catch((error: unknown) => {
      if (!isMissing(error)) throw error; // it was heard before
    });
    await this.tell.deleted(job);
  }

  private async prioritise(job: Job, by: 1 | -1): Promise<void> {
    const priority = PRIORITIES[PRIORITIES.indexOf(job.priority) + by]!;
    await this.ask("jobs.prioritise", { job: job.id, priority });
    this.tell.said(`${job.name} has ${priority} priority now.`);
    await this.tell.changed();
  }
}

/** Where something that is well is said. */
export class Said {
  readonly element = element("div", { role: "status" });

  readonly say = (words: string, ...more: Node[]): void => {
    const dismiss = button("✕", () => this.element.replaceChildren(), "small dismiss", "Dismiss");
    this.element.replaceChildren(element("div", { class: "notice" }, element("span", {}, words), ...more, dismiss));
  };
}
