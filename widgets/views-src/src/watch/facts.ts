// What went into a job and what came out: summary, options, digests.

import { copyButton } from "../parts/copy";
import { element } from "../parts/elements";
import { optionWords } from "../parts/holders";
import { evaluationTable, summaryTable } from "../parts/job-statistics";
import { overruledBy } from "../parts/overruled";
import { bytesWords, digestWords, momentWords, nameWords, numberWords } from "../parts/words";
import type { Job } from "../host/things";
import type { Adapter } from "./job";

/** What the task calls its options. */
export type OptionTitles = Readonly<Record<string, string>>;

type Fact = [name: string, value: Node | string];

export class Facts {
  readonly element = element("div", { class: "facts" });
  private shown = "";

  /** Show a job; what has not changed is left alone, with the focus in it. */
  show(job: Job, adapter: Adapter | null, titles: OptionTitles): void {
    const { progress: _, position: __, ...facts } = job;
    const signature = JSON.stringify([facts, adapter, titles]);
    if (signature === this.shown) return;
    this.shown = signature;
    this.element.replaceChildren(
      ...(job.summary ? [section("Summary", summaryTable(job.summary))] : []),
      ...(job.summary?.evaluation ? [section("Evaluation", evaluationTable(job.summary.evaluation))] : []),
      ...(job.adapter ? [table("Adapter", adapterFacts(job.adapter, adapter))] : []),
      table("Made from", sourceFacts(job)),
      table("Options", optionFacts(job.options, titles)),
    );
  }
}

function adapterFacts(name: string, adapter: Adapter | null): Fact[] {
  const named: Fact = ["Name", element("span", { class: "row" }, element("code", {}, name), copyButton("Copy", `Copy the name ${name}`, () => name))];
  if (adapter === null) return [named];
  return [
    named,
    ["Rank", numberWords(adapter.rank)],
    ["Size", bytesWords(adapter.bytes)],
    ["Weights of the adapter", digest(adapter.weight_digest)],
    ...adapter.content_digests.map((content): Fact => ["Dataset content", digest(content)]),
  ];
}

function sourceFacts(job: Job): Fact[] {
  const facts: Fact[] = [
    ["Base model", job.base_model],
    [job.datasets.length > 1 ? "Datasets" : "Dataset", job.datasets.join(", ")],
    ...(job.validation ? [["Evaluated on", job.validation] as Fact] : []),
    ...(job.start_from ? [["Went on from", job.start_from] as Fact] : []),
    ...(job.reward ? [["Reward model", job.reward] as Fact] : []),
    ["Task", job.task === job.stage ? job.task : `${job.task} (${job.stage})`],
    ...(job.priority === "normal" ? [] : [["Priority", job.priority] as Fact]),
    ["Submitted", momentWords(job.created_at)],
  ];
  if (job.started_at) facts.push(["Started", momentWords(job.started_at)]);
  if (job.finished_at) facts.push(["Finished", momentWords(job.finished_at)]);
  facts.push(["Job", element("code", {}, job.id)]);
  if (job.clearml) facts.push(["ClearML", clearmlLink(job.clearml)]);
  if (job.cloned_from) facts.push(["Copy of the job", element("code", {}, job.cloned_from)]);
  return facts;
}

/** The page of its task; ClearML's word is as old as it says. */
function clearmlLink(task: NonNullable<Job["clearml"]>): Node | string {
  const told = task.status && task.seen_at ? ` (${task.status}, ${momentWords(task.seen_at)})` : "";
  if (!/^https?:\/\//.test(task.url)) return `${task.task}${told}`;
  const link = element("a", { href: task.url, target: "_blank", rel: "noopener noreferrer" }, "Its task");
  return element("span", {}, link, told);
}

/** A digest is compared, not read. */
function digest(text: string): HTMLElement {
  return element("span", { class: "row" }, element("code", { title: text }, digestWords(text)), copyButton("Copy", "Copy the whole digest", () => text));
}

function optionFacts(options: Job["options"], titles: OptionTitles): Fact[] {
  const title = (name: string): string => titles[name] ?? nameWords(name);
  return Object.entries(options).map(([name, value]) => {
    const decides = overruledBy(name, options);
    return [title(name), decides ? `not used: ${title(decides)} decides` : optionWords(value)];
  });
}

function table(title: string, facts: Fact[]): HTMLElement {
  const rows = facts.map(([name, value]) => element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, value)));
  return section(title, element("table", {}, element("tbody", {}, ...rows)));
}

function section(title: string, content: HTMLElement): HTMLElement {
  return element("section", {}, element("h3", {}, title), content);
}
