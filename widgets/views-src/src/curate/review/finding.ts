// One finding: what was found, beside what it is compared with, and what can be decided about it.

import { button, control, element, scrolled } from "../../parts/elements";
import { countWords, momentWords, shareWords } from "../../parts/words";
import { inline, side, wordDiff } from "../../parts/word-diff";
import { bubbles } from "../bubbles";
import { textOf } from "../record";
import { type Decision, type Finding, type FindingRecord, ruleWords } from "./things";

/** What is decided: how, and with what. */
export interface Verdict {
  decision: Decision;
  replacement?: string;
  keep?: string[];
}

/** What each decision is called once it was made. */
const DECIDED: Readonly<Record<Decision, string>> = { keep: "kept", drop: "dropped", strip: "stripped", accept: "replaced", ignore: "ignored", replace: "replaced" };
/** Records of one group that are shown; a group may have thousands. */
const SHOWN = 20;
/** A group of more near duplicates is likely a chain. */
const MANY = 10;

export class FindingCard {
  readonly element = element("li", { class: "finding", tabindex: "-1" });
  /** The records of a group that stay. */
  private readonly kept = new Set<string>();
  /** Whether the reader chose them; else the service does, for those that are not shown as well. */
  private chosen = false;
  private acting = false;

  constructor(
    readonly finding: Finding,
    private readonly mayEdit: boolean,
    private readonly decide: (verdict: Verdict) => Promise<void>,
    private readonly open: (record: FindingRecord) => void,
    private readonly threshold = 0,
  ) {
    for (const id of stays(finding, threshold)) this.kept.add(id);
    this.element.append(element("header", { class: "row" }, element("strong", {}, this.title()), ...this.chips()), ...this.body(), this.foot());
  }

  private title(): string {
    const { queue, rule, count, occurrences } = this.finding;
    if (asksTheSame(this.finding)) return `Same question, ${countWords(count, "record")}`;
    if (queue === "exact") return `${countWords(count, "record")}, ${ruleWords(queue, rule)}`;
    if (queue === "near") return `${countWords(count, "record")} alike`;
    if (queue === "phrases") return `In ${countWords(count, "record")}${occurrences && occurrences > count ? `, ${occurrences.toLocaleString()} times` : ""}`;
    return ruleWords(queue, rule);
  }

  private chips(): HTMLElement[] {
    const { decided } = this.finding;
    if (!decided) return [];
    return [element("span", { class: "chip", title: `${decided.by}, ${momentWords(decided.at)}` }, `${DECIDED[decided.decision]} by ${decided.by}`)];
  }

  private body(): Node[] {
    const { finding } = this;
    if (asksTheSame(finding)) return [this.answers(), this.places()];
    if (finding.queue === "exact") return [this.beginning(finding.records[0]!), this.places()];
    if (finding.queue === "near") return [...this.chain(), this.comparison(), this.places()];
    if (finding.queue === "phrases") return [this.excerpt(), this.places("For example in")];
    const excerpt = finding.excerpt ? [this.excerpt()] : finding.records[0] ? [this.beginning(finding.records[0])] : [];
    return [...excerpt, this.places("In")];
  }

  private excerpt(): HTMLElement {
    const { excerpt } = this.finding;
    if (!excerpt) return element("p", { class: "soft" }, "It is not there any more: the record was changed.");
    return element("p", { class: "excerpt said", dir: "auto" }, excerpt.before, element("mark", {}, excerpt.match), excerpt.after);
  }

  private beginning({ record }: FindingRecord): HTMLElement {
    if (!record) return element("p", { class: "soft" }, "The record is gone, or was changed since.");
    return scrolled("Record", "beginning", bubbles(record));
  }

  /** What each of them answers, side by side. */
  private answers(): HTMLElement {
    const shown = this.finding.records.slice(0, SHOWN);
    return element("div", { class: "both" }, ...shown.map((record) => column(placeWords(record), record.record ? bubbles(record.record) : element("p", { class: "soft" }, "It is gone, or was changed since."))));
  }

  /** That some of a group are alike only by way of others. */
  private chain(): HTMLElement[] {
    const least = Math.min(1, ...this.finding.records.flatMap(({ similarity }) => (similarity === null ? [] : [similarity])));
    if (least >= this.threshold) return [];
    return [element("p", { class: "notice warn" }, element("span", {}, `This is a chain: each record is like another one, but not all are like each other. The lowest pair is ${shareWords(least)} alike; the review asked for ${shareWords(this.threshold)}.`))];
  }

  /** The first record and another one, side by side, with the words that differ. */
  private comparison(): HTMLElement {
    const [first, ...others] = this.finding.records;
    const box = element("div", { class: "comparison" });
    if (!first?.record || others.length === 0) return box;
    let at = 0;
    const show = (): void => {
      const other = others[at]!;
      if (!other.record) return box.replaceChildren(...choice, element("p", { class: "soft" }, "This one is gone, or was changed since."));
      const pieces = wordDiff(textOf(first.record!), textOf(other.record));
      const columns = element("div", { class: "both" }, column(placeWords(first), side(pieces, "removed")), column(`${placeWords(other)}${similarWords(other)}`, side(pieces, "added")));
      const together = control("details", {}, control("summary", {}, "In one text"), inline(pieces));
      box.replaceChildren(...choice, columns, together);
    };
    const step = (by: number): void => {
      at = (at + by + others.length) % others.length;
      place.textContent = `${at + 1} of ${others.length}`;
      show();
    };
    const place = element("span", { role: "status" }, `1 of ${others.length}`);
    const choice = others.length > 1 ? [element("div", { class: "row" }, button("‹", () => step(-1), "small", "The one before"), place, button("›", () => step(1), "small", "The next one"))] : [];
    show();
    return box;
  }

