// Things of the service as tests write them down.

import type { Dataset, Job, JobAction } from "../../src/host/things";
import type { Statistics } from "../../src/parts/job-statistics";

export const TASK = {
  name: "training-v0",
  title: "Fine-tune an adapter",
  description: "Supervised fine-tuning.",
  stage: "sft",
  queue: "training",
  schema: {
    type: "object",
    properties: {
      epochs: { type: "number", title: "Epochs", description: "How often training passes over the whole dataset.", default: 3, minimum: 0.01, maximum: 100 },
      learning_rate: { type: "number", title: "Learning rate", description: "The peak step size.", default: 0.0002, minimum: 1e-7, maximum: 0.1 },
      rank: { type: "integer", title: "LoRA rank", default: 8, minimum: 1, maximum: 256 },
      max_steps: { type: "integer", title: "Steps", minimum: 1, maximum: 1000000, advanced: true },
    },
  },
};

export const BASE_MODELS = [
  { id: "bm_1", name: "small/one", source: "hf:small/one", weight_digest: `sha256:${"ab".repeat(32)}`, default: false },
  { id: "bm_2", name: "small/two", source: "local", weight_digest: null, default: true },
];

export function dataset(id: string, name: string, sensitivity = "internal"): Dataset {
  return { id, name, full_name: `@demo/${name}`, sensitivity };
}

export function version(id: string, of: string, number: number, state = "completed"): object {
  const created_at = "2026-03-01T10:00:00.000Z";
  return { id, dataset: `ds_${of}`, number, name: `@demo/${of}@${number}`, records: 20 * number, state, created_at };
}

export function job(id: string, changes: Partial<Job> = {}): Job {
  return {
    id,
    name: "visits",
    tenant: "@demo",
    task: "training-v0",
    stage: "sft",
    base_model: "small/two",
    dataset: "@demo/visits@2",
    datasets: [changes.dataset ?? "@demo/visits@2"],
    start_from: null,
    reward: null,
    state: "created",
    state_at: "2026-03-01T10:00:00.000Z",
    reason: null,
    position: null,
    priority: "normal",
    cancel_requested: false,
    progress: null,
    step: null,
    total_steps: null,
    starts_at: null,
    ends_at: null,
    attempts: 0,
    adapter: null,
    adapter_id: null,
    cloned_from: null,
    created_at: "2026-03-01T10:00:00.000Z",
    queued_at: null,
    started_at: null,
    finished_at: null,
    summary: null,
    options: { epochs: 1, learning_rate: 0.001, rank: 4 },
    actions: actionsOf(changes),
    ...changes,
  };
}

/** What the service lets the owner of a job do with it. */
function actionsOf({ state = "created", adapter = null, cancel_requested = false }: Partial<Job>): JobAction[] {
  const always: JobAction[] = ["clone", "compare", "statistics"];
  if (state === "completed") return [...always, "resubmit", ...(adapter ? (["download", "chat"] as const) : []), "delete"];
  if (state === "failed" || state === "cancelled") return [...always, "resubmit", "delete"];
  return [...always, ...(cancel_requested ? [] : (["cancel"] as const)), ...(state === "training" ? [] : (["prioritise"] as const))];
}

export const STATISTICS: Statistics = {
  attempts: [
    { number: 1, agent: "desk", started_at: "2026-03-01T10:00:00Z", ended_at: "2026-03-01T10:05:00Z", outcome: "lease_lost", reason: "the agent went away", checkpoints: 1 },
    { number: 2, agent: "desk", started_at: "2026-03-01T10:06:00Z", ended_at: null, outcome: null, reason: null, checkpoints: 2 },
  ],
  wait_seconds: 12,
  train_seconds: 600,
  step: 120,
  total_steps: 120,
  step_seconds: 2.5,
  tokens: 40_000,
  tokens_per_second: 310.5,
  peak_memory_bytes: 1.2e9,
  best_eval_loss: 1.4,
  best_step: 80,
  last_loss: 1.2,
  summary: { train_loss: 1.8 },
  inputs: [{ dataset: "@demo/visits@2", split: "train", records: 36 }],
};
