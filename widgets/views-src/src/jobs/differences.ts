// In what jobs differ. Pure.

import type { Job, OptionValue } from "../host/things";
import { optionWords, sameValue } from "../parts/holders";
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
  ["Evaluated on", ({ validation }) => validation ?? null],
  ["Went on from", ({ start_from }) => start_from],
  ["Reward model", ({ reward }) => reward],
];

/** What the options of a task are called, and which field of the job spec each goes into. */
export type Options = Readonly<Record<string, { title?: string; into?: string }>>;

/** What went into the jobs: what they share, too. Options of different tasks are the same if they go into the same field. */
export function differencesOf(jobs: readonly Job[], tasks: Readonly<Record<string, Options>>): Difference[] {
  const titles = new Map<string, string>();
  const values = jobs.map(({ task, options }) => {
    const entries = Object.entries(options).map(([name, value]): [string, OptionValue] => {
      const { title = nameWords(name), into = title } = tasks[task]?.[name] ?? {};
      if (!titles.has(into)) titles.set(into, title);
      return [into, value];
    });
    return new Map(entries);
  });
  return [
    ...FACTS.map(([title, of]) => differenceOf(title, jobs.map((job) => of(job) ?? undefined))),
    ...[...titles].map(([into, title]) => differenceOf(title, values.map((each) => each.get(into)))),
  ].filter(({ values }) => values.some((value) => value !== "–"));
}

function differenceOf(title: string, values: readonly (OptionValue | undefined)[]): Difference {
  return { title, values: values.map((value) => (value === undefined ? "" : optionWords(value)) || "–"), differs: values.some((value) => !sameValue(value, values[0])) };
}