  /** Where it is; of a group, which ones stay. */
  private places(words = ""): HTMLElement {
    const { finding } = this;
    const shown = finding.records.slice(0, SHOWN);
    const rest = finding.count - shown.length;
    const chooses = isGroup(finding) && finding.state === "open" && this.mayEdit;
    const items = shown.map((record) => (chooses && record.dataset === null ? this.keeper(record) : this.link(record)));
    const more = rest > 0 ? [element("span", { class: "soft" }, `and ${rest.toLocaleString()} more`)] : [];
    return element("div", { class: "row places", role: "group", "aria-label": chooses ? "Which records stay" : "Where it is" }, ...(words && shown.length > 0 ? [element("span", { class: "soft" }, words)] : chooses ? [element("span", { class: "soft" }, "Stays:")] : []), ...items, ...more);
  }

  private keeper(record: FindingRecord): HTMLElement {
    const box = control("input", { type: "checkbox", checked: this.kept.has(record.id) });
    box.addEventListener("change", () => {
      if (box.checked) this.kept.add(record.id);
      else this.kept.delete(record.id);
      this.chosen = true;
      this.offer();
    });
    return element("span", { class: "row keeper" }, element("label", { class: "check" }, box, `Record ${Number(record.id).toLocaleString()}${similarWords(record)}`), button("Show", () => this.open(record), "link", `Show record ${record.id}`));
  }

  private link(record: FindingRecord): HTMLElement {
    const words = `${placeWords(record)}${similarWords(record)}`;
    return record.dataset === null ? button(words, () => this.open(record), "link") : element("span", { class: "chip" }, words);
  }

  private readonly actions = element("div", { class: "row actions" });

  private foot(): HTMLElement {
    this.offer();
    return this.actions;
  }

  /** The buttons that fit what is chosen now. */
  private offer(): void {
    const { queue, replacement, state, records, count } = this.finding;
    if (!this.mayEdit || state === "decided") return;
    const does = (words: string, verdict: Verdict, style = ""): HTMLButtonElement => button(words, () => void this.act(verdict), style);
    if (isGroup(this.finding)) {
      const mine = records.filter(({ dataset }) => dataset === null).length + Math.max(0, count - records.length);
      const dropped = mine - this.kept.size;
      const keep = this.chosen && this.kept.size > 0 ? { keep: [...this.kept] } : {};
      const words = this.kept.size === 0 ? `Drop ${dropped.toLocaleString()} here` : `Drop ${dropped.toLocaleString()}, keep ${this.kept.size.toLocaleString()}`;
      const drop = does(words, { decision: "drop", ...keep }, needsLook(this.finding) ? "" : "main");
      // Of a group of this draft alone one must stay: else nothing of what it says would.
      drop.disabled = dropped === 0 || (this.kept.size === 0 && !isElsewhere(this.finding));
      this.actions.replaceChildren(drop, does("Keep all", { decision: "keep" }));
    } else if (queue === "phrases") this.actions.replaceChildren(does("Strip it everywhere", { decision: "strip" }, "main"), does("Keep it", { decision: "keep" }));
    else if (queue === "pii") this.actions.replaceChildren(does(`Replace by ${replacement ?? "a placeholder"}`, { decision: "accept" }, "main"), does("Ignore", { decision: "ignore" }), button("Replace by …", () => this.askReplacement()));
    else this.actions.replaceChildren(does("Drop", { decision: "drop" }, "main"), does("Keep", { decision: "keep" }));
  }

  /** What shall stand there instead is typed where the buttons were. */
  private askReplacement(): void {
    const field = control("input", { type: "text", maxlength: "200", "aria-label": "What shall stand there" });
    const form = control("form", { class: "row grow" }, field, control("button", { type: "submit", class: "main" }, "Replace"), button("Cancel", () => this.offer()));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.act({ decision: "replace", replacement: field.value });
    });
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.offer();
    });
    this.actions.replaceChildren(form);
    field.focus();
  }

  private async act(verdict: Verdict): Promise<void> {
    if (this.acting) return;
    this.acting = true;
    this.actions.toggleAttribute("inert", true);
    try {
      await this.decide(verdict);
    } finally {
      this.acting = false;
      this.actions.toggleAttribute("inert", false);
    }
  }
}

/** Which of several answers is the right one, nobody knows but the reader. */
function asksTheSame({ queue, rule }: Finding): boolean {
  return queue === "exact" && rule === "prompt";
}

/** Whether dropping all but one is not what is mostly right. */
function needsLook(finding: Finding): boolean {
  return asksTheSame(finding) || (finding.queue === "near" && finding.count > MANY);
}

function isGroup({ queue }: Finding): boolean {
  return queue === "exact" || queue === "near";
}

/** Whether some of a group are in another dataset, so that none needs to stay here. */
function isElsewhere({ records }: Finding): boolean {
  return records.some(({ dataset }) => dataset !== null);
}

/** What stays of a group if nobody says otherwise: the first, and those that are not alike to that one itself. */
function stays(finding: Finding, threshold: number): string[] {
  if (!isGroup(finding) || isElsewhere(finding)) return [];
  return finding.records.filter(({ similarity }, index) => index === 0 || (similarity !== null && similarity < threshold)).map(({ id }) => id);
}

function placeWords({ id, dataset }: FindingRecord): string {
  return `Record ${Number(id).toLocaleString()}${dataset ? " of another dataset" : ""}`;
}

function similarWords({ similarity }: FindingRecord): string {
  return similarity === null || similarity === 1 ? "" : ` · ${shareWords(similarity)} alike`;
}

function column(title: string, text: HTMLElement): HTMLElement {
  return element("div", {}, element("h4", {}, title), scrolled(title, "side", text));
}
