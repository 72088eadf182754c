// The first batch as the worker will see it, token by token: what is learnt from is marked.

import { button, control, element, scrolled } from "../parts/elements";
import { countWords, numberWords, shareWords } from "../parts/words";

export interface Token {
  text: string;
  /** How much it counts; 0 is only read. */
  weight: number;
}

export interface BatchRow {
  /** Of the record that it was made of: in its dataset, or in all of them together if none is named. */
  record: number;
  dataset?: string | null;
  tokens: Token[];
  /** Its end is cut off. */
  cut: boolean;
  /** Not all of its tokens are here: there are too many. */
  shown: boolean;
}

export interface Batch {
  rows: BatchRow[];
}

/** Rows that are open at first. */
const OPEN = 2;

/** What is only read is folded beyond this many tokens, so that what is learnt is in sight; so many stay at both ends. */
const LONGEST_READ = 60;
const LEFT_AT_AN_END = 16;

/** `several` says whether it is made of several datasets. */
export function batchOf({ rows }: Batch, several: boolean): HTMLElement {
  const legend = element("p", { class: "soft" }, element("mark", {}, element("span", {}, "learnt from")), " ", element("span", {}, "only read"), ". A line between two words is the border of two tokens. Nothing of this is kept.");
  return element("div", {}, element("div", { class: "batch-head" }, element("h4", {}, `The first batch: ${countWords(rows.length, "example")}`), legend), ...rows.map((row, at) => rowOf(row, several, at < OPEN)));
}

/** A row that is folded is drawn when it is opened: there may be many thousands of tokens. */
function rowOf(row: BatchRow, several: boolean, open: boolean): HTMLElement {
  const learnt = row.tokens.filter(({ weight }) => weight > 0).length;
  const words = `${originWords(row, several)}: ${countWords(row.tokens.length, "token")}, ${shareWords(row.tokens.length > 0 ? learnt / row.tokens.length : 0)} learnt from${row.cut ? ", its end is cut off" : ""}`;
  const box = control("details", {}, control("summary", {}, words));
  const draw = (): void => {
    if (box.open && box.childElementCount === 1) box.append(scrolled(words, "tokens", ...runsOf(row.tokens)), ...(row.shown ? [] : [element("p", { class: "soft" }, "It goes on: there are too many tokens to show all.")]));
  };
  box.addEventListener("toggle", draw);
  box.open = open;
  draw();
  return box;
}

function originWords({ record, dataset }: BatchRow, several: boolean): string {
  const of = dataset ? ` of ${dataset}` : several ? " of all datasets in a row" : "";
  return `Record ${numberWords(record)}${of}`;
}

/** Neighbours that are learnt from are one mark, so that it is also heard where it begins and ends. */
function runsOf(tokens: readonly Token[]): HTMLElement[] {
  const runs: Token[][] = [];
  for (const token of tokens) {
    if (token.weight === runs.at(-1)?.[0]!.weight) runs.at(-1)!.push(token);
    else runs.push([token]);
  }
  return runs.map(runOf);
}

function runOf(run: readonly Token[]): HTMLElement {
  const { weight } = run[0]!;
  const spans = run.map(({ text }) => element("span", {}, shownText(text)));
  if (weight > 0) return markOf(weight, spans);
  const read = element("span", { class: "read" }, ...spans);
  if (spans.length > LONGEST_READ) fold(spans.slice(LEFT_AT_AN_END, -LEFT_AT_AN_END));
  return read;
}

/** Put a button in the place of these, which brings them back. */
function fold(spans: readonly HTMLElement[]): void {
  const count = countWords(spans.length, "token");
  const unfold = button(`… ${count}`, () => {
    const place = unfold.closest<HTMLElement>("[tabindex]");
    unfold.replaceWith(...spans);
    place?.focus({ preventScroll: true });
  }, "small", `Show ${count} more`);
  spans[0]!.before(unfold);
  for (const span of spans) span.remove();
}

function markOf(weight: number, spans: readonly HTMLElement[]): HTMLElement {
  return element("mark", weight === 1 ? {} : { title: `counts ${numberWords(weight)} times` }, ...spans);
}

/** A line that ends is seen to. */
function shownText(text: string): string {
  return text.replace(/\n/g, "⏎\n").replace(/\t/g, "⇥\t");
}
