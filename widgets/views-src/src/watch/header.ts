// What a job is called, how far it is, and what can be done with it.

import { button, element } from "../parts/elements";
import { type Deed, DEEDS, deedsOf } from "../parts/job-actions";
import { Menu } from "../parts/menu";
import { shareWords } from "../parts/words";
import type { Job } from "../host/things";
import { type Adapter, isCancelling, manages, shareOf, statusWords, stepWords, timeWordsOf } from "./job";
import type { Run } from "./run";

interface Listener {
  act(deed: Deed): void;
  all(): void;
}

/** What has a button of its own; all else is behind "More". */
const FIRST = { cancel: ["Cancel", "danger"], clone: ["Clone", ""], chat: ["Chat with it", "main"] } as const;

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
  isAdmin = false;
  private readonly first: Record<keyof typeof FIRST, HTMLButtonElement>;
  private readonly rest = new Map<Deed, HTMLButtonElement>();
  private readonly menu: Menu;
  private readonly shareJob: HTMLButtonElement;
  private readonly shareAdapter: HTMLButtonElement;

  constructor(tell: Listener, share: Record<"job" | "adapter", HTMLButtonElement>) {
    this.shareJob = share.job;
    this.shareAdapter = share.adapter;
    for (const deed of Object.keys(DEEDS) as Deed[]) if (!(deed in FIRST) && deed !== "watch") this.rest.set(deed, button(DEEDS[deed], () => tell.act(deed)));
    this.menu = new Menu("More for this job", ...this.rest.values());
    const made = (deed: keyof typeof FIRST): HTMLButtonElement => button(FIRST[deed][0], () => tell.act(deed), FIRST[deed][1]);
    this.first = { cancel: made("cancel"), clone: made("clone"), chat: made("chat") };
    const { cancel, clone, chat } = this.first;
    this.element = element(
      "header",
      {},
      element("div", {}, button("← All jobs", () => tell.all(), "link")),
      element(
        "div",
        { class: "row top" },
        element("div", { class: "row grow" }, this.name, this.chip, this.owner, this.time),
        element("div", { class: "row" }, cancel, this.shareJob, this.shareAdapter, clone, this.menu.element, chat),
      ),
      this.progress,
      this.status,
    );
  }

  /** `adapter` is null until it is known; `none` is there for the reader. */
  show(job: Job, adapter: Adapter | "none" | null, run: Run): void {
    const cancelling = isCancelling(job);
    this.name.textContent = job.name;
    this.chip.className = `chip ${cancelling ? "cancelling" : job.state}`;
    say(this.chip, cancelling ? "cancelling …" : job.state);
    this.owner.textContent = job.attempts > 1 ? `${job.tenant} · attempt ${job.attempts}` : job.tenant;
    say(this.status, statusWords(job, run));
    this.status.hidden = this.status.textContent === "";
    this.showActions(deedsOf(job, this.isAdmin), adapter === "none");
    this.shareJob.hidden = !manages(job);
    this.shareAdapter.hidden = adapter === null || adapter === "none" || !manages(adapter);
    this.showProgress(job, run);
    this.tick(job);
  }

  /** Show how long it has taken by now. */
  tick(job: Job): void {
    this.time.textContent = timeWordsOf(job, Date.now());
  }

  /** A reader whom the job is shared with may not have its adapter. */
  private showActions(deeds: readonly Deed[], lacksAdapter: boolean): void {
    const offered = lacksAdapter ? deeds.filter((deed) => deed !== "chat" && deed !== "download") : deeds;
    for (const [deed, each] of [...(Object.entries(this.first) as [Deed, HTMLButtonElement][]), ...this.rest]) each.hidden = !offered.includes(deed);
    this.menu.element.hidden = [...this.rest.values()].every(({ hidden }) => hidden);
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
