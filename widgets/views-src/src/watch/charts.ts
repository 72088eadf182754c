// The curves of one job. A chart that nothing is told for is not there; those that few look at are folded.

import { Chart, type ChartOptions } from "../parts/chart";
import { control, element } from "../parts/elements";
import type { Point } from "../parts/points";
import type { JobEvent } from "./run";

interface Kind extends ChartOptions {
  /** What events of metrics call its series. */
  fields: readonly string[];
  /** It is folded. */
  more?: boolean;
}

const KINDS: readonly Kind[] = [
  { title: "Loss", fields: ["loss", "eval_loss"], series: [{ label: "Loss" }, { label: "Eval loss", sparse: true }], logarithmic: true },
  { title: "Learning rate", fields: ["learning_rate"], series: [{ label: "Learning rate" }] },
  { title: "Epoch", about: "Passes over the dataset, the present one in part.", fields: ["epoch"], series: [{ label: "Epoch" }] },
  { title: "Step epoch", about: "Whole passes over the dataset: 0 until the first is complete.", fields: ["step_epoch"], series: [{ label: "Completed epochs" }], stepped: true },
  { title: "Reward", about: "Mean score of its own answers.", fields: ["reward"], series: [{ label: "Reward" }] },
  { title: "Accuracy", about: "Share of the pairs whose chosen answer scores higher.", fields: ["reward_accuracy"], series: [{ label: "Accuracy" }] },
  { title: "Margin", about: "By how much good answers score higher than bad ones.", fields: ["reward_margin"], series: [{ label: "Margin" }] },
  { title: "Distance", about: "From the model at the start.", unit: "nats", fields: ["kl"], series: [{ label: "Distance" }] },
  { title: "Gradient norm", fields: ["grad_norm"], series: [{ label: "Gradient norm" }], logarithmic: true, more: true },
  { title: "Speed", unit: "tokens/s", fields: ["tokens_per_second"], series: [{ label: "Speed" }], more: true },
];

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
