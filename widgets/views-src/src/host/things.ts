// What the service answers, as far as forms and lists of jobs read it. The full schemas are Python:
// `adaptery.schemas`.

import type { Args, FieldProblem, Host, Json } from "./host";

export interface Page<T> {
  items: T[];
  has_more: boolean;
}

export interface Task {
  name: string;
  title: string;
  description: string;
  stage: string;
  schema: Json;
  /** The base models that a job of it may take; all, if a service of another release does not tell. */
  base_models?: string[];
  /** The kinds of records that it learns from; missing or empty: not told. */
  kinds?: Kind[];
  takes?: { start_from: boolean; reward: boolean };
}

export type Kind = "chat" | "text" | "preference" | "kto";

export interface BaseModel {
  id: string;
  name: string;
  /** A repository (`hf:org/name`), or `local`. */
  source: string;
  /** Null until a machine has reported it. */
  weight_digest: string | null;
  default: boolean;
}

export interface Dataset {
  id: string;
  name: string;
  full_name: string;
  sensitivity: string;
}

export interface Version {
  id: string;
  dataset: string;
  number: number;
  name: string;
  records: number;
  state: string;
  created_at: string;
  /** Missing in a version of a release that made none. */
  report?: { kinds: Partial<Record<Kind, number>> } | null;
}

export interface Adapter {
  id: string;
  full_name: string;
  base_model: string;
  /** The job that made it. */
  job: string;
  rank: number;
}

/** A state of training that is kept. */
export interface Checkpoint {
  id: string;
  step: number;
  bytes: number;
  metrics: Record<string, number | null> | null;
  created_at: string;
  /** Its name as a model; null if it cannot be served, or not to the reader. */
  model: string | null;
}

export type JobState = "created" | "queued" | "training" | "completed" | "failed" | "cancelled";

export type JobAction = "cancel" | "resubmit" | "clone" | "compare" | "download" | "chat" | "statistics" | "prioritise" | "delete";
export type Priority = "low" | "normal" | "high";

/** What an option of a task can be. */
export type OptionValue = number | string | boolean | string[];

export interface Job {
  id: string;
  name: string;
  tenant: string;
  task: string;
  stage: string;
  base_model: string;
  /** The first of `datasets`. */
  dataset: string;
  datasets: string[];
  /** The version that it is evaluated on, if one was named. */
  validation?: string | null;
  /** The adapter or checkpoint that training goes on from. */
  start_from: string | null;
  /** The reward model that judged its answers. */
  reward: string | null;
  state: JobState;
  /** When it came into this state; null of a job that is older than this field. */
  state_at: string | null;
  reason: string | null;
  position: number | null;
  priority: Priority;
  cancel_requested: boolean;
  progress: number | null;
  step: number | null;
  total_steps: number | null;
  /** Estimates; null where there is no ground for one. */
  starts_at: string | null;
  ends_at: string | null;
  attempts: number;
  adapter: string | null;
  adapter_id: string | null;
  cloned_from: string | null;
  /** The ClearML task that carries it, if its queue leads there. */
  clearml?: { task: string; url: string; status: string | null; seen_at: string | null } | null;
  created_at: string;
  queued_at: string | null;
  started_at: string | null;
  finished_at: string | null;
  summary: Summary | null;
  options: Record<string, OptionValue>;
  /** What the reader may do with it. */
  right?: "view" | "edit" | "manage" | null;
  /** What the reader can do with it now. */
  actions: JobAction[];
}

/** The Trainer's summary, as the worker tells it. */
export interface Summary {
  epoch?: number;
  train_loss?: number;
  train_runtime?: number;
  train_samples_per_second?: number;
  train_steps_per_second?: number;
  total_flos?: number;
  evaluation?: Evaluation;
}

/** How well one model does on held out answers. */
export interface Scores {
  loss: number;
  rouge_l?: number;
  exact_match?: number;
}

/** Base model and adapter on the same held out examples. */
export interface Evaluation {
  examples: number;
  base: Scores;
  adapter: Scores;
}

/** Work that takes longer than a request. */
export interface Operation {
  id: string;
  state: "running" | "completed" | "failed" | "cancelled";
  progress: number;
  done: number;
  total: number | null;
  kind: string;
  result: Record<string, unknown> | null;
  error: { code: string; detail: string; hint?: string; errors?: FieldProblem[] } | null;
}

/** Pages of this many are the largest that the service gives. */
export const PAGE_LIMIT = 200;

export async function ask<T>(host: Host, verb: string, args: Args = {}): Promise<T> {
  return (await host.call(verb, args)) as T;
}

/** The first items of a list, `most` at most; whether there are more. */
export async function list<T extends { id: string }>(host: Host, verb: string, args: Args = {}, most = Infinity): Promise<Page<T>> {
  const items: T[] = [];
  for (;;) {
    const after = items.at(-1)?.id;
    const limit = Math.min(PAGE_LIMIT, most - items.length);
    const page = await ask<Page<T>>(host, verb, { ...args, limit, ...(after === undefined ? {} : { after }) });
    items.push(...page.items);
    if (!page.has_more || page.items.length === 0 || items.length >= most) return { items, has_more: page.has_more };
  }
}
