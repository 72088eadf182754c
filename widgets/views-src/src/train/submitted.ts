// What is shown when a job was submitted.

import { control, element } from "../parts/elements";
import { sentence } from "../host/host";
import type { Outcome } from "./submission";

export interface Ways {
  watch(job: string): void;
  all(): void;
  another(): void;
}

export function submittedPanel({ job, found }: Outcome, ways: Ways): HTMLElement {
  const button = (words: string, act: () => void, main = false): HTMLElement => {
    const made = control("button", { type: "button", class: main ? "main" : "" }, words);
    made.addEventListener("click", act);
    return made;
  };
  const words = found ? "The answer was lost on its way, but the job has arrived: it was found among your jobs." : "The job is submitted.";
  return element(
    "div",
    { class: "submitted", tabindex: "-1", role: "status" },
    element("h3", {}, job.name),
    element("p", {}, words),
    element("p", { class: "soft" }, sentence(job.reason ? `${job.state}: ${job.reason}` : `it is ${job.state} now`)),
    element(
      "div",
      { class: "row" },
      button("Watch it", () => ways.watch(job.id), true),
      button("All jobs", ways.all),
      button("Train another", ways.another),
    ),
  );
}
