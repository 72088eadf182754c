// What the service answers about datasets. See adaptery/schemas/datasets.py.

import { type Args, HostError } from "../host/host";
import { persist } from "../host/persist";
import type { Workplace } from "../parts/work";
import type { DraftRecord, Kind } from "./record";

export type { Operation } from "../host/things";

export interface List<Item> {
  items: Item[];
  has_more: boolean;
}

export interface Dataset {
  id: string;
  name: string;
  full_name: string;
  tenant: string;
  sensitivity: string;
  description: string;
  records: number;
  right: "use" | "view" | "edit" | "manage";
  updated_at: string;
}

export interface FileInfo {
  id: string;
  name: string;
  bytes: number;
  format: string | null;
  container?: string | null;
  records: number;
  /** Bad records that were found. */
  problems?: number;
  mapping?: unknown;
  /** Whether the bytes that came are kept. */
  original?: boolean;
  /** Why it was refused. */
  reason?: string | null;
  state: "receiving" | "received" | "importing" | "ready" | "refused";
  created_at: string;
}

/** A record of a draft or version; `id` is its position. A version tells only the first three. */
export interface RecordItem {
  id: string;
  record_id: string;
  record: DraftRecord;
  file: string | null;
  created_at: string | null;
  kind: Kind | null;
  length: number | null;
  edited: boolean | null;
  changed_at: string | null;
  language?: string | null;
  flags?: string[];
  /** Near duplicates have the same one. */
  group?: number | null;
  split?: string | null;
}

export interface Edit {
  id: string;
  at: string;
  editor: string;
  action: "add" | "replace" | "remove" | "restore" | "split" | "mixed";
  /** Null of many at once. */
  record: string | null;
  before: DraftRecord | null;
  after: DraftRecord | null;
  undone: boolean;
  /** What many records were changed for. */
  batch: string | null;
  records: number;
  /** What stood there is gone from the log. */
  forgotten: boolean;
}

export interface Version {
  id: string;
  number: number;
  name: string;
  content_digest: string | null;
  records: number;
  duplicates_dropped: number;
  state: string;
  created_at: string;
  /** Missing in a version of a release that made none. */
  report?: VersionReport | null;
  description?: string;
  license?: string | null;
  /** Of a merged version: the versions that it references. */
  sources?: string[] | null;
  /** Why it was withdrawn. */
  reason?: string | null;
  withdrawn_at?: string | null;
  withdrawn_sources?: number;
  /** Whether its files are encrypted at rest. */
  encrypted?: boolean;
  /** What was proved of the place where it lies. */
  level?: "enforced" | "integrity checked" | null;
}

export interface VersionReport {
  kinds: Record<string, number>;
  /** Where the records came from; no name means by hand. */
  files: { name: string | null; records: number }[];
  files_left_out: number;
  edits: number;
  characters: { min: number; median: number; max: number; total: number };
  splits?: Record<string, number> | null;
  /** In no split, where others are in one. */
  unsplit?: number | null;
  languages?: Record<string, number> | null;
  /** By queue: what was found and decided. */
  review?: Record<string, { open: number; decided: number }> | null;
  /** By queue: decisions that stood, also where the draft changed after the review. */
  decided?: Record<string, number> | null;
  /** Of a merged version: what its translation left out. */
  dropped?: Record<string, number> | null;
}

export interface Whoami {
  tenant: string;
  groups: string[];
}

export const SENSITIVITIES: Readonly<Record<string, string>> = {
  open: "Not confidential. Who may see it is decided by sharing, as always.",
  internal: "For the people it is shared with, and nobody else. The usual choice.",
  restricted: "Personal or secret. Who may see it is decided by sharing too; its adapters answer only over the sealed channel, in JupyterLab, notebooks and the Python client.",
};

export const FORMATS: Readonly<Record<string, string>> = { alpaca: "Alpaca", sharegpt: "ShareGPT", openai: "OpenAI chat", prompt: "Prompt and completion", preference: "Preference pairs", kto: "KTO labels", text: "Plain text" };

export function mayEdit({ right }: Dataset): boolean {
  return right === "edit" || right === "manage";
}

/** What every part of the view works with; `signal` ends it. */
export interface Context extends Workplace {
  root: HTMLElement;
}

/** Ask for something until somebody answers. For what is safe to ask twice. */
export async function ask<T>({ host, notices, signal }: Context, verb: string, args: Args = {}): Promise<T> {
  return (await persist(() => host.call(verb, args), signal, notices.trouble)) as T;
}

/** Do something; what goes wrong is shown, unless the view is gone. Says whether it went well. */
export async function attempt(context: Context, work: () => Promise<void>, retry = false): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (!context.signal.aborted) context.notices.problem(error, retry ? () => void attempt(context, work, true) : null);
    return false;
  }
}

export function isCode(error: unknown, code: string): error is HostError {
  return error instanceof HostError && error.code === code;
}
