// One job in a table. It is written once and then changed in place, so that focus and selection stay.

import type { Job } from "../host/things";
import { cell, label, say } from "../parts/cells";
import { copyButton } from "../parts/copy";
import { control, element } from "../parts/elements";
import { momentWords } from "../parts/words";
import { type Action, actionsOf, type SectionKind, sinceOf } from "./sections";
import { statusOf } from "./status";

const WORDS: Readonly<Record<Action, string>> = { chat: "Chat", again: "Run again", clone: "Clone", watch: "Watch", cancel: "Cancel" };

export class Row {
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
  private readonly buttons = new Map<Action, HTMLButtonElement>();
  readonly element: HTMLElement;

  constructor(
    private job: Job,
    act: (action: Action, job: Job) => void,
  ) {
    for (const action of Object.keys(WORDS) as Action[]) {
      const button = control("button", { type: "button", class: "small" }, WORDS[action]);
      button.addEventListener("click", () => act(action, this.job));
      this.buttons.set(action, button);
    }
    const first = element("div", { class: "row" }, this.state, this.text, this.copy);
    this.element = element(
      "tr",
      { role: "row" },
      element("th", { scope: "row", role: "rowheader" }, this.name, this.owner),
      cell(label("Data and model"), this.dataset, this.baseModel),
      cell(this.labels.status, this.bar, first, this.note),
      element("td", { role: "cell", class: "since" }, this.labels.since, this.time),
      element("td", { role: "cell", class: "actions" }, element("div", { class: "row" }, ...this.buttons.values())),
    );
  }

  /** Show the job as it is now. */
  update(job: Job, kind: SectionKind, now: number): void {
    this.job = job;
    const status = statusOf(job, now);
    say(this.name, job.name);
    say(this.owner, `${job.task} · ${job.tenant}`);
    say(this.dataset, job.dataset);
    say(this.baseModel, job.base_model);
    say(this.state, chipOf(job, kind));
    say(this.text, status.text);
    say(this.note, status.note);
    this.copy.hidden = job.adapter === null;
    say(this.labels.status, kind.status);
    say(this.labels.since, kind.since);
    const since = sinceOf(job);
    say(this.time, momentWords(since));
    this.time.dateTime = since;
    this.showProgress(status.progress);
    this.showActions();
  }

  /** Go to the first thing that can be done here. */
  focus(): void {
    this.buttons.get("watch")!.focus();
  }

  private showProgress(progress: number | null | undefined): void {
    this.bar.hidden = progress === undefined;
    this.bar.setAttribute("aria-label", `Progress of ${this.job.name}`);
    if (typeof progress === "number") this.bar.value = progress;
    else this.bar.removeAttribute("value");
  }

  private showActions(): void {
    const offered = actionsOf(this.job);
    for (const [action, button] of this.buttons) {
      button.setAttribute("aria-label", `${WORDS[action]} ${this.job.name}`);
      const hides = !offered.includes(action);
      if (hides && (button.getRootNode() as Document | ShadowRoot).activeElement === button) this.focus();
      button.hidden = hides;
    }
  }
}

/** What the heading of the section does not say of the state. */
function chipOf(job: Job, kind: SectionKind): string {
  if (!kind.final) return job.cancel_requested ? "cancelling …" : "";
  return kind.states.length > 1 ? job.state : "";
}
