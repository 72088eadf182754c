// Says when one of the reader's jobs has ended. It looks seldom, and not at all while the page is hidden;
// an outage makes it look less often, and costs no news.

import { Notification } from "@jupyterlab/apputils";
import { Poll } from "@lumino/polling";
import { type Host, isHostError, type Json } from "./contract";
import { EndedJobs, type Job } from "./ended-jobs";
import type { Open } from "./view-widget";

const BUSY_MS = 5_000;
const IDLE_MS = 30_000;
const AWAY_MS = 120_000;
/** How long a notice covers a corner of the page; Lab keeps it in its list of notifications. */
const SHOWN_MS = 15_000;
/** What failed wants to be read. */
const FAILED_SHOWN_MS = 60_000;
/** How many of the newest jobs a look asks for. */
const PAGE = 50;

export class JobNotices {
  private readonly jobs = new EndedJobs();
  private mine: ReadonlySet<string> | null = null;
  private readonly poll: Poll;

  constructor(
    private readonly host: Host,
    private readonly open: Open,
  ) {
    this.poll = new Poll({
      name: "adaptery:jobs",
      factory: () => this.look(),
      frequency: { interval: IDLE_MS, backoff: true, max: AWAY_MS },
      standby: "when-hidden",
    });
  }

  /** There may be a new job. */
  lookSoon(): void {
    void this.poll.refresh();
  }

  private async look(): Promise<void> {
    this.mine ??= await this.tenants();
    const answer = (await this.host.call("jobs.list", { limit: PAGE })) as unknown as { items: Job[] };
    const listed = new Set(answer.items.map((job) => job.id));
    const older = this.jobs.waitedFor.filter((id) => !listed.has(id));
    const others = await Promise.all(older.map((id) => this.job(id)));
    const ended = this.jobs.look([...answer.items, ...others.filter((job) => job !== null)]);
    for (const job of ended) if (this.mine.has(job.tenant)) this.tell(job);
    const interval = this.jobs.waitedFor.length > 0 ? BUSY_MS : IDLE_MS;
    if (this.poll.frequency.interval !== interval) this.poll.frequency = { interval, backoff: true, max: AWAY_MS };
  }

  /** The reader and the reader's groups; jobs of others are only shared. */
  private async tenants(): Promise<ReadonlySet<string>> {
    const who = (await this.host.call("whoami")) as unknown as { tenant: string; groups: string[] };
    return new Set([who.tenant, ...who.groups]);
  }

  /** A job that is no longer among the newest. */
  private async job(id: string): Promise<Job | null> {
    try {
      return (await this.host.call("jobs.get", { job: id })) as unknown as Job;
    } catch (error) {
      if (!isHostError(error) || error.code !== "not_found") throw error;
      this.jobs.forget(id);
      return null;
    }
  }

  private tell(job: Job): void {
    const watch = this.action("Watch", "watch", { job: job.id });
    if (job.state === "completed") {
      const chat = job.adapter === null ? [] : [this.action("Chat", "chat", { model: job.adapter })];
      Notification.success(`The job “${job.name}” is completed.`, { autoClose: SHOWN_MS, actions: [watch, ...chat] });
    } else if (job.state === "failed") {
      Notification.error(`The job “${job.name}” has failed.`, { autoClose: FAILED_SHOWN_MS, actions: [watch] });
    } else {
      Notification.info(`The job “${job.name}” was cancelled.`, { autoClose: SHOWN_MS, actions: [watch] });
    }
  }

  private action(label: string, view: string, start: { [key: string]: Json }): Notification.IAction {
    return { label, callback: () => void this.open(view, start) };
  }
}
