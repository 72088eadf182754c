// What the service answers about the review of a draft. See adaptery/schemas/review.py.

import type { Bin } from "../../parts/histogram";
import type { DraftRecord } from "../record";

export type Queue = "exact" | "near" | "phrases" | "pii" | "quality" | "language" | "lengths";
export type Decision = "keep" | "drop" | "strip" | "accept" | "ignore" | "replace";

export interface QueueSummary {
  queue: Queue;
  analysed_at: string | null;
  open: number;
  decided: number;
  /** Records added or changed since the analysis. */
  stale: number;
  /** Open findings by rule: a kind, a flag or a language. */
  rules: Record<string, number>;
  left_out: number;
  languages: Record<string, number>;
  options?: { threshold?: number } | null;
}

export interface Excerpt {
  before: string;
  match: string;
  after: string;
}

export interface FindingRecord {
  /** Another dataset; null if it is in this draft. */
  dataset: string | null;
  id: string;
  record: DraftRecord | null;
  similarity: number | null;
}

export interface Finding {
  id: string;
  queue: Queue;
  rule: string;
  state: "open" | "decided";
  /** Records that it is about, those not shown included. */
  count: number;
  occurrences: number | null;
  records: FindingRecord[];
  excerpt: Excerpt | null;
  replacement: string | null;
  decided: { decision: Decision; by: string; at: string; batch: string | null } | null;
}

export interface DecisionResult {
  decided: number;
  changed_records: number;
  skipped: number;
}

export interface Lengths {
  base_model: string;
  tokenizer: "exact" | "estimate";
  cutoff: number;
  analysed_at: string;
  stale: number;
  records: number;
  tokens: number;
  median: number;
  p95: number;
  max: number;
  bins: Bin[];
  records_cut: number;
  tokens_cut: number;
}

/** The queues in the order of their work, with what each of them is for. */
export const QUEUES: Readonly<Record<Queue, { title: string; help: string }>> = {
  exact: { title: "Exact duplicates", help: "Records that say the same, or ask the same. Keep one of each, or all." },
  near: { title: "Near duplicates", help: "Records that hardly differ: in this draft, and in datasets that you compared it with." },
  phrases: { title: "Repeated phrases", help: "Words that stand in many records, such as the greeting of another model. Keep them, or strip them everywhere." },
  pii: { title: "Personal data", help: "What may name a person. Replace puts a placeholder there; Ignore leaves it." },
  quality: { title: "Quality", help: "Answers that are empty, too short, refused or damaged." },
  language: { title: "Language", help: "Records in another language than expected." },
  lengths: { title: "Lengths", help: "How many tokens the records have, and what a cutoff in training would take away." },
};

const RULES: Readonly<Record<string, string>> = {
  record: "same record",
  prompt: "same question",
  group: "in this draft",
  between: "like one of another dataset",
  email: "e-mail address",
  phone: "phone number",
  ssn: "social security number",
  mrn: "medical record number",
  date: "date",
  age: "age",
  ip: "IP address",
  card: "card number",
  name: "name",
  empty: "empty answer",
  short: "short answer",
  echo: "answer repeats the question",
  refusal: "refusal",
  placeholder: "placeholder left",
  roles: "speakers out of order",
  encoding: "damaged characters",
  illegible: "illegible gap",
  und: "too short to tell",
};

/** What a rule is called; a language by its name. */
export function ruleWords(queue: Queue, rule: string): string {
  if (queue === "language" && /^[a-z]{2,3}$/.test(rule)) return RULES[rule] ?? languageWords(rule);
  return RULES[rule] ?? rule.replace(/_/g, " ");
}

export function languageWords(code: string): string {
  if (code === "und") return RULES.und!;
  try {
    return new Intl.DisplayNames(undefined, { type: "language" }).of(code) ?? code;
  } catch {
    return code;
  }
}

/** What the review waits for, in a few words for each queue. */
export function openWords(queues: readonly QueueSummary[]): string[] {
  return queues.filter(({ open }) => open > 0).map(({ queue, open }) => `${open.toLocaleString()} open in ${QUEUES[queue].title.toLowerCase()}`);
}
