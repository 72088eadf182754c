// The curves that jobs tell: what events of metrics call them, and how they are drawn.

import type { ChartOptions } from "./chart";

export interface Kind extends ChartOptions {
  /** What events of metrics call its series. */
  fields: readonly string[];
  /** It is folded. */
  more?: boolean;
}

export const KINDS: readonly Kind[] = [
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

/** One chart of each field, for the curves of several jobs in it. */
export const SINGLE: readonly (Omit<Kind, "series" | "more" | "fields"> & { field: string })[] = KINDS.flatMap(({ fields, series, more: _, ...kind }) =>
  fields.map((field, at) => ({ ...kind, field, ...(fields.length > 1 ? { title: series[at]!.label } : {}) })),
);
