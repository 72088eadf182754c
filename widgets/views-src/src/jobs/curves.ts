// The numbers of several jobs along one axis. Pure.

import type { Point } from "../parts/points";

/** One logging step of a job. */
export interface Step {
  step: number;
  /** Milliseconds since its job began. */
  elapsed: number;
  values: Readonly<Record<string, number | null>>;
}

export type Axis = "step" | "time";

/** Units of time, the largest first; a job that takes three of one is shown in it. */
const UNITS: [words: string, ms: number][] = [
  ["hour", 3_600_000],
  ["minute", 60_000],
  ["second", 1000],
];

export function unitOf(runs: readonly (readonly Step[])[]): [words: string, ms: number] {
  const longest = Math.max(0, ...runs.map((steps) => steps.at(-1)?.elapsed ?? 0));
  return UNITS.find(([, ms]) => longest >= 3 * ms) ?? UNITS.at(-1)!;
}

/** Points with a value of each job: what is at the same place is one point. */
export function pointsOf(runs: readonly (readonly Step[])[], field: string, axis: Axis): Point[] {
  const [, ms] = unitOf(runs);
  const points = new Map<number, (number | null)[]>();
  runs.forEach((steps, run) => {
    for (const { step, elapsed, values } of steps) {
      const value = values[field] ?? null;
      if (value === null) continue;
      const x = axis === "step" ? step : elapsed / ms;
      const at = points.get(x) ?? runs.map(() => null);
      at[run] = value;
      points.set(x, at);
    }
  });
  return [...points].sort(([one], [other]) => one - other).map(([x, values]) => ({ x, values }));
}
