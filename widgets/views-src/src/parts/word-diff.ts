// What changed between two texts, word by word.
// Source: Eugene W. Myers, "An O(ND) Difference Algorithm and Its Variations", 1986.

import { element } from "./elements";

export interface Piece {
  kind: "same" | "removed" | "added";
  text: string;
}

/** So many words may differ; texts that have less in common are shown as replaced. */
const MOST_DIFFERENCES = 600;
const WORD = /[\p{L}\p{N}_]+|\s+|[^\p{L}\p{N}_\s]/gu;

export function wordDiff(before: string, after: string): Piece[] {
  const [old, now] = [before.match(WORD) ?? [], after.match(WORD) ?? []];
  let start = 0;
  while (start < old.length && start < now.length && old[start] === now[start]) start++;
  let end = 0;
  while (end < old.length - start && end < now.length - start && old[old.length - 1 - end] === now[now.length - 1 - end]) end++;
  const middle = between(old.slice(start, old.length - end), now.slice(start, now.length - end));
  return joined([...as("same", old.slice(0, start)), ...middle, ...as("same", old.slice(old.length - end))]);
}

function as(kind: Piece["kind"], words: readonly string[]): Piece[] {
  return words.map((text) => ({ kind, text }));
}

/** The shortest way from one list of words to the other. */
function between(old: string[], now: string[]): Piece[] {
  const replaced = [...as("removed", old), ...as("added", now)];
  if (old.length === 0 || now.length === 0) return replaced;
  const rows: Map<number, number>[] = [];
  const reach = new Map<number, number>([[1, 0]]);
  for (let steps = 0; steps <= Math.min(MOST_DIFFERENCES, old.length + now.length); steps++) {
    rows.push(new Map(reach));
    for (let line = -steps; line <= steps; line += 2) {
      let x = down(reach, line, steps) ? reach.get(line + 1)! : reach.get(line - 1)! + 1;
      while (x < old.length && x - line < now.length && old[x] === now[x - line]) x++;
      reach.set(line, x);
      if (x >= old.length && x - line >= now.length) return traced(rows, old, now);
    }
  }
  return replaced;
}

function down(reach: ReadonlyMap<number, number>, line: number, steps: number): boolean {
  return line === -steps || (line !== steps && (reach.get(line - 1) ?? -1) < (reach.get(line + 1) ?? -1));
}

/** Walk back from the end of both lists to their beginning. */
function traced(rows: readonly Map<number, number>[], old: string[], now: string[]): Piece[] {
  const found: Piece[] = [];
  let [x, y] = [old.length, now.length];
  for (let steps = rows.length - 1; steps >= 0; steps--) {
    const line = x - y;
    const from = down(rows[steps]!, line, steps) ? line + 1 : line - 1;
    const toX = steps === 0 ? 0 : rows[steps]!.get(from)!;
    const toY = steps === 0 ? 0 : toX - from;
    while (x > toX && y > toY) {
      found.push({ kind: "same", text: old[--x]! });
      y--;
    }
    if (steps === 0) break;
    if (x > toX) found.push({ kind: "removed", text: old[--x]! });
    else found.push({ kind: "added", text: now[--y]! });
  }
  return found.reverse();
}

/**
 * Neighbours of one kind become one piece; what was removed stands before what replaced it. A space
 * between two words that were replaced is not what stayed.
 */
function joined(pieces: readonly Piece[]): Piece[] {
  const made: Piece[] = [];
  let [removed, added] = ["", ""];
  const flush = (): void => {
    if (removed) made.push({ kind: "removed", text: removed });
    if (added) made.push({ kind: "added", text: added });
    [removed, added] = ["", ""];
  };
  for (const [index, { kind, text }] of pieces.entries()) {
    if (kind === "removed") removed += text;
    else if (kind === "added") added += text;
    else if (removed && added && text === " " && replaces(pieces, index + 1)) {
      removed += text;
      added += text;
    } else {
      flush();
      const last = made.at(-1);
      if (last?.kind === "same") last.text += text;
      else made.push({ kind, text });
    }
  }
  flush();
  return made;
}

/** Whether something is both removed and added before anything stays. */
function replaces(pieces: readonly Piece[], from: number): boolean {
  const kinds = new Set<Piece["kind"]>();
  for (let at = from; at < pieces.length && pieces[at]!.kind !== "same"; at++) kinds.add(pieces[at]!.kind);
  return kinds.size === 2;
}

/** One side of a difference: what both have, and what only this one has, marked. */
export function side(pieces: readonly Piece[], only: "removed" | "added"): HTMLElement {
  const shown = pieces.filter(({ kind }) => kind === "same" || kind === only);
  return element("div", { class: "said", dir: "auto" }, ...shown.map(({ kind, text }) => (kind === "same" ? text : element(only === "removed" ? "del" : "ins", {}, text))));
}

/** Both in one text. */
export function inline(pieces: readonly Piece[]): HTMLElement {
  const tags = { removed: "del", added: "ins" } as const;
  return element("div", { class: "said", dir: "auto" }, ...pieces.map(({ kind, text }) => (kind === "same" ? text : element(tags[kind], {}, text))));
}
