// The first batch as the worker will see it, token by token: what is learnt from is marked.

import { control, element, scrolled } from "../parts/elements";
import { countWords, numberWords, shareWords } from "../parts/words";

export interface Token {
  text: string;
  /** How much it counts; 0 is only read. */
  weight: number;
}

export interface BatchRow {
  /** Of the record that it was made of. */
  record: number;
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

export function batchOf({ rows }: Batch): HTMLElement {
  const legend = element("p", { class: "soft" }, element("mark", {}, element("span", {}, "learnt from")), " ", element("span", {}, "only read"), ". A line between two words is the border of two tokens. Nothing of this is kept.");
  return element("div", {}, element("h4", {}, `The first batch: ${countWords(rows.length, "example")}`), legend, ...rows.map((row, at) => rowOf(row, at < OPEN)));
}

/** A row that is folded is drawn when it is opened: there may be many thousands of tokens. */
function rowOf(row: BatchRow, open: boolean): HTMLElement {
  const learnt = row.tokens.filter(({ weight }) => weight > 0).length;
  const words = `Record ${numberWords(row.record)}: ${countWords(row.tokens.length, "token")}, ${shareWords(row.tokens.length > 0 ? learnt / row.tokens.length : 0)} learnt from${row.cut ? ", its end is cut off" : ""}`;
  const box = control("details", {}, control("summary", {}, words));
  const draw = (): void => {
    if (box.open && box.childElementCount === 1) box.append(scrolled(words, "tokens", ...runsOf(row.tokens)), ...(row.shown ? [] : [element("p", { class: "soft" }, "It goes on: there are too many tokens to show all.")]));
  };
  box.addEventListener("toggle", draw);
  box.open = open;
  draw();
  return box;
}

/** Neighbours that are learnt from are one mark, so that it is also heard where it begins and ends. */
function runsOf(tokens: readonly Token[]): HTMLElement[] {
  const runs: HTMLElement[] = [];
  let last: number | null = null;
  for (const token of tokens) {
    if (token.weight !== last) runs.push(token.weight > 0 ? markOf(token.weight) : element("span", { class: "read" }));
    last = token.weight;
    runs.at(-1)!.append(element("span", {}, shownText(token.text)));
  }
  return runs;
}

function markOf(weight: number): HTMLElement {
  return weight === 1 ? element("mark") : element("mark", { title: `counts ${numberWords(weight)} times` });
}

/** A line that ends is seen to. */
function shownText(text: string): string {
  return text.replace(/\n/g, "⏎\n").replace(/\t/g, "⇥\t");
}
