// A chart in words, for whoever does not see it.

import type { Points } from "./points";
import { numberWords } from "./words";

/** What the words are about. */
export interface Words {
  title: string;
  labels: readonly string[];
  /** What x counts. */
  along: string;
  unit: string;
}

/** A value with its unit. */
export function valueWords(value: number, unit: string): string {
  return unit && !Number.isNaN(value) ? `${numberWords(value)} ${unit}` : numberWords(value);
}

/** An x, which is hardly ever a fraction. */
export function placeWords(x: number): string {
  return numberWords(x, 6);
}

/** A value beside an axis, where there is little room. */
export function axisWords(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e7)) return value.toExponential().replace("+", "");
  return numberWords(value);
}

/** The last point, of those up to one, that has a value of this series; null if none has. */
export function lastOf(points: Points, series: number, upTo = points.length - 1): number | null {
  for (let index = upTo; index >= 0; index--) {
    if (!Number.isNaN(points.value(series, index))) return index;
  }
  return null;
}

/** "Loss: 3.1 at step 1, now 1.62 at step 120, lowest 1.6 at step 110." */
export function summaryOf(points: Points, words: Words): string {
  const said = words.labels.map((label, series) => seriesSummary(points, words, label, series)).filter(Boolean);
  return said.length > 0 ? said.join(" ") : `${words.title}: no points yet.`;
}

function seriesSummary(points: Points, { along, unit }: Words, label: string, series: number): string {
  const last = lastOf(points, series);
  if (last === null) return "";
  let first = last;
  let lowest = last;
  for (let index = last; index >= 0; index--) {
    const value = points.value(series, index);
    if (Number.isNaN(value)) continue;
    first = index;
    if (value <= points.value(series, lowest)) lowest = index;
  }
  const at = (index: number): string => `${valueWords(points.value(series, index), unit)} at ${along} ${placeWords(points.x(index))}`;
  if (first === last) return `${label}: ${at(first)}.`;
  return `${label}: ${at(first)}, now ${at(last)}, lowest ${at(lowest)}.`;
}
