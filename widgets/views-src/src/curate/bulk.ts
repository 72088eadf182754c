// What can be done with many records at once: those that were picked, or all that the filters let through.

import type { Args } from "../host/host";
import { confirm } from "../parts/dialog";
import { button, control, element } from "../parts/elements";
import { countWords } from "../parts/words";
import { type Step, Work } from "../parts/work";
import { SPLITS } from "./filters";
import { attempt, type Context } from "./things";

/** So many can be named in one request. */
const MOST_NAMED = 1000;

export const BULK_STEP: Step = { title: "Changing records", cancelled: "It was cancelled; no record was changed." };

export interface BulkEvents {
  onOperation(id: string | null): void;
  /** Records were changed; what is said of it. */
  onChange(words: string): void;
  onUnpick(): void;
}

interface BulkResult {
  changed: number;
  passed_over: number;
}

export class Bulk {
  readonly element = element("div", { class: "row bulk", role: "group", "aria-label": "Many records at once", hidden: true });
  private readonly words = element("span", { role: "status" });
  private readonly unpick = button("Pick none", () => this.events.onUnpick(), "small");
  private readonly split = control("select", { class: "small", "aria-label": "Give them to a split" });
  readonly work: Work;
  private picked: readonly string[] = [];
  private filter: Args = {};
  private total = 0;
  private allowed = false;

  constructor(
    private readonly context: Context,
    private readonly dataset: string,
    private readonly events: BulkEvents,
  ) {
    this.work = new Work(context, (id) => events.onOperation(id));
    this.split.append(element("option", { value: "" }, "Give to a split …"), ...Object.entries({ ...SPLITS, none: "No split" }).map(([value, words]) => element("option", { value }, words)));
    this.split.addEventListener("change", () => {
      const split = this.split.value;
      this.split.value = "";
      if (split) void this.apply(this.which(), { action: "split", split }, (result) => `Gave ${countWords(result.changed, "record")} to ${split === "none" ? "no split" : (SPLITS[split] ?? split).toLowerCase()}.`);
    });
    this.element.append(this.words, button("Remove", () => void this.remove(), "small danger"), this.split, this.unpick);
  }

  /** What it is about now. */
  show(picked: readonly string[], filter: Args, total: number, allowed: boolean): void {
    this.picked = picked;
    this.filter = filter;
    this.total = total;
    this.allowed = allowed;
    const some = picked.length > 0;
    this.unpick.hidden = !some;
    this.element.hidden = !this.allowed || (!some && (Object.keys(filter).length === 0 || total === 0));
    const words = some ? `${picked.length.toLocaleString()} picked:` : `All ${total.toLocaleString()} that fit:`;
    if (this.words.textContent !== words) this.words.textContent = words;
  }

  private get count(): number {
    return this.picked.length || this.total;
  }

  private async remove(): Promise<void> {
    const which = this.which(); // what was asked about, whatever is shown by the time of the answer
    const many = countWords(this.count, "record");
    if (this.count > 1 && !(await confirm(this.context.root, `Remove ${many}?`, "They are taken out of the draft. One undo brings all of them back.", "Remove them"))) return;
    await this.apply(which, { action: "remove" }, ({ changed }) => `Removed ${countWords(changed, "record")}. Undo brings them back.`);
  }

  /** Not tried again by itself: meanwhile other records may fit. */
  private async apply(which: readonly Args[], what: Args, words: (result: BulkResult) => string): Promise<void> {
    await attempt(this.context, async () => {
      const result: BulkResult = { changed: 0, passed_over: 0 };
      for (const some of which) {
        const answer = await this.work.result<BulkResult>(BULK_STEP, () => this.context.host.call("records.bulk", { dataset: this.dataset, ...what, ...some }));
        if (!answer) return; // it was cancelled, or it is said why not
        result.changed += answer.changed;
        result.passed_over += answer.passed_over;
      }
      this.events.onUnpick();
      this.events.onChange(words(result) + (result.passed_over > 0 ? ` ${result.passed_over.toLocaleString()} needed nothing.` : ""));
    });
  }

  /** The picked ones, in as many parts as it takes, or those that fit; never all, for want of a filter. */
  private which(): Args[] {
    if (this.element.hidden) return [];
    if (this.picked.length === 0) return [{ filter: this.filter as never }];
    const parts = Array.from({ length: Math.ceil(this.picked.length / MOST_NAMED) }, (_, index) => this.picked.slice(index * MOST_NAMED, (index + 1) * MOST_NAMED));
    return parts.map((records) => ({ records: [...records] }));
  }
}
