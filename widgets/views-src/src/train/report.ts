// The numbers of a pre-flight. What nobody has measured yet is said to be unknown, with the reason.

import { type FieldProblem, sentence } from "../host/host";
import { control, element } from "../parts/elements";
import { type Bin, histogram } from "../parts/histogram";
import { bytesWords, countWords, numberWords, roughlyWords, shareWords } from "../parts/words";

export type Warning = FieldProblem;

/** What the service found; see adaptery/schemas/preflight.py. */
export interface Report {
  template: string;
  records: number;
  /** Examples that are evaluated on and never learnt. */
  held_out: number;
  examples: number;
  /** Examples that lost their end. */
  cut: number;
  /** Examples of which nothing to learn is left: cut away, or empty from the start. */
  dropped_cut: number;
  dropped_empty: number;
  tokens: number;
  /** Of them, those that are learnt from. */
  target_tokens: number;
  longest: number;
  mean: number;
  lengths: Bin[];
  padding_share: number;
  steps: number;
  steps_per_epoch: number;
  total_tokens: number;
  seconds: { low: number | null; high: number | null; basis: string };
  memory_bytes: { need: number | null; limit: number; basis: string };
  disk_bytes: number | null;
  warnings: Warning[];
}

type Fact = [name: string, value: string, note?: string];

/** `cutoff` is the length at which examples are cut, if it is known; `wayTo` leads to what a warning is about. */
export function reportOf(report: Report, cutoff: number | null, wayTo: (warning: Warning) => HTMLElement | null): HTMLElement {
  return element(
    "div",
    {},
    warningsOf(report.warnings, wayTo),
    element("div", { class: "tiles" }, ...tilesOf(report).map(tileOf)),
    ...(report.lengths.length > 0 ? [histogram({ bins: report.lengths, cutoff, what: "Examples" })] : []),
    control("details", {}, control("summary", {}, "All numbers"), tableOf(factsOf(report))),
  );
}

function warningsOf(warnings: readonly Warning[], wayTo: (warning: Warning) => HTMLElement | null): HTMLElement {
  if (warnings.length === 0) return element("p", { class: "good clear" }, "✓ Nothing stands against it.");
  const lines = warnings.map((warning) => {
    const way = wayTo(warning);
    return element("li", {}, element("strong", {}, sentence(warning.reason)), ` ${warning.remedy ? sentence(warning.remedy) : ""} `, ...(way ? [way] : []));
  });
  return element("div", { class: "notice warn" }, element("ul", { "aria-label": "Warnings" }, ...lines));
}

/** What decides whether to start. */
function tilesOf(report: Report): Fact[] {
  const { steps, steps_per_epoch: each, cut, dropped_cut, dropped_empty, examples, tokens, target_tokens: targets } = report;
  const dropped = dropped_cut + dropped_empty;
  return [
    ["Steps", numberWords(steps), `${numberWords(each)} in an epoch`],
    ["Time", secondsWords(report.seconds), report.seconds.basis],
    ["Memory", memoryWords(report.memory_bytes), report.memory_bytes.basis],
    ["Tokens", numberWords(tokens), `${shareWords(tokens > 0 ? targets / tokens : 0)} of them learnt from`],
    ["Examples", numberWords(examples), [cut > 0 ? `${numberWords(cut)} cut` : "none cut", dropped > 0 ? `${numberWords(dropped)} dropped` : ""].filter(Boolean).join(", ")],
  ];
}

function tileOf([name, value, note = ""]: Fact): HTMLElement {
  return element("div", { class: "tile" }, element("span", { class: "soft" }, name), element("strong", {}, value), element("span", { class: "soft" }, note && sentence(note)));
}

function factsOf(report: Report): Fact[] {
  const facts: [string, number | null, (value: number) => string][] = [
    ["Records", report.records, numberWords],
    ["Examples", report.examples, numberWords],
    ["Examples held out", report.held_out, numberWords],
    ["Examples that are cut", report.cut, numberWords],
    ["Examples dropped: what is learnt was cut away", report.dropped_cut, numberWords],
    ["Examples dropped: nothing to learn", report.dropped_empty, numberWords],
    ["Tokens in an epoch", report.tokens, numberWords],
    ["Tokens that are learnt from", report.target_tokens, numberWords],
    ["Tokens in the whole training", report.total_tokens, numberWords],
    ["Longest example", report.longest, (value) => countWords(value, "token")],
    ["Mean example", report.mean, (value) => `${numberWords(value)} tokens`],
    ["Padding", report.padding_share, shareWords],
    ["Steps", report.steps, numberWords],
    ["Steps in an epoch", report.steps_per_epoch, numberWords],
    ["Disk", report.disk_bytes, bytesWords],
  ];
  const known = facts.flatMap(([name, value, words]): Fact[] => (value === null ? [] : [[name, words(value)]]));
  return [["Chat template", report.template === "model" ? "the base model's own" : report.template], ...known];
}

function tableOf(facts: readonly Fact[]): HTMLElement {
  const rows = facts.map(([name, value]) => element("tr", {}, element("th", { scope: "row" }, name), element("td", { class: "number" }, value)));
  return element("table", {}, element("tbody", {}, ...rows));
}

/** A range of a guess, or one number where both ends are the same in words. */
export function secondsWords({ low, high }: Report["seconds"]): string {
  if (low === null || high === null) return "not known";
  const [from, to] = [roughlyWords(low), roughlyWords(high)];
  return from === to ? `about ${from}` : `${from} to ${to}`;
}

function memoryWords({ need, limit }: Report["memory_bytes"]): string {
  if (need === null) return "not known";
  return `${bytesWords(need)} of ${bytesWords(limit)}`;
}
