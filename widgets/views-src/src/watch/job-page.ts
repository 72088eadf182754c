// Everything about one job: it follows the job until that is over, and shows what it hears.

import { type Host, isMissing } from "../host/host";
import { persist, repeat } from "../host/persist";
import { ask, type Checkpoint, type Job, type Page, PAGE_LIMIT, type Task } from "../host/things";
import { button, element } from "../parts/elements";
import { type Deed, JobActions, Said } from "../parts/job-actions";
import { Notices } from "../parts/notice";
import { type Shared, shareButton } from "../parts/share";
import { nameWords } from "../parts/words";
import { Charts } from "./charts";
import { Checkpoints } from "./checkpoints";
import { Facts, type OptionTitles } from "./facts";
import { Feed } from "./feed";
import { Header } from "./header";
import { type Adapter, failureWords, isFinal } from "./job";
import { lineOf, LogTail } from "./log-tail";
import { type JobEvent, Run } from "./run";

const LOOK_EVERY_MS = 4000;
const TICK_MS = 1000;

export class JobPage {
  readonly element: HTMLElement;
  private readonly run = new Run();
  private readonly feed: Feed;
  private readonly header: Header;
  private readonly notices = new Notices();
  private readonly said = new Said();
  private readonly actions: JobActions;
  private readonly failure = element("div", { class: "notice bad failure", hidden: true });
  private readonly charts = new Charts();
  private readonly log = new LogTail();
  private readonly facts = new Facts();
  private readonly checkpoints = new Checkpoints((model) => this.actions.open("chat", { model }));
  private readonly over = new AbortController();
  private adapter: Adapter | null = null;
  private lacksAdapter = false;
  private titles: OptionTitles = {};
  private looking: Promise<void> | null = null;
  private lookAgain = false;

  constructor(
    private readonly host: Host,
    private job: Job,
    private readonly life: AbortController,
    private readonly onMissing: () => void,
  ) {
    const tell = { act: (deed: Deed) => void this.act(deed), all: () => this.actions.open("jobs", {}) };
    this.header = new Header(tell, {
      job: shareButton(host, () => this.shared(), life.signal, "Share job"),
      adapter: shareButton(host, () => this.sharedAdapter(), life.signal, "Share adapter"),
    });
    this.feed = new Feed(host, job.id, this.run, (events) => this.take(events));
    this.element = element(
      "div",
      { class: "page" },
      this.header.element,
      this.said.element,
      this.notices.element,
      this.failure,
      this.charts.element,
      this.facts.element,
      this.checkpoints.element,
      this.log.element,
    );
    this.actions = new JobActions({ host, notices: this.notices, signal: life.signal, root: this.element }, {
      changed: () => this.look(),
      deleted: () => this.actions.open("jobs", {}),
      said: this.said.say,
    });
    this.show();
  }

  start(): void {
    void this.watch();
    this.lookAtReader().catch(() => undefined);
    this.lookAtTask().catch(() => undefined);
    this.lookAtCheckpoints().catch(() => undefined);
    const ticking = setInterval(() => this.header.tick(this.job), TICK_MS);
    this.life.signal.addEventListener("abort", () => {
      clearInterval(ticking);
      this.charts.close();
    });
  }

  private shared(): Shared {
    return { kind: "jobs", id: this.job.id, name: this.job.name, owner: this.job.tenant };
  }

  private sharedAdapter(): Shared {
    const { full_name, tenant } = this.adapter!; // the button is there only when it is known
    return { kind: "adapters", id: this.job.adapter_id!, name: full_name, owner: tenant };
  }

  private async watch(): Promise<void> {
    const ending = new AbortController();
    const signal = AbortSignal.any([ending.signal, this.life.signal]);
    const act = async (): Promise<void> => {
      try {
        await Promise.all([this.feed.read(() => this.isOver(), signal, this.notices.trouble), this.refresh(signal)]);
      } finally {
        ending.abort(); // if one fails, both start again
      }
    };
    await this.orNotice(act, () => void this.watch());
  }

  private async isOver(): Promise<boolean> {
    await this.look();
    return isFinal(this.job);
  }

  /** The place in the queue changes without an event. */
  private async refresh(signal: AbortSignal): Promise<void> {
    await repeat(() => this.look(), LOOK_EVERY_MS, AbortSignal.any([this.over.signal, signal]), this.notices.trouble);
    if (isFinal(this.job)) await this.lookAtAdapter(signal);
  }

