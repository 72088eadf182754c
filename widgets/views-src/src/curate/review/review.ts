// The Review tab: the queues, how each of them is, and the one that is open.

import { button, element } from "../../parts/elements";
import { agoWords, countWords } from "../../parts/words";
import { type Step, Work } from "../../parts/work";
import { ask, attempt, type Context, type Dataset, mayEdit } from "../things";
import { LengthsPanel } from "./lengths";
import { DECIDE_STEP, QueuePanel } from "./queue";
import { askToRun } from "./run";
import { openWords, QUEUES, type Queue, type QueueSummary } from "./things";

export const REVIEW_STEP: Step = { title: "Reviewing", cancelled: "The review was cancelled; the findings of before stay." };

export interface ReviewEvents {
  onOperation(id: string | null): void;
  /** Records were changed by a decision. */
  onChange(): void;
  openRecord(position: string): void;
  /** Another queue is shown. */
  onQueue(): void;
}

export class Review {
  readonly element = element("div", { class: "review" });
  private readonly run = button("Run the review", () => void this.ask());
  private readonly queues = element("div", { class: "queues", role: "group", "aria-label": "Queues" });
  private readonly buttons = new Map<Queue, HTMLButtonElement>();
  private readonly words = element("span", { class: "soft", role: "status" });
  private readonly place = element("div");
  private readonly work: Work;
  private summaries: QueueSummary[] = [];
  /** The queue to show once the queues are known. */
  private wanted: Queue | null = null;
  private open: { queue: Queue; panel: QueuePanel | LengthsPanel } | null = null;

  constructor(
    private readonly context: Context,
    private dataset: Dataset,
    private readonly events: ReviewEvents,
  ) {
    this.work = new Work(context, (id) => events.onOperation(id));
    for (const queue of Object.keys(QUEUES) as Queue[]) {
      const made = button("", () => this.choose(queue), "queue-button");
      this.buttons.set(queue, made);
      this.queues.append(made);
    }
    this.element.append(element("div", { class: "row tools" }, this.words, element("span", { class: "row end" }, this.run)), this.work.element, this.queues, this.place);
    this.show(dataset);
  }

  /** The queue that is shown. */
  get queue(): Queue | null {
    return this.open?.queue ?? null;
  }

  show(dataset: Dataset): void {
    this.dataset = dataset;
    this.run.hidden = !mayEdit(dataset);
  }

  /** See how the queues are now. */
  refresh(): Promise<boolean> {
    return attempt(this.context, () => this.look(), true);
  }

  /** What is still open, in words; null if nothing was looked at. */
  async openWords(): Promise<string[] | null> {
    await this.look();
    const reviewed = this.summaries.some(({ queue, analysed_at }) => queue !== "lengths" && analysed_at !== null);
    return reviewed ? openWords(this.summaries) : null;
  }

  async resume(operation: string, kind: string): Promise<void> {
    await this.work.resume(kind === "decide" ? DECIDE_STEP : REVIEW_STEP, operation);
    await this.refresh();
  }

  private async look(): Promise<void> {
    const { queues } = await ask<{ queues: QueueSummary[] }>(this.context, "review.get", { dataset: this.dataset.id });
    this.summaries = queues;
    for (const summary of queues) this.tell(summary);
    const looked = queues.filter(({ queue, analysed_at }) => queue !== "lengths" && analysed_at !== null);
    const open = queues.reduce((sum, queue) => sum + queue.open, 0);
    this.words.textContent = looked.length === 0 ? "Nothing was looked at yet." : open === 0 ? "All decided." : `${countWords(open, "finding")} to decide about.`;
    this.run.classList.toggle("main", looked.length === 0);
    this.run.textContent = looked.length === 0 ? "Run the review" : "Run it again";
    if (this.wanted && queues.length > 0) {
      const { wanted } = this;
      this.wanted = null;
      if (!this.open) this.choose(wanted);
    }
    const now = queues.find(({ queue }) => queue === this.open?.queue);
    if (now && this.open?.panel instanceof QueuePanel) this.open.panel.show(now);
  }

  private tell({ queue, analysed_at: at, open, decided, stale, left_out }: QueueSummary): void {
    const made = this.buttons.get(queue);
    if (!made) return;
    const numbers = queue === "lengths" ? (at ? `counted ${agoWords(at)}` : "not counted yet") : at === null ? "not looked at yet" : `${open.toLocaleString()} open · ${decided.toLocaleString()} decided`;
    const chips = [stale > 0 && at !== null ? `${stale.toLocaleString()} changed since` : "", left_out > 0 ? `${left_out.toLocaleString()} more than are kept` : ""].filter(Boolean);
    made.replaceChildren(element("strong", {}, QUEUES[queue].title), element("span", { class: open > 0 ? "" : "soft" }, numbers), ...chips.map((words) => element("span", { class: "chip warn" }, words)));
    made.setAttribute("aria-pressed", String(this.open?.queue === queue));
  }

  /** Show a queue, once it is known how the queues are. */
  choose(queue: Queue): void {
    const { context, dataset } = this;
    const summary = this.summaries.find((one) => one.queue === queue);
    if (!summary) {
      if (this.summaries.length === 0) this.wanted = queue;
      return;
    }
    const panel =
      queue === "lengths"
        ? new LengthsPanel(context, dataset.id, mayEdit(dataset), () => void this.refresh())
        : new QueuePanel(context, dataset.id, mayEdit(dataset), summary, { onOperation: (id) => this.events.onOperation(id), onDecided: (changed) => this.decided(changed), openRecord: (position) => this.events.openRecord(position) });
    this.open = { queue, panel };
    this.events.onQueue();
    this.place.replaceChildren(panel.element);
    for (const [other, made] of this.buttons) made.setAttribute("aria-pressed", String(other === queue));
    panel.focus();
  }

  private decided(changed: boolean): void {
    void this.refresh();
    if (changed) this.events.onChange();
  }

  private async ask(): Promise<void> {
    if (this.work.busy) return;
    const begun = await askToRun(this.context, this.dataset);
    if (!begun) return;
    await this.work.run(REVIEW_STEP, () => Promise.resolve(begun));
    await this.refresh();
    const first = this.summaries.find(({ open }) => open > 0);
    if (first && !this.open) this.choose(first.queue);
  }
}
