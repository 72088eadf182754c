// The events of a job: first its past in pages, then live. Where it broke off, it goes on.

import type { Host, Json } from "../host/host";
import { follow, persist, type Trouble } from "../host/persist";
import { ask, type Page } from "../host/things";
import type { JobEvent, Kind, Run } from "./run";

/** As many as the service gives at once. */
const PAGE_EVENTS = 2000;
/** A worker says how many steps there are before its first one, so within so many events. */
const HEAD_EVENTS = 100;

export class Feed {
  private pastRead = false;

  constructor(
    private readonly host: Host,
    private readonly job: string,
    private readonly run: Run,
    /** Hears of events in order, each once; many at once while the past is read, none if only `run` knows more. */
    private readonly taken: (events: JobEvent[]) => void,
  ) {}

  /** Read until the job is over; what is known already is not asked for again. */
  async read(over: () => Promise<boolean>, signal: AbortSignal, trouble: Trouble): Promise<void> {
    // The log is read after the metrics: what the stream then starts behind is in both.
    if (!this.pastRead) {
      await this.readPages("jobs.metrics", "metrics", signal, trouble);
      await this.readPages("jobs.log", "log", signal, trouble);
      await this.readHead(signal, trouble);
      this.pastRead = true;
    }
    const args = (): { job: string; after: number } => ({ job: this.job, after: this.run.resumeAt });
    await follow(this.host, "jobs.events", args, (event) => this.take([event as unknown as JobEvent]), over, signal, trouble);
  }

  private async readPages(verb: string, kind: Kind, signal: AbortSignal, trouble: Trouble): Promise<void> {
    for (let more = true; more; ) {
      const args = { job: this.job, after: this.run.seq(kind), limit: PAGE_EVENTS };
      const page = await persist(() => ask<Page<JobEvent>>(this.host, verb, args), signal, trouble);
      this.take(page.items);
      more = page.has_more && page.items.length > 0;
    }
  }

  /** Metrics alone do not say how many steps there are. */
  private async readHead(signal: AbortSignal, trouble: Trouble): Promise<void> {
    if (this.run.step === 0) return;
    await persist(
      async () => {
        for await (const event of this.host.stream("jobs.events", { job: this.job, after: 0 }, signal) as AsyncIterable<Json>) {
          const { seq } = event as unknown as JobEvent;
          this.run.learn(event as unknown as JobEvent);
          if (this.run.totalSteps !== null || seq >= HEAD_EVENTS) break;
        }
      },
      signal,
      trouble,
    );
    this.taken([]);
  }

  private take(events: JobEvent[]): void {
    const fresh = events.filter((event) => this.run.take(event));
    if (fresh.length > 0) this.taken(fresh);
  }
}
