// One queue: its findings a page at a time, what is decided about them one by one or all at once, undo.

import { confirm } from "../../parts/dialog";
import { button, control, element } from "../../parts/elements";
import { countWords } from "../../parts/words";
import { type Step, Work } from "../../parts/work";
import { options } from "../records";
import { ask, attempt, type Context, type List } from "../things";
import { FindingCard, type Verdict } from "./finding";
import { type Decision, type DecisionResult, type Finding, type FindingRecord, QUEUES, type Queue, type QueueSummary, ruleWords } from "./things";

const PAGE = 20;
export const DECIDE_STEP: Step = { title: "Deciding", unit: "finding", cancelled: "It was cancelled; nothing was decided." };
/** What can be decided about all that are alike, and how the button says it. */
const AT_ONCE: Readonly<Record<Queue, readonly [Decision, string][]>> = {
  exact: [["drop", "Keep one of each"], ["keep", "Keep all"]],
  near: [["drop", "Keep the first of each"], ["keep", "Keep all"]],
  phrases: [["strip", "Strip all"], ["keep", "Keep all"]],
  pii: [["accept", "Replace all"], ["ignore", "Ignore all"]],
  quality: [["drop", "Drop all"], ["keep", "Keep all"]],
  language: [["drop", "Drop all"], ["keep", "Keep all"]],
  lengths: [],
};

export interface QueueEvents {
  onOperation(id: string | null): void;
  /** Something was decided or undone: numbers and records are others now. */
  onDecided(changedRecords: boolean): void;
  openRecord(position: string): void;
}

export class QueuePanel {
  readonly element = element("section", { class: "queue" });
  private readonly state = control("select");
  private readonly rule = control("select");
  private readonly list = element("ol", { class: "findings" });
  private readonly more = button("Load more", () => void this.load(this.findings.at(-1)?.id ?? null));
  private readonly said = element("span", { role: "status", class: "soft" });
  private readonly count = element("span", { role: "status", class: "count" });
  private readonly empty = element("p", { class: "empty", hidden: true });
  private readonly allActions = element("span", { class: "row end" });
  private readonly undo = button("Undo", () => void this.undoLast(), "", "Undo your last decision in this queue");
  private readonly work: Work;
  private findings: Finding[] = [];
  private total = 0;
  /** What was decided from here and not undone; the numbers of the service come later. */
  private mine = 0;
  private turn = 0;

  constructor(
    private readonly context: Context,
    private readonly dataset: string,
    private readonly mayEdit: boolean,
    private summary: QueueSummary,
    private readonly events: QueueEvents,
  ) {
    this.work = new Work(context, (id) => events.onOperation(id));
    const { title, help } = QUEUES[summary.queue];
    this.element.setAttribute("aria-label", title);
    options(this.state, { open: "Open", decided: "Decided" });
    for (const field of [this.state, this.rule]) field.addEventListener("change", () => void this.load(null));
    this.more.hidden = true;
    this.undo.hidden = !mayEdit;
    this.element.append(
      element("h3", { tabindex: "-1" }, title),
      element("p", { class: "soft" }, help),
      element("div", { class: "row filters" }, element("label", {}, "Show", this.state), element("label", {}, "What", this.rule), this.allActions),
      element("div", { class: "row tools" }, this.count, this.said, element("span", { class: "row end" }, this.undo)),
      this.work.element,
      this.empty,
      this.list,
      this.more,
    );
    this.show(summary);
    void this.load(null);
  }

  focus(): void {
    this.element.querySelector("h3")!.focus();
  }

  /** The numbers have changed, by us or by somebody else. */
  show(summary: QueueSummary): void {
    const analysed = summary.analysed_at !== this.summary.analysed_at;
    this.summary = summary;
    const chosen = this.rule.value;
    // What is chosen stays so, even if nothing of it is open any more.
    const rules = Object.entries({ ...(chosen ? { [chosen]: 0 } : {}), ...summary.rules }).sort(([, one], [, other]) => other - one);
    options(this.rule, { "": "Everything", ...Object.fromEntries(rules.map(([rule, count]) => [rule, `${ruleWords(summary.queue, rule)} (${count.toLocaleString()})`])) });
    this.rule.value = chosen;
    this.allowUndo();
    this.empty.textContent = this.emptyWords(this.state.value === "open");
    this.offer();
    if (analysed) void this.load(null);
  }

