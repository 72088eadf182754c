// What a job cost and how it went, in numbers. What was not measured is left out.

import type { Evaluation, Scores, Summary } from "../host/things";
import { element, scrolled } from "./elements";
import { bytesWords, durationWords, momentWords, nameWords, numberWords, scientificWords } from "./words";

/** See adaptery/schemas/job_statistics.py. */
export interface Statistics {
  attempts: { number: number; agent: string | null; started_at: string | null; ended_at: string | null; outcome: string | null; reason: string | null; checkpoints: number }[];
  wait_seconds: number | null;
  train_seconds: number;
  step: number | null;
  total_steps: number | null;
  step_seconds: number | null;
  tokens: number | null;
  tokens_per_second: number | null;
  peak_memory_bytes: number | null;
  best_eval_loss: number | null;
  best_step: number | null;
  last_loss: number | null;
  summary: Summary | null;
  inputs: { dataset: string; split: string | null; records: number | null }[];
}

/** The Trainer's names, in words and with their units. */
const SUMMARY: [field: keyof Summary, name: string, words: (value: number) => string][] = [
  ["epoch", "Epochs", (value) => numberWords(value)],
  ["train_loss", "Mean loss", (value) => numberWords(value)],
  ["train_runtime", "Training time", (value) => (value < 60 ? `${numberWords(value, 3)} s` : durationWords(value))],
  ["train_samples_per_second", "Examples per second", (value) => numberWords(value)],
  ["train_steps_per_second", "Steps per second", (value) => numberWords(value)],
  ["total_flos", "Floating-point operations", (value) => scientificWords(value)],
];

const SCORES: [field: keyof Scores, name: string, words: (value: number) => string][] = [
  ["loss", "Loss on the answers", (value) => numberWords(value, 4)],
  ["rouge_l", "ROUGE-L", (value) => numberWords(value, 3)],
  ["exact_match", "Exact match", (value) => `${numberWords(100 * value, 3)} %`],
];

export function statisticsOf(statistics: Statistics): HTMLElement {
  const { attempts, inputs, summary } = statistics;
  return element(
    "div",
    { class: "statistics" },
    listOf(statistics),
    ...(summary ? [element("section", {}, element("h4", {}, "Summary"), summaryTable(summary))] : []),
    ...(summary?.evaluation ? [element("section", {}, element("h4", {}, "Evaluation"), evaluationTable(summary.evaluation))] : []),
    ...(attempts.length > 0 ? [element("section", {}, element("h4", {}, "Attempts"), attemptsTable(attempts))] : []),
    ...(inputs.length > 0 ? [element("section", {}, element("h4", {}, "Learnt from"), inputsTable(inputs))] : []),
  );
}

export function summaryTable(summary: Summary): HTMLElement {
  const rows = SUMMARY.flatMap(([field, name, words]) => {
    const value = summary[field];
    if (typeof value !== "number" || (field === "total_flos" && value === 0)) return []; // not every stage counts them
    const head = element("th", { scope: "row" }, name, " ", element("code", {}, field));
    return [element("tr", {}, head, element("td", { class: "number" }, words(value)))];
  });
  return element("table", {}, element("tbody", {}, ...rows));
}

/** Base model and adapter side by side; what was not measured of both is left out. */
export function evaluationTable({ examples, base, adapter }: Evaluation): HTMLElement {
  const rows = SCORES.flatMap(([field, name, words]) => {
    const [before, after] = [base[field], adapter[field]];
    return before === undefined || after === undefined ? [] : [[name, words(before), words(after)]];
  });
  return tableOf([`On ${numberWords(examples)} held out`, "Base model", "Adapter"], rows);
}

/** How well the adapter did on what was held out. */
export function scoresOf({ summary }: Statistics): [name: string, words: string][] {
  const adapter = summary?.evaluation?.adapter;
  return SCORES.flatMap(([field, name, words]): [string, string][] => (adapter?.[field] === undefined ? [] : [[`${name}, held out`, words(adapter[field])]]));
}

/** The numbers that are known, as words. */
export function numbersOf(statistics: Statistics): [name: string, words: string][] {
  const { wait_seconds, train_seconds, step_seconds, tokens, tokens_per_second, peak_memory_bytes, last_loss, best_eval_loss, best_step } = statistics;
  const known: [string, number | null, (value: number) => string][] = [
    ["Waited", wait_seconds, durationWords],
    ["Whole time, all attempts", train_seconds, durationWords],
    ["One step", step_seconds, (seconds) => `${numberWords(seconds, 3)} s`],
    ["Tokens", tokens, numberWords],
    ["Tokens per second, median", tokens_per_second, (value) => numberWords(value)],
    ["Most memory", peak_memory_bytes, bytesWords],
    ["Last loss", last_loss, (value) => numberWords(value)],
    ["Best eval loss", best_eval_loss, (value) => `${numberWords(value)}${best_step === null ? "" : ` at step ${numberWords(best_step)}`}`],
  ];
  return known.flatMap(([name, value, words]): [string, string][] => (value === null ? [] : [[name, words(value)]]));
}

function listOf(statistics: Statistics): HTMLElement {
  const rows = numbersOf(statistics).map(([name, words]) => element("tr", {}, element("th", { scope: "row" }, name), element("td", { class: "number" }, words)));
  return element("table", {}, element("tbody", {}, ...rows));
}

function attemptsTable(attempts: Statistics["attempts"]): HTMLElement {
  return tableOf(
    ["Attempt", "Agent", "Started", "Took", "Checkpoints", "Ended"],
    attempts.map(({ number, agent, started_at, ended_at, outcome, reason, checkpoints }) => [
      numberWords(number),
      agent ?? "–",
      started_at ? momentWords(started_at) : "–",
      started_at && ended_at ? durationWords((Date.parse(ended_at) - Date.parse(started_at)) / 1000) : "–",
      numberWords(checkpoints),
      outcome ? [nameWords(outcome), reason].filter(Boolean).join(": ") : "runs",
    ]),
  );
}

function inputsTable(inputs: Statistics["inputs"]): HTMLElement {
  return tableOf(["Dataset", "Split", "Records"], inputs.map(({ dataset, split, records }) => [dataset, split ?? "all", records === null ? "–" : numberWords(records)]));
}

/** It may be wider than there is room: then it scrolls by itself. */
function tableOf(heads: readonly string[], rows: readonly (readonly string[])[]): HTMLElement {
  const body = rows.map(([first = "", ...rest]) => element("tr", {}, element("th", { scope: "row" }, first), ...rest.map((words) => element("td", {}, words))));
  const table = element("table", {}, element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", { scope: "col" }, head)))), element("tbody", {}, ...body));
  return scrolled(heads[0]!, "scrolls", table);
}

export const STATISTICS_STYLE = `
.ady .statistics { display: flex; flex-direction: column; gap: 16px; min-width: 0; }
.ady .statistics h4 { margin: 0 0 4px; font-size: 14px; }
.ady .statistics .scrolls { overflow-x: auto; }
.ady .statistics tbody th { color: var(--ink); font-weight: 400; white-space: normal; overflow-wrap: anywhere; }
.ady .statistics th code { display: block; font-size: 12px; font-weight: 400; color: var(--soft); }
`;
