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
  schema: Json;
}

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
}

export type JobState = "created" | "queued" | "training" | "completed" | "failed" | "cancelled";

export interface Job {
  id: string;
  name: string;
  tenant: string;
  task: string;
  base_model: string;
  dataset: string;
  state: JobState;
  /** When it came into this state; null of a job that is older than this field. */
  state_at: string | null;
  reason: string | null;
  position: number | null;
  cancel_requested: boolean;
  progress: number | null;
  adapter: string | null;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
  summary: { train_runtime?: number; train_loss?: number } | null;
  options: Record<string, number | string | boolean>;
  /** What the reader may do with it. */
  right?: "view" | "edit" | "manage" | null;
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
