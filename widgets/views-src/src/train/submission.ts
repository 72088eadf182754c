// Submitting a job once. It is sent with a key: sent again with the same one, it makes no second job, so
// that a lost answer is simply asked for again.

import type { Host } from "../host/host";
import { newKey } from "../host/key";
import { persist, type Trouble } from "../host/persist";
import { ask, type Job } from "../host/things";
import type { Wanted } from "./wanted";

export class Submission {
  /** What was sent last, until its view has seen the job. */
  private sent: { wanted: Wanted; key: string } | null = null;
  private left = false;

  /** Whether the view went away before it had an answer. */
  get open(): boolean {
    return this.left && this.sent !== null;
  }

  /** Submit a job; the same one again, while there was no answer, is still one job. */
  async send(host: Host, wanted: Wanted, signal: AbortSignal, trouble: Trouble): Promise<Job> {
    const same = this.sent !== null && JSON.stringify(this.sent.wanted) === JSON.stringify(wanted);
    if (!same) this.sent = { wanted, key: newKey() };
    return this.settle(host, signal, trouble);
  }

  /** Ask until it is known what became of what was sent last. */
  async settle(host: Host, signal: AbortSignal, trouble: Trouble): Promise<Job> {
    const { wanted, key } = this.sent!;
    this.left = true;
    try {
      const job = await persist(() => ask<Job>(host, "jobs.submit", { ...wanted, key }), signal, trouble);
      if (!signal.aborted) this.sent = null;
      return job;
    } finally {
      if (!signal.aborted) this.left = false;
    }
  }
}
