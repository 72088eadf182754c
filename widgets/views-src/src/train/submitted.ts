// What is shown when a job was submitted.

import { control, element } from "../parts/elements";
import { sentence } from "../host/host";
import type { Job } from "../host/things";

export interface Ways {
  watch(job: string): void;
  all(): void;
  another(): void;
}

export function submittedPanel(job: Job, ways: Ways): HTMLElement {
  const button = (words: string, act: () => void, main = false): HTMLElement => {
    const made = control("button", { type: "button", class: main ? "main" : "" }, words);
    made.addEventListener("click", act);
    return made;
  };
  return element(
    "div",
    { class: "submitted", tabindex: "-1", role: "status" },
    element("h3", {}, job.name),
    element("p", {}, "The job is submitted."),
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
