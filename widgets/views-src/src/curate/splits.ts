// The Splits tab: what is trained on and what is kept to test with, and whether one leaks into the other.

import { control, element } from "../parts/elements";
import { countWords, shareWords } from "../parts/words";
import { type Step, Work } from "../parts/work";
import { FIELDS, SPLITS } from "./filters";
import { Leaks } from "./leaks";
import { options } from "./records";
import { ask, attempt, type Context, type Dataset, mayEdit } from "./things";

export const SPLIT_STEP: Step = { title: "Splitting", cancelled: "Splitting was cancelled; the splits are as before." };

export interface SplitSummary {
  splits: { split: string | null; records: number; share: number }[];
  recipe: { seed?: number; group_by?: string | null } | null;
  groups: number | null;
}

export interface SplitsEvents {
  onOperation(id: string | null): void;
  onChange(): void;
  openRecord(position: string): void;
}

export class Splits {
  readonly element = element("div", { class: "splits" });
  private readonly counts = element("div", { class: "counts" });
  private readonly validation = share("10");
  private readonly test = share("0");
  private readonly seed = control("input", { type: "number", min: "0", value: "0" });
  private readonly group = control("select");
  private readonly onlyNew = control("input", { type: "checkbox" });
  private readonly form = control("form", { class: "card", "aria-label": "Split the draft", novalidate: true });
  private readonly words = element("p", { class: "soft", role: "status" });
  private readonly send = control("button", { type: "submit", class: "main" }, "Split");
  private readonly work: Work;
  private readonly leaks: Leaks;
  private looked = false;

  constructor(
    private readonly context: Context,
    private dataset: Dataset,
    private readonly events: SplitsEvents,
  ) {
    this.work = new Work(context, (id) => events.onOperation(id));
    this.leaks = new Leaks(context, dataset, (position) => events.openRecord(position), (id) => events.onOperation(id));
    options(this.group, {
      "": "being equal only",
      user: "the first question",
      system: "the instruction of the system",
      near_duplicates: "being near duplicates",
      file: "the file that they came in",
      ...Object.fromEntries(Object.entries(FIELDS).map(([field, words]) => [`field:${field}`, words])),
    });
    const fields = element(
      "div",
      { class: "row filters" },
      element("label", { class: "short" }, "Validation, %", this.validation),
      element("label", { class: "short" }, "Test, %", this.test),
      element("label", {}, "Kept together by", this.group),
      element("label", { class: "short" }, "Seed", this.seed),
      element("label", { class: "check" }, this.onlyNew, "Only records that have no split yet"),
    );
    this.form.append(element("h3", {}, "Split the draft"), element("p", { class: "soft" }, "The same seed splits the same draft the same way. Records that have something in common stay on one side."), fields, this.words, element("div", { class: "row" }, this.send));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.split();
    });
    for (const field of [this.validation, this.test]) field.addEventListener("input", () => this.tellRest());
    this.tellRest();
    this.element.append(this.counts, this.form, this.work.element, this.leaks.element);
    this.show(dataset);
  }

  show(dataset: Dataset): void {
    const changed = dataset.updated_at !== this.dataset.updated_at;
    this.dataset = dataset;
    this.form.hidden = !mayEdit(dataset);
    if (changed && this.looked) this.refresh();
  }

  refresh(): void {
    if (!this.looked) void this.leaks.look();
    this.looked = true;
    void attempt(this.context, async () => this.tell(await ask<SplitSummary>(this.context, "splits.get", { dataset: this.dataset.id })), true);
  }

  async resume(operation: string, kind: string): Promise<void> {
    if (kind === "leaks") return this.leaks.resume(operation);
    await this.work.resume(SPLIT_STEP, operation);
    this.refresh();
  }

  private tellRest(): void {
    const rest = 100 - Number(this.validation.value) - Number(this.test.value);
    this.send.disabled = !(rest > 0);
    this.words.textContent = rest > 0 ? `${rest.toLocaleString()}% are left to train on.` : "Nothing is left to train on: make validation and test smaller.";
  }

  private tell({ splits, recipe, groups }: SplitSummary): void {
    const parts = splits.filter(({ records }) => records > 0);
    const split = parts.some((part) => part.split !== null);
    if (!split) return this.counts.replaceChildren(element("p", { class: "soft" }, "The draft is not split: all of it is trained on."));
    const bar = element("div", { class: "split-bar", "aria-hidden": "true" }, ...parts.map((part) => {
      const piece = element("span", { class: part.split ?? "none" });
      piece.style.flexGrow = String(part.records);
      return piece;
    }));
    const items = parts.map((part) => element("li", { class: part.split ?? "none" }, element("strong", {}, part.split ? (SPLITS[part.split] ?? part.split) : "In no split"), ` ${countWords(part.records, "record")}, ${shareWords(part.share)}`));
    const how = recipe ? [element("p", { class: "soft" }, `Split with seed ${recipe.seed ?? 0}${groups === null ? "" : `, ${countWords(groups, "group")} kept together`}.`)] : [];
    this.counts.replaceChildren(bar, element("ul", { class: "row legend" }, ...items), ...how);
  }

  private async split(): Promise<void> {
    if (this.send.disabled || this.work.busy) return;
    const args = {
      dataset: this.dataset.id,
      validation: Number(this.validation.value) / 100,
      test: Number(this.test.value) / 100,
      seed: Number(this.seed.value) || 0,
      group_by: this.group.value || null,
      only_new: this.onlyNew.checked,
    };
    try {
      const done = await this.work.run(SPLIT_STEP, () => this.context.host.call("splits.make", args));
      if (done) this.work.say("Split. One undo in the Records tab takes it back.", true);
    } catch (error) {
      if (!this.context.signal.aborted) this.context.notices.problem(error);
    }
    this.refresh();
    this.events.onChange();
  }
}

function share(value: string): HTMLInputElement {
  return control("input", { type: "number", min: "0", max: "99", step: "any", value });
}
