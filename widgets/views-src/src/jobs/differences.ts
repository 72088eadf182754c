// In what jobs differ. Pure.

import type { Job, OptionValue } from "../host/things";
import { sameValue, textOfValue } from "../parts/holders";
import { nameWords } from "../parts/words";

export interface Difference {
  title: string;
  /** Of each job, in order. */
  values: string[];
  differs: boolean;
}

const FACTS: [title: string, of: (job: Job) => OptionValue | null][] = [
  ["Task", ({ task }) => task],
  ["Base model", ({ base_model }) => base_model],
  ["Data", ({ datasets }) => datasets],
  ["Went on from", ({ start_from }) => start_from],
  ["Reward model", ({ reward }) => reward],
];

/** What went into the jobs: what they share, too. `titles` are what their tasks call the options. */
export function differencesOf(jobs: readonly Job[], titles: Readonly<Record<string, string>>): Difference[] {
  const options = [...new Set(jobs.flatMap((job) => Object.keys(job.options)))];
  return [
    ...FACTS.map(([title, of]) => differenceOf(title, jobs.map((job) => of(job) ?? undefined))),
    ...options.map((name) => differenceOf(titles[name] ?? nameWords(name), jobs.map((job) => job.options[name]))),
  ].filter(({ values }) => values.some((value) => value !== "–"));
}

function differenceOf(title: string, values: readonly (OptionValue | undefined)[]): Difference {
  return { title, values: values.map((value) => textOfValue(value) || "–"), differs: values.some((value) => !sameValue(value, values[0])) };
}
