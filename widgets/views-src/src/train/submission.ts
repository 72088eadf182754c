// Submitting a job once. An answer that was lost does not say whether the job arrived: before anything
// is sent again, the list of jobs is asked for one of that name that was not there before.

import { type Host, HostError, isPassing, type Json } from "../host/host";
import { pause, persist, type Trouble } from "../host/persist";
import { ask, type Job, list } from "../host/things";

/** The body of `jobs.submit`. */
export type Wanted = {
  task: string;
  name: string;
  dataset: string;
  base_model: string | null;
  options: Record<string, Json>;
};

export interface Outcome {
  job: Job;
  /** Its own answer was lost; it was found in the list. */
  found: boolean;
}

interface Sent {
  name: string;
  /** The jobs of this name that were there before. */
  known: ReadonlySet<string>;
  answer: Promise<Job>;
}

/** A request that broke off may still be on its way into the list. */
const SETTLE_MS = 1500;
const NEWEST = 100;
const UNCERTAIN = new Set(["closed", "internal"]);
const LOST = "lost_answer";

export class Submission {
  private sent: Sent | null = null;

  constructor(private readonly settleMs = SETTLE_MS) {}

  /** Whether it is not yet known what became of a job that was sent. */
  get open(): boolean {
    return this.sent !== null;
  }

  /** Submit a job, unless one that was sent before has arrived: then that one is answered. */
  async send(host: Host, wanted: Wanted, signal: AbortSignal, trouble: Trouble): Promise<Outcome> {
    if (this.sent) {
      try {
        return await this.settle(host, signal, trouble);
      } catch (error) {
        if (!(error instanceof HostError && error.code === LOST)) throw error;
      }
    }
    const known = new Set((await this.named(host, wanted.name, signal, trouble)).map(({ id }) => id));
    const answer = ask<Job>(host, "jobs.submit", wanted);
    this.sent = { name: wanted.name, known, answer };
    return this.settle(host, signal, trouble);
  }

  /** Wait until it is known what became of the job that was sent. */
  async settle(host: Host, signal: AbortSignal, trouble: Trouble): Promise<Outcome> {
    const { name, known, answer } = this.sent!;
    try {
      const job = await answer;
      this.sent = null;
      return { job, found: false };
    } catch (error) {
      if (!mayHaveArrived(error)) {
        this.sent = null;
        throw error;
      }
    }
    const job = await this.find(host, name, known, signal, trouble);
    if (!job) throw lost(name);
    this.sent = null;
    return { job, found: true };
  }

  private async find(host: Host, name: string, known: ReadonlySet<string>, signal: AbortSignal, trouble: Trouble): Promise<Job | undefined> {
    for (const waits of [0, this.settleMs]) {
      if (waits > 0) await pause(waits, signal);
      const job = (await this.named(host, name, signal, trouble)).find(({ id }) => !known.has(id));
      if (job) return job;
    }
    return undefined;
  }

  private async named(host: Host, name: string, signal: AbortSignal, trouble: Trouble): Promise<Job[]> {
    const found = await persist(() => list<Job>(host, "jobs.list", { search: name }, NEWEST), signal, trouble);
    return found.items.filter((job) => job.name === name);
  }
}

function mayHaveArrived(error: unknown): boolean {
  return isPassing(error) || (error instanceof HostError && UNCERTAIN.has(error.code));
}

function lost(name: string): HostError {
  return new HostError(
    LOST,
    `The answer to your submission was lost, and your jobs have no new one called ${name}`,
    "Submit again; it is looked for once more before anything is sent.",
  );
}
