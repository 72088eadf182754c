// The lengths of the records in tokens of a base model, and what a cutoff takes.

import { button, control, element } from "../../parts/elements";
import { cutAt, cutShare, histogram } from "../../parts/histogram";
import { agoWords, countWords, shareWords } from "../../parts/words";
import { Work } from "../../parts/work";
import { column } from "../files";
import { options } from "../records";
import { ask, type Context, isCode, type List, type Operation } from "../things";
import { type Lengths, QUEUES } from "./things";

/** A pause in moving the line after which the service is asked. */
const MOVING_MS = 300;
/** Places of the slider. It moves along the bars, which need not be equally many tokens. */
const STEPS = 1000;

export class LengthsPanel {
  readonly element = element("section", { class: "queue", "aria-label": QUEUES.lengths.title });
  private readonly model = control("select");
  private readonly cutoff = control("input", { type: "number", min: "1", max: "10000000", value: "2048" });
  private readonly slider = control("input", { type: "range", min: "0", max: String(STEPS), "aria-label": "Cutoff" });
  private readonly shown = element("div", { class: "lengths" });
  private readonly words = element("p", { role: "status" });
  private readonly work: Work;
  private moving: ReturnType<typeof setTimeout> | undefined;
  private turn = 0;
  private bins: Lengths["bins"] = [];

  constructor(
    private readonly context: Context,
    private readonly dataset: string,
    private readonly mayEdit: boolean,
    private readonly onCounted: () => void,
  ) {
    this.work = new Work(context);
    const count = button("Count", () => void this.count(), "main");
    count.hidden = !mayEdit;
    this.cutoff.addEventListener("input", () => {
      this.place(Number(this.cutoff.value));
      this.moved();
    });
    this.slider.addEventListener("input", () => {
      this.cutoff.value = String(cutAt(this.bins, Number(this.slider.value) / STEPS));
      this.place(Number(this.cutoff.value));
      this.moved();
    });
    this.element.append(
      element("h3", { tabindex: "-1" }, QUEUES.lengths.title),
      element("p", { class: "soft" }, QUEUES.lengths.help),
      element("div", { class: "row filters" }, element("label", {}, "Base model", this.model), element("label", {}, "Cutoff, in tokens", this.cutoff), count),
      this.work.element,
      this.words,
      this.shown,
    );
    context.signal.addEventListener("abort", () => clearTimeout(this.moving), { once: true });
    void this.offerModels();
    void this.look();
  }

  focus(): void {
    this.element.querySelector("h3")!.focus();
  }

  private async offerModels(): Promise<void> {
    try {
      const { items } = await ask<List<{ name: string; default: boolean }>>(this.context, "base-models.list", { limit: 200 });
      options(this.model, Object.fromEntries(items.map(({ name }) => [name, name])));
      this.model.value = items.find((model) => model.default)?.name ?? items[0]?.name ?? "";
    } catch {
      // The default one is counted with.
    }
  }

  /** What was counted before, with another cutoff if one is given. */
  private async look(cutoff: number | null = null): Promise<void> {
    const turn = ++this.turn;
    try {
      const lengths = await ask<Lengths>(this.context, "review.lengths", { dataset: this.dataset, ...(cutoff ? { cutoff } : {}) });
      if (turn === this.turn) this.show(lengths);
    } catch (error) {
      if (this.context.signal.aborted || turn !== this.turn) return;
      if (isCode(error, "not_found")) this.words.textContent = this.mayEdit ? "Nothing was counted yet. Choose a base model and press Count." : "Nothing was counted yet.";
      else this.context.notices.problem(error, () => void this.look(cutoff));
    }
  }

  private async count(): Promise<void> {
    const args = { dataset: this.dataset, cutoff: Number(this.cutoff.value), ...(this.model.value ? { base_model: this.model.value } : {}) };
    const done = await this.work
      .run({ title: "Counting tokens", cancelled: "Counting was cancelled." }, async () => (await this.context.host.call("review.count-lengths", args)) as unknown as Operation)
      .catch((error: unknown) => void this.context.notices.problem(error));
    if (!done) return;
    await this.look(Number(this.cutoff.value));
    this.onCounted();
  }

  /** Let the slider stand where the line does. */
  private place(cutoff: number): void {
    this.slider.value = String(Math.round(cutShare(this.bins, cutoff) * STEPS));
    this.slider.setAttribute("aria-valuetext", countWords(cutoff, "token"));
  }

  private moved(): void {
    clearTimeout(this.moving);
    const cutoff = Math.floor(Number(this.cutoff.value));
    if (cutoff >= 1 && this.shown.childElementCount > 0) this.moving = setTimeout(() => void this.look(cutoff), MOVING_MS);
  }

  private show(lengths: Lengths): void {
    const { cutoff, records, tokens, median, p95, max, records_cut: cutRecords, tokens_cut: cutTokens, tokenizer, base_model, analysed_at, stale } = lengths;
    this.bins = lengths.bins;
    this.cutoff.value = String(cutoff);
    this.place(cutoff);
    if ([...this.model.options].some(({ value }) => value === base_model)) this.model.value = base_model;
    this.words.replaceChildren(
      element("strong", {}, cutRecords === 0 ? `A cutoff of ${cutoff.toLocaleString()} tokens cuts nothing.` : `A cutoff of ${cutoff.toLocaleString()} tokens cuts ${countWords(cutRecords, "record")} (${shareWords(cutRecords / Math.max(1, records))}) and ${countWords(cutTokens, "token")} (${shareWords(cutTokens / Math.max(1, tokens))}).`),
      ` ${countWords(tokens, "token")} in ${countWords(records, "record")}: median ${median.toLocaleString()}, 95% up to ${p95.toLocaleString()}, longest ${max.toLocaleString()}. `,
      element("span", { class: "soft" }, `Counted ${agoWords(analysed_at)} ${tokenizer === "exact" ? `with the tokenizer of ${base_model}.` : `by an estimate: this service has no tokenizer of ${base_model}.`}`),
      ...(stale > 0 ? [" ", element("span", { class: "chip warn" }, `${countWords(stale, "record")} changed since`)] : []),
    );
    const rows = lengths.bins.filter((bin) => bin.records > 0).map((bin) => element("tr", {}, element("th", { scope: "row" }, `${bin.start.toLocaleString()} to ${bin.end.toLocaleString()}`), element("td", { class: "number" }, bin.records.toLocaleString())));
    const table = element("table", { "aria-label": "Records by length" }, element("thead", {}, element("tr", {}, column("Tokens"), column("Records", "number"))), element("tbody", {}, ...rows));
    this.shown.replaceChildren(histogram(lengths, this.slider), control("details", {}, control("summary", {}, "As a table"), table));
  }
}