  /** Ask how the job is; one question at a time, so that no older answer comes last. */
  private look(): Promise<void> {
    if (this.looking) {
      this.lookAgain = true;
      return this.looking;
    }
    this.looking = this.lookOnce().finally(() => (this.looking = null));
    return this.looking;
  }

  private async lookOnce(): Promise<void> {
    do {
      this.lookAgain = false;
      this.job = await ask<Job>(this.host, "jobs.get", { job: this.job.id });
      this.run.learn(this.job.total_steps);
      this.show();
    } while (this.lookAgain);
  }

  private async lookAtAdapter(signal: AbortSignal): Promise<void> {
    if (this.job.adapter_id === null || this.adapter !== null || this.lacksAdapter) return;
    const args = { adapter: this.job.adapter_id };
    try {
      this.adapter = await persist(() => ask<Adapter>(this.host, "adapters.get", args), signal, this.notices.trouble);
    } catch (error) {
      if (!isMissing(error)) throw error;
      this.lacksAdapter = true; // the job is shared with the reader, and its adapter is not; or it was deleted
    }
    this.show();
  }

  /** They can be done without. */
  private async lookAtCheckpoints(): Promise<void> {
    const { items } = await ask<Page<Checkpoint>>(this.host, "jobs.checkpoints", { job: this.job.id, limit: PAGE_LIMIT });
    if (!this.life.signal.aborted) this.checkpoints.show(items, this.job.stage !== "rm");
  }

  /** Whether the reader may do what only an administrator may. */
  private async lookAtReader(): Promise<void> {
    const { scopes } = await ask<{ scopes?: string[] }>(this.host, "whoami");
    this.header.isAdmin = scopes?.includes("admin") ?? false;
    this.show();
  }

  /** The task's own words for its options; their names will do without. */
  private async lookAtTask(): Promise<void> {
    const { items } = await ask<Page<Task>>(this.host, "tasks.list");
    const task = items.find(({ name }) => name === this.job.task);
    const properties = (task?.schema as { properties?: Record<string, { title?: string }> } | undefined)?.properties ?? {};
    this.titles = Object.fromEntries(Object.entries(properties).map(([name, { title }]) => [name, title ?? nameWords(name)]));
    this.show();
  }

  private take(events: JobEvent[]): void {
    this.charts.append(events);
    this.log.append(events.map(lineOf).filter((line) => line !== null));
    if (events.some(({ kind }) => kind === "checkpoint" || kind === "summary")) this.lookAtCheckpoints().catch(() => undefined);
    // What is wrong with looking now is said by those who look regularly.
    if (events.some(({ kind }) => kind === "state" || kind === "summary")) this.look().catch(() => undefined);
    this.show();
  }

  private show(): void {
    if (this.life.signal.aborted) return;
    if (isFinal(this.job)) this.over.abort();
    this.log.over(isFinal(this.job));
    this.header.show(this.job, this.lacksAdapter ? "none" : this.adapter, this.run);
    this.facts.show(this.job, this.adapter, this.titles);
    this.showFailure();
  }

  private showFailure(): void {
    const { state, reason } = this.job;
    if (state !== "failed") return;
    const [what, remedy] = failureWords(reason, this.run.failure);
    if (this.failure.dataset.shown === what + remedy) return;
    this.failure.dataset.shown = what + remedy;
    const change = button("Change it and run again", () => void this.act("clone"), "main");
    const again = button("Run it again as it was", () => void this.act("resubmit"));
    this.failure.replaceChildren(
      element("h3", {}, "Training failed"),
      element("p", {}, what),
      ...(remedy ? [element("p", {}, element("b", {}, "What to do: "), remedy)] : []),
      element("div", { class: "row" }, change, ...(this.job.actions.includes("resubmit") ? [again] : [])),
    );
    this.failure.hidden = false;
  }

  /** While it is being cancelled, the page says so. */
  private async act(deed: Deed): Promise<void> {
    await this.actions.run(deed, this.job);
    this.show();
  }

  private async orNotice(act: () => Promise<void>, retry: (() => void) | null): Promise<void> {
    try {
      await act();
    } catch (error) {
      if (this.life.signal.aborted) return;
      if (isMissing(error)) this.onMissing();
      else this.notices.problem(error, retry);
    }
  }
}