  private async load(after: string | null, focus = -1): Promise<void> {
    const turn = ++this.turn;
    const args = { dataset: this.dataset, queue: this.summary.queue, state: this.state.value, limit: PAGE, ...(this.rule.value ? { rule: this.rule.value } : {}), ...(after ? { after } : {}) };
    await attempt(this.context, async () => {
      const { items, has_more, total } = await ask<List<Finding> & { total: number }>(this.context, "review.list", args);
      if (turn !== this.turn) return;
      this.findings = after ? [...this.findings, ...items] : items;
      this.total = total;
      this.more.hidden = !has_more;
      const cards = items.map((finding) => this.card(finding));
      if (after) this.list.append(...cards);
      else this.list.replaceChildren(...cards);
      this.tell();
      if (focus >= 0) (this.list.children[Math.min(focus, this.list.children.length - 1)] as HTMLElement | undefined ?? this.element.querySelector("h3")!).focus();
    }, true);
  }

  private tell(): void {
    const open = this.state.value === "open";
    this.count.textContent = this.total === 0 ? "" : `${countWords(this.total, "finding")} ${open ? "open" : "decided"}`;
    this.empty.hidden = this.total > 0;
    this.empty.textContent = this.emptyWords(open);
    this.offer();
  }

  private emptyWords(open: boolean): string {
    if (this.summary.analysed_at === null) return "This queue was not looked at yet. Run the review.";
    if (!open) return "Nothing was decided here yet.";
    return this.summary.decided > 0 ? "All decided." : "Nothing was found.";
  }

  private card(finding: Finding): HTMLElement {
    const decide = (verdict: Verdict): Promise<void> => this.decide({ findings: [finding.id], ...verdict }, finding);
    const open = (record: FindingRecord): void => this.events.openRecord(record.id);
    return new FindingCard(finding, this.mayEdit, decide, open, this.summary.options?.threshold).element;
  }

  /** What can be done with all that are shown, not only with the ones on this page. */
  private offer(): void {
    const { queue } = this.summary;
    const shown = this.mayEdit && this.state.value === "open" && this.total > 1;
    const like = this.rule.value ? `: ${ruleWords(queue, this.rule.value)}` : "";
    const made = AT_ONCE[queue].map(([decision, words]) => button(words, () => void this.decideAll(decision, `${words}${like}`), "", `${words}${like}`));
    this.allActions.replaceChildren(...(shown ? made : []));
    if (shown && queue === "pii") this.allActions.append(button("Replace and forget …", () => void this.forget(), "danger", `Replace and forget …${like}`));
  }

  private async decideAll(decision: Decision, words: string): Promise<void> {
    const question = `This decides ${countWords(this.total, "finding")} at once. You can undo it.`;
    if (!(await confirm(this.context.root, `${words}?`, question, words))) return;
    await this.decide({ all: true, ...(this.rule.value ? { rule: this.rule.value } : {}), decision }, null);
  }

  /** Replace all, so that the history of the draft does not hold it either. */
  private async forget(): Promise<void> {
    const words = `${countWords(this.total, "finding")} are replaced by placeholders, and what stood there is not kept in the history of this draft. This cannot be undone.`;
    const args = { all: true, ...(this.rule.value ? { rule: this.rule.value } : {}), decision: "accept" as const, forget: true };
    if (await confirm(this.context.root, "Replace and forget?", words, "Replace and forget")) await this.decide(args, null);
  }

  /** Not tried again by itself: what was decided meanwhile by somebody else shall be seen. */
  private async decide(args: Verdict & { findings?: string[]; all?: boolean; rule?: string; forget?: boolean }, finding: Finding | null): Promise<void> {
    const at = finding ? this.findings.indexOf(finding) : -1;
    await attempt(this.context, async () => {
      const answer = await this.work.result<DecisionResult>(DECIDE_STEP, () => this.context.host.call("review.decide", { dataset: this.dataset, queue: this.summary.queue, ...args }));
      if (answer) this.decided(answer, at);
    });
  }

  private decided({ decided, changed_records: changed, skipped }: DecisionResult, focus = -1): void {
    const parts = [`${countWords(decided, "finding")} decided`, changed > 0 ? `${countWords(changed, "record")} changed` : "", skipped > 0 ? `${skipped.toLocaleString()} were not there any more` : ""];
    this.said.textContent = `${parts.filter(Boolean).join(", ")}.`;
    this.mine++;
    this.allowUndo();
    void this.load(null, focus);
    this.events.onDecided(changed > 0);
  }

  private allowUndo(): void {
    this.undo.disabled = this.summary.decided === 0 && this.mine === 0;
  }

  private async undoLast(): Promise<void> {
    await attempt(this.context, async () => {
      const answer = await this.context.host.call("review.undo", { dataset: this.dataset, queue: this.summary.queue });
      const { reopened, changed_records: changed } = answer as unknown as { reopened: number; changed_records: number };
      this.mine = Math.max(0, this.mine - 1);
      this.said.textContent = `Undone: ${countWords(reopened, "finding")} open again, ${countWords(changed, "record")} as before.`;
      void this.load(null);
      this.events.onDecided(changed > 0);
    });
  }
}
