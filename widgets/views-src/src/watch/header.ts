// What a job is called, how far it is, and what can be done with it.

import { control, element } from "../parts/elements";
import { shareWords } from "../parts/words";
import type { Job } from "../host/things";
import { type Adapter, isCancelling, isFinal, manages, shareOf, statusWords, stepWords, timeWordsOf } from "./job";
import type { Run } from "./run";

export interface Actions {
  cancel: () => void;
  chat: () => void;
  again: () => void;
  all: () => void;
}

export class Header {
  readonly element: HTMLElement;
  private readonly name = element("h2");
  private readonly chip = element("span", { class: "chip" });
  private readonly owner = element("span", { class: "soft" });
  private readonly bar = element("progress", { max: "1" });
  private readonly steps = element("span");
  private readonly share = element("span", { class: "end" });
  private readonly progress = element("div", { class: "headway", hidden: true }, this.bar, element("div", { class: "row" }, this.steps, this.share));
  private readonly time = element("span", { class: "soft" });
  private readonly status = element("p", { role: "status" });
  private readonly chat: HTMLButtonElement;
  private readonly again: HTMLButtonElement;
  private readonly cancel: HTMLButtonElement;

  private readonly shareJob: HTMLButtonElement;
  private readonly shareAdapter: HTMLButtonElement;

  constructor(actions: Actions, share: Record<"job" | "adapter", HTMLButtonElement>) {
    this.shareJob = share.job;
    this.shareAdapter = share.adapter;
    const button = (words: string, type: string, act: () => void): HTMLButtonElement => {
      const made = control("button", { type: "button", class: type }, words);
      made.addEventListener("click", act);
      return made;
    };
    this.chat = button("Chat with it", "main", actions.chat);
    this.again = button("Run again", "", actions.again);
    this.cancel = button("Cancel", "danger", actions.cancel);
    this.element = element(
      "header",
      {},
      element("div", {}, button("← All jobs", "link", actions.all)),
      element(
        "div",
        { class: "row top" },
        element("div", { class: "row grow" }, this.name, this.chip, this.owner, this.time),
        element("div", { class: "row" }, this.cancel, this.shareJob, this.shareAdapter, this.again, this.chat),
      ),
      this.progress,
      this.status,
    );
  }

  /** `adapter` is null until it is known; `none` is there for the reader. */
  show(job: Job, adapter: Adapter | "none" | null, run: Run, sending: boolean): void {
    const cancelling = isCancelling(job) || sending;
    this.name.textContent = job.name;
    this.chip.className = `chip ${cancelling ? "cancelling" : job.state}`;
    say(this.chip, cancelling ? "cancelling …" : job.state);
    this.owner.textContent = job.attempts > 1 ? `${job.tenant} · attempt ${job.attempts}` : job.tenant;
    say(this.status, statusWords(job, run));
    this.status.hidden = this.status.textContent === "";
    this.chat.hidden = job.state !== "completed" || job.adapter === null || adapter === "none";
    this.again.hidden = job.state === "failed"; // the failure itself offers it
    this.again.textContent = isFinal(job) ? "Run again" : "Clone";
    this.cancel.hidden = isFinal(job) || !manages(job);
    this.shareJob.hidden = !manages(job);
    this.shareAdapter.hidden = adapter === null || adapter === "none" || !manages(adapter);
    this.cancel.disabled = cancelling;
    this.showProgress(job, run);
    this.tick(job, run);
  }

  /** Show how long it has taken by now. */
  tick(job: Job, run: Run): void {
    this.time.textContent = timeWordsOf(job, run, Date.now());
  }

  private showProgress(job: Job, run: Run): void {
    const share = shareOf(job, run);
    this.progress.hidden = share === null && job.state !== "training";
    if (share === null) this.bar.removeAttribute("value");
    else this.bar.value = share;
    this.steps.textContent = stepWords(job, run);
    this.share.textContent = share === null ? "" : shareWords(Math.floor(share * 100) / 100);
    this.bar.setAttribute("aria-label", `Progress of ${job.name}`);
  }
}

/** A place that is read out should change only when its words do. */
function say(place: HTMLElement, words: string): void {
  if (place.textContent !== words) place.textContent = words;
}
