// What a job is asked for with: the body of `jobs.submit` and of a pre-flight, without its key.

import type { FieldProblem, Json } from "../host/host";
import type { OptionValue, Priority } from "../host/things";

/** What a form holds. */
export interface Filled {
  task: string;
  name: string;
  /** Ids of versions. */
  versions: readonly string[];
  baseModel: string;
  /** The version to evaluate on, by its name. */
  validation: string | null;
  startFrom: string | null;
  reward: string | null;
  priority: Priority;
  /** The job whose settings it began with. */
  clonedFrom: string | null;
  options: Record<string, OptionValue>;
}

export type Wanted = { [field: string]: Json };

/** Only what differs from what the service takes by itself is said. */
export function wantedOf(filled: Filled): Wanted {
  const { task, name, versions, baseModel, validation, startFrom, reward, priority, clonedFrom, options } = filled;
  return {
    task,
    name: name.trim(),
    ...(versions.length > 1 ? { datasets: [...versions] } : { dataset: versions[0] ?? "" }),
    base_model: baseModel || null,
    ...(validation ? { validation } : {}),
    ...(startFrom ? { start_from: startFrom } : {}),
    ...(reward ? { reward } : {}),
    ...(priority === "normal" ? {} : { priority }),
    ...(clonedFrom ? { cloned_from: clonedFrom } : {}),
    options,
  };
}

/** What the service says of the data as a whole is shown at the first of them. */
export function placed(problem: FieldProblem): FieldProblem {
  return problem.where === "dataset" || problem.where === "datasets" ? { ...problem, where: "datasets.0" } : problem;
}
