// Publishing: what will happen, how far it is, and what came of it.

import { type HostError, wordsOf } from "../host/host";
import { FormDialog } from "../parts/dialog";
import { button, control, element } from "../parts/elements";
import { countWords } from "../parts/words";
import { type Step, Work } from "../parts/work";
import { reportOf } from "./report";
import { QUEUES, type Queue } from "./review/things";
import type { SplitSummary } from "./splits";
import { ask, type Context, type Dataset, type Operation, type Version } from "./things";

export interface PublishEvents {
  /** An operation has begun (its id), or it is over (null). */
  onOperation(id: string | null): void;
  onPublished(): void;
  /** What the review still waits for, in words; null if there was none. */
  open(): Promise<string[] | null>;
  /** The licence of the last version. */
  licence(): Promise<string | null>;
  /** Show the review. */
  onReview(): void;
}

export class Publish {
  readonly button = control("button", { type: "button", class: "main" }, "Publish");
  readonly element = element("div", { class: "publishing" });
  private readonly work: Work;
  private readonly step: Step = {
    title: "Publishing",
    cancelled: "Publishing was cancelled; nothing was published.",
    failed: (error) => this.blocked(error),
  };

  constructor(
    private readonly context: Context,
    private readonly dataset: () => Dataset,
    private readonly events: PublishEvents,
  ) {
    this.work = new Work(context, (id) => {
      this.setBusy(id !== null);
      events.onOperation(id);
    });
    this.element.append(this.work.element);
    this.button.addEventListener("click", () => void this.ask());
  }

  /** Follow an operation that was begun before, for instance before this page was loaded again. */
  async resume(operation: string): Promise<void> {
    this.take(await this.work.resume(this.step, operation));
  }

  private async ask(): Promise<void> {
    if (this.work.busy) return;
    const { id, name, records } = this.dataset();
    const description = control("textarea", { rows: "2", maxlength: "4000" });
    const licence = control("input", { type: "text", maxlength: "64", autocomplete: "off", spellcheck: "false", placeholder: "cc-by-4.0" });
    let begun: Operation | null = null;
    const dialog = new FormDialog({
      title: `Publish ${name}`,
      content: [
        ...this.lines(records),
        element("label", {}, "What is new in it (optional)", description),
        element("label", {}, "Licence (optional)", licence, element("span", { class: "hint" }, "An SPDX name; it stands on the card of the version.")),
      ],
      action: "Publish",
      ready: true,
      signal: this.context.signal,
      act: async () => {
        const said = { description: description.value.trim(), license: licence.value.trim().toLowerCase() };
        const args = { dataset: id, ...Object.fromEntries(Object.entries(said).filter(([, words]) => words !== "")) };
        begun = (await this.context.host.call("versions.publish", args)) as unknown as Operation;
      },
    });
    dialog.allow(records > 0);
    void this.warn(dialog);
    void this.tellSplits(dialog);
    void this.asBefore(licence);
    if ((await dialog.open(this.context.root)) && begun) this.take(await this.work.run(this.step, () => Promise.resolve(begun)));
  }

  private lines(records: number): Node[] {
    if (records === 0) return [element("p", {}, "There is nothing to publish yet. Upload a file or add a record first.")];
    const lines = [
      `${countWords(records, "record")} of the draft ${records === 1 ? "becomes" : "become"} the next version.`,
      "Records that occur more than once are kept once.",
      "A version never changes and cannot be removed. You can go on editing the draft.",
    ];
    return [element("ul", {}, ...lines.map((line) => element("li", {}, line)))];
  }

  /** Say what the review still waits for; publishing waits for nobody. */
  private async warn(dialog: FormDialog): Promise<void> {
    const open = await this.events.open().catch(() => []);
    if (open?.length === 0) return;
    const look = button("Look at it first", () => {
      dialog.element.close();
      this.events.onReview();
    }, "small");
    dialog.element.querySelector("form")!.prepend(element("div", { class: "notice warn", role: "status" }, element("span", {}, open ? `The review is not done: ${open.join(", ")}.` : "Not reviewed."), look));
  }

  /** A draft that is split may have records, such as new ones, that are in none of its parts. */
  private async tellSplits(dialog: FormDialog): Promise<void> {
    const { splits } = await ask<SplitSummary>(this.context, "splits.get", { dataset: this.dataset().id }).catch(() => ({ splits: [] }));
    const without = splits.find(({ split }) => split === null)?.records ?? 0;
    if (without === 0 || !splits.some(({ split, records }) => split !== null && records > 0)) return;
    dialog.element.querySelector("form ul")?.append(element("li", {}, `${countWords(without, "record")} ${without === 1 ? "is" : "are"} in no split.`));
  }

  /** The licence of the version before is likely the one of this. */
  private async asBefore(licence: HTMLInputElement): Promise<void> {
    const before = await this.events.licence().catch(() => null);
    if (before && licence.value === "") licence.value = before;
  }

  /** A policy waits for the review: what it waits for, and the way there. */
  private blocked(error: HostError): HTMLElement | null {
    const waits = error.fields.filter(({ where }) => where in QUEUES);
    if (waits.length === 0) return null;
    const lines = waits.map(({ where, reason, remedy }) => element("li", {}, `${QUEUES[where as Queue].title}: it ${reason} ${remedy}`));
    const look = button("Open the review", () => this.events.onReview(), "main");
    return element("div", { class: "notice bad", role: "alert" }, element("div", { class: "grow" }, element("strong", {}, wordsOf(error)), element("ul", {}, ...lines), element("div", { class: "row" }, look)));
  }

  private take(done: Operation | null): void {
    const version = done?.result?.version as Version | undefined;
    if (version) {
      const train = trainButton(this.context, version);
      train.classList.add("main");
      this.work.say(`Published ${version.name}.`, true, reportOf(version), element("div", { class: "row" }, train));
    }
    this.events.onPublished();
  }

  /** Not `disabled`: that would take away the focus, which the dialog has just given back. */
  private setBusy(busy: boolean): void {
    this.button.setAttribute("aria-disabled", String(busy));
  }
}

export function trainButton({ host, notices }: Context, version: Version): HTMLButtonElement {
  const button = control("button", { type: "button", "aria-label": `Train on it: ${version.name}` }, "Train on it");
  button.addEventListener("click", () => {
    host.call("view.open", { view: "train", start: { version: version.id } }).catch((error: unknown) => notices.problem(error));
  });
  return button;
}
