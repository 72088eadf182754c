// Records that stand on both sides of a split, or here and in another dataset: an exam that was practised.

import { button, control, element } from "../parts/elements";
import { side, wordDiff } from "../parts/word-diff";
import { agoWords, countWords, shareWords } from "../parts/words";
import { type Step, Work } from "../parts/work";
import { column } from "./files";
import { textOf } from "./record";
import { ask, attempt, type Context, type Dataset, type List, mayEdit, type RecordItem } from "./things";

const PAGE = 20;
export const LEAKS_STEP: Step = { title: "Looking for leaks", cancelled: "The check was cancelled." };
const KINDS: Readonly<Record<Leak["kind"], string>> = { exact: "same record", prompt: "same question, another answer", near: "nearly the same" };

interface LeakSide {
  /** A dataset or version; null: this draft. */
  source: string | null;
  id: string;
  split: string | null;
}

interface Leak {
  id: string;
  kind: "exact" | "prompt" | "near";
  here: LeakSide;
  there: LeakSide;
  similarity: number | null;
}

interface LeakReport {
  checked_at: string;
  records: number;
  counts: { kind: Leak["kind"]; source: string | null; records: number }[];
  left_out: number;
}

export class Leaks {
  readonly element = element("section", { class: "card leaks", "aria-label": "Leaks" });
  private readonly others = element("fieldset", { class: "checks", hidden: true }, element("legend", {}, "Look into other datasets, too"));
  private readonly against = new Map<string, HTMLInputElement>();
  private readonly names = new Map<string, string>();
  private readonly similarity = control("input", { type: "number", min: "0.5", max: "1", step: "0.05", value: "0.8" });
  private readonly report = element("div", { role: "status" });
  private readonly list = element("ol", { class: "findings" });
  private readonly more = button("Load more", () => void this.load(this.last));
  private readonly work: Work;
  private last: string | null = null;

  constructor(
    private readonly context: Context,
    private readonly dataset: Dataset,
    private readonly openRecord: (position: string) => void,
    onOperation: (id: string | null) => void,
  ) {
    this.work = new Work(context, onOperation);
    const check = button("Check for leaks", () => void this.run(), "main");
    this.more.hidden = true;
    check.hidden = !mayEdit(dataset);
    this.element.append(
      element("h3", {}, "Leaks"),
      element("p", { class: "soft" }, "What is tested shall not have been learnt. This finds records that are in training and in validation or test, or here and in other datasets."),
      this.others,
      element("div", { class: "row filters" }, element("label", {}, "Nearly the same is alike by at least", this.similarity), check),
      this.work.element,
      this.report,
      this.list,
      this.more,
    );
  }

  /** Show what the last check found. */
  async look(): Promise<void> {
    if (this.names.size === 0) await this.offerOthers();
    await this.load(null);
  }

  async resume(operation: string): Promise<void> {
    await this.work.resume(LEAKS_STEP, operation);
    await this.load(null);
  }

  private async offerOthers(): Promise<void> {
    try {
      const { items } = await ask<List<Dataset>>(this.context, "datasets.list", { order: "-changed", limit: 50 });
      for (const { id, full_name } of items) {
        this.names.set(id, full_name);
        if (id === this.dataset.id) continue;
        const tick = control("input", { type: "checkbox" });
        this.against.set(id, tick);
        this.others.append(element("label", { class: "check" }, tick, full_name));
      }
      this.others.hidden = this.against.size === 0;
    } catch {
      // This draft alone is looked into.
    }
  }

  private async run(): Promise<void> {
    const against = [...this.against].filter(([, { checked }]) => checked).map(([id]) => id);
    const args = { dataset: this.dataset.id, against, similarity: Number(this.similarity.value) || 0.8 };
    try {
      await this.work.run(LEAKS_STEP, () => this.context.host.call("leaks.check", args));
      await this.load(null);
    } catch (error) {
      if (!this.context.signal.aborted) this.context.notices.problem(error);
    }
  }

  private async load(after: string | null): Promise<void> {
    await attempt(this.context, async () => {
      const args = { dataset: this.dataset.id, limit: PAGE, ...(after ? { after } : {}) };
      const page = await ask<List<Leak> & { report: LeakReport | null }>(this.context, "leaks.list", args);
      this.last = page.items.at(-1)?.id ?? null;
      this.more.hidden = !page.has_more;
      if (!after) this.tell(page.report);
      const items = page.items.map((leak) => this.item(leak));
      if (after) this.list.append(...items);
      else this.list.replaceChildren(...items);
    }, true);
  }

  private tell(report: LeakReport | null): void {
    if (!report) return this.report.replaceChildren();
    const { counts, checked_at: at, records, left_out } = report;
    const when = element("p", { class: "soft" }, `Checked ${agoWords(at)}, with ${countWords(records, "record")}.${left_out > 0 ? ` ${countWords(left_out, "pair")} more than are listed.` : ""}`);
    const found = counts.filter((count) => count.records > 0);
    if (found.length === 0) return this.report.replaceChildren(element("p", { class: "good" }, "✓ No leak was found."), when);
    const rows = found.map((count) => element("tr", {}, element("th", { scope: "row", class: "name" }, KINDS[count.kind]), element("td", {}, this.nameOf(count.source)), element("td", { class: "number" }, count.records.toLocaleString())));
    const head = element("tr", {}, column("What"), column("Where"), column("Records", "number"));
    this.report.replaceChildren(when, element("table", { "aria-label": "Leaks by kind" }, element("thead", {}, head), element("tbody", {}, ...rows)));
  }

  private nameOf(source: string | null): string {
    return source === null ? "between the splits of this draft" : (this.names.get(source) ?? "another version");
  }

  private item({ kind, here, there, similarity }: Leak): HTMLElement {
    const box = element("div");
    const compare = there.source === null ? [button("Compare", () => void this.compare(here, there, box), "small", `Compare record ${here.id} and ${there.id}`)] : [];
    const alike = similarity !== null && similarity < 1 ? [element("span", { class: "chip" }, `${shareWords(similarity)} alike`)] : [];
    const show = (one: LeakSide): HTMLElement => (one.source === null ? button(this.sideWords(one), () => this.openRecord(one.id), "link") : element("span", {}, this.sideWords(one)));
    return element("li", { class: "finding" }, element("header", { class: "row" }, element("strong", {}, KINDS[kind]), ...alike, show(here), "↔", show(there), ...compare), box);
  }

  private sideWords({ id, split, source }: LeakSide): string {
    return `Record ${Number(id).toLocaleString()}${split ? ` (${split})` : ""}${source ? ` of ${this.names.get(source) ?? "another version"}` : ""}`;
  }

  private async compare(here: LeakSide, there: LeakSide, box: HTMLElement): Promise<void> {
    if (box.childElementCount > 0) return box.replaceChildren();
    await attempt(this.context, async () => {
      const [one, other] = await Promise.all([here, there].map(({ id }) => ask<RecordItem>(this.context, "records.get", { dataset: this.dataset.id, position: id })));
      const pieces = wordDiff(textOf(one!.record), textOf(other!.record));
      const part = (place: LeakSide, words: HTMLElement): HTMLElement => element("div", {}, element("h4", {}, this.sideWords(place)), words);
      box.replaceChildren(element("div", { class: "both" }, part(here, side(pieces, "removed")), part(there, side(pieces, "added"))));
    });
  }
}
