// The events of a job: first its past, then live. Where it broke off, it goes on.

import type { Host } from "../host/host";
import { follow, persist, type Trouble } from "../host/persist";
import { ask, type Page } from "../host/things";
import type { JobEvent, Run } from "./run";

/** As many as the service gives at once. */
const PAGE_EVENTS = 2000;
/** As many as a chart can be asked for: of a longer run, those that look like all of them. */
const POINTS = 5000;

export class Feed {
  private pastRead = false;

  constructor(
    private readonly host: Host,
    private readonly job: string,
    private readonly run: Run,
    /** Hears of events in order, each once; many at once while the past is read. */
    private readonly taken: (events: JobEvent[]) => void,
  ) {}

  /** Read until the job is over; what is known already is not asked for again. */
  async read(over: () => Promise<boolean>, signal: AbortSignal, trouble: Trouble): Promise<void> {
    // The log is read after the metrics: what the stream then starts behind is in both.
    if (!this.pastRead) {
      await this.readMetrics(signal, trouble);
      await this.readLog(signal, trouble);
      this.pastRead = true;
    }
    const args = (): { job: string; after: number } => ({ job: this.job, after: this.run.resumeAt });
    await follow(this.host, "jobs.events", args, (event) => this.take([event as unknown as JobEvent]), over, signal, trouble);
  }

  private async readMetrics(signal: AbortSignal, trouble: Trouble): Promise<void> {
    const { items } = await persist(() => ask<Page<JobEvent>>(this.host, "jobs.metrics", { job: this.job, points: POINTS }), signal, trouble);
    this.take(items);
  }

  private async readLog(signal: AbortSignal, trouble: Trouble): Promise<void> {
    for (let more = true; more; ) {
      const args = { job: this.job, after: this.run.seq("log"), limit: PAGE_EVENTS };
      const page = await persist(() => ask<Page<JobEvent>>(this.host, "jobs.log", args), signal, trouble);
      this.take(page.items);
      more = page.has_more && page.items.length > 0;
    }
  }

  private take(events: JobEvent[]): void {
    const fresh = events.filter((event) => this.run.take(event));
    if (fresh.length > 0) this.taken(fresh);
  }
}
