// One job in a table. It is written once and then changed in place, so that focus and selection stay.

import type { Job } from "../host/things";
import { cell, label, say } from "../parts/cells";
import { copyButton } from "../parts/copy";
import { button, control, element } from "../parts/elements";
import { type Deed, deedsOf, DEEDS } from "../parts/job-actions";
import { Menu } from "../parts/menu";
import { agoWords, momentWords } from "../parts/words";
import { FIRST, type SectionKind, sinceOf } from "./sections";
import { statusOf } from "./status";

interface Listener {
  act(deed: Deed, job: Job): void;
  /** The job shall be compared, or not any more. */
  compare(job: Job, chosen: boolean): void;
}

export class Row {
  private readonly choice = control("input", { type: "checkbox" });
  private readonly name = element("strong");
  private readonly owner = element("span", { class: "soft" });
  private readonly dataset = element("span");
  private readonly baseModel = element("span", { class: "soft" });
  private readonly state = element("span", { class: "chip" });
  private readonly bar = element("progress", { max: "1" });
  private readonly text = element("span", { class: "text" });
  private readonly copy = copyButton("Copy", "Copy the adapter's name", () => this.job.adapter ?? "");
  private readonly note = element("span", { class: "soft" });
  private readonly time = element("time");
  private readonly labels = { status: label(""), since: label("") };
  private readonly first = new Map<Deed, HTMLButtonElement>();
  private readonly rest = new Map<Deed, HTMLButtonElement>();
  private readonly menu: Menu;
  readonly element: HTMLElement;

  constructor(
    private job: Job,
    private readonly isAdmin: boolean,
    tell: Listener,
  ) {
    const made = (deed: Deed, style: string): HTMLButtonElement => button(DEEDS[deed], () => tell.act(deed, this.job), style);
    const first = new Set(Object.values(FIRST).flat());
    for (const deed of Object.keys(DEEDS) as Deed[]) {
      if (first.has(deed)) this.first.set(deed, made(deed, "small"));
      if (deed !== "watch" && deed !== "compare") this.rest.set(deed, made(deed, ""));
    }
    this.menu = new Menu("", ...this.rest.values());
    this.choice.addEventListener("change", () => tell.compare(this.job, this.choice.checked));
    const status = element("div", { class: "row" }, this.state, this.text, this.copy);
    this.element = element(
      "tr",
      { role: "row" },
      element("th", { scope: "row", role: "rowheader" }, element("div", { class: "named" }, this.choice, element("div", {}, this.name, this.owner))),
      cell(label("Data and model"), this.dataset, this.baseModel),
      cell(this.labels.status, this.bar, status, this.note),
      element("td", { role: "cell", class: "since" }, this.labels.since, this.time),
      element("td", { role: "cell", class: "actions" }, element("div", { class: "row" }, ...this.first.values(), this.menu.element)),
    );
  }

  /** Show the job as it is now. */
  update(job: Job, kind: SectionKind, now: number, chosen: boolean): void {
    this.job = job;
    const status = statusOf(job, now);
    say(this.name, job.name);
    say(this.owner, [job.task, job.tenant, job.priority === "normal" ? "" : `${job.priority} priority`].filter(Boolean).join(" · "));
    say(this.dataset, job.datasets.length > 1 ? `${job.dataset} and ${job.datasets.length - 1} more` : job.dataset);
    this.dataset.title = job.datasets.join(", ");
    say(this.baseModel, job.base_model);
    say(this.state, chipOf(job, kind));
    say(this.text, status.text);
    say(this.note, status.note);
    this.copy.hidden = job.adapter === null;
    say(this.labels.status, kind.status);
    say(this.labels.since, kind.since);
    const since = sinceOf(job);
    say(this.time, agoWords(since, now));
    this.time.title = momentWords(since);
    this.time.dateTime = since;
    this.choice.checked = chosen;
    this.showProgress(status.progress);
    this.showActions();
  }

  /** Go to the first thing that can be done here. */
  focus(): void {
    this.first.get("watch")!.focus();
  }

  private showProgress(progress: number | null | undefined): void {
    this.bar.hidden = progress === undefined;
    this.bar.setAttribute("aria-label", `Progress of ${this.job.name}`);
    if (typeof progress === "number") this.bar.value = progress;
    else this.bar.removeAttribute("value");
  }

  private showActions(): void {
    const { name, state } = this.job;
    const offered = deedsOf(this.job, this.isAdmin);
    const first = FIRST[state].filter((deed) => offered.includes(deed));
    this.showButtons(this.first, first);
    const rest = offered.filter((deed) => !first.includes(deed) && this.rest.has(deed));
    this.showButtons(this.rest, rest);
    this.menu.element.hidden = rest.length === 0;
    this.menu.name = `More for ${name}`;
    this.choice.hidden = !offered.includes("compare");
    this.choice.setAttribute("aria-label", `Compare ${name}`);
  }

  private showButtons(buttons: ReadonlyMap<Deed, HTMLButtonElement>, shown: readonly Deed[]): void {
    for (const [deed, each] of buttons) {
      each.setAttribute("aria-label", `${DEEDS[deed]} ${this.job.name}`);
      const hides = !shown.includes(deed);
      if (hides && (each.getRootNode() as Document | ShadowRoot).activeElement === each) this.focus();
      each.hidden = hides;
    }
  }
}

/** What the heading of the section does not say of the state. */
function chipOf(job: Job, kind: SectionKind): string {
  if (!kind.final) return job.cancel_requested ? "cancelling …" : "";
  return kind.states.length > 1 ? job.state : "";
}
