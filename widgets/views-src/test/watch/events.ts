// Events and jobs as the service writes them.

import type { Job } from "../../src/host/things";
import type { Adapter } from "../../src/watch/job";
import { job } from "../support/things";
import type { JobEvent } from "../../src/watch/run";

const START = Date.parse("2026-03-01T10:00:00Z");

export function eventOf(seq: number, kind: string, data: JobEvent["data"], seconds = seq): JobEvent {
  return { seq, at: new Date(START + seconds * 1000).toISOString(), kind, data };
}

export function metricsOf(seq: number, step: number, data: JobEvent["data"] = {}): JobEvent {
  return eventOf(seq, "metrics", { step, epoch: step / 40, step_epoch: Math.floor(step / 40), loss: 3 - step / 100, learning_rate: 2e-4, ...data });
}

export function jobOf(changes: Partial<Job> = {}): Job {
  return job("jb_01", {
    name: "soap",
    base_model: "tiny-chat",
    dataset: "@demo/visits@1",
    state: "training",
    state_at: "2026-03-01T10:00:00Z",
    attempts: 1,
    created_at: "2026-03-01T09:59:00Z",
    queued_at: "2026-03-01T09:59:10Z",
    started_at: "2026-03-01T10:00:00Z",
    options: { epochs: 3, learning_rate: 0.0002, rank: 8 },
    ...changes,
  });
}

export const COMPLETED: Partial<Job> = {
  state: "completed",
  progress: 1,
  adapter: "@demo/soap@2",
  adapter_id: "ad_01",
  finished_at: "2026-03-01T10:02:05Z",
  summary: { epoch: 3, train_loss: 1.8412, train_runtime: 125.3, train_samples_per_second: 3.83, train_steps_per_second: 0.96, total_flos: 1.27e13 },
};

export const ADAPTER: Adapter = {
  full_name: "@demo/soap@2",
  weight_digest: `sha256:${"a".repeat(64)}`,
  content_digests: [`sha256:${"b".repeat(64)}`],
  rank: 8,
  bytes: 4_200_000,
  tenant: "@demo",
  right: "manage",
};
