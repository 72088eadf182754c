// The curves of one job. A chart that nothing is told for is not there; those that few look at are folded.

import { Chart } from "../parts/chart";
import { KINDS } from "../parts/curve-kinds";
import { control, element } from "../parts/elements";
import type { Point } from "../parts/points";
import type { JobEvent } from "./run";

export class Charts {
  readonly element: HTMLElement;
  private readonly charts = KINDS.map((kind) => new Chart(kind));
  private readonly more = control("details", { hidden: true }, control("summary", {}, "More charts"));

  constructor() {
    const grid = (more: boolean): HTMLElement => element("div", { class: "charts" }, ...this.charts.filter((_, at) => (KINDS[at]!.more ?? false) === more).map((chart) => chart.element));
    this.more.append(grid(true));
    this.element = element("div", { class: "curves", hidden: true }, grid(false), this.more);
    for (const chart of this.charts) chart.element.hidden = true;
  }

  append(events: readonly JobEvent[]): void {
    const metrics = events.filter(({ kind }) => kind === "metrics");
    if (metrics.length === 0) return;
    this.charts.forEach((chart, at) => {
      const { fields, more } = KINDS[at]!;
      const points = metrics.map((event) => pointOf(event, fields));
      chart.append(points);
      if (points.every(({ values }) => values.every((value) => value === null))) return;
      chart.element.hidden = this.element.hidden = false;
      if (more) this.more.hidden = false;
    });
  }

  close(): void {
    for (const chart of this.charts) chart.close();
  }
}

/** The point that an event of metrics is in a chart of these fields. */
export function pointOf({ data }: JobEvent, fields: readonly string[]): Point {
  return { x: Number(data.step), values: fields.map((field) => numberOf(data[field])) };
}

function numberOf(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}
