// Publishing: what will happen, how far it is, and what came of it.

import { HostError, type Json } from "../host/host";
import { follow } from "../host/persist";
import { control, element } from "../parts/elements";
import { countWords, shareWords } from "../parts/words";
import { reportOf } from "./report";
import { type Context, type Dataset, isCode, type Operation, type Version } from "./things";

export interface PublishEvents {
  /** An operation has begun (its id), or it is over (null). */
  onOperation(id: string | null): void;
  onPublished(): void;
}

export class Publish {
  readonly button = control("button", { type: "button", class: "main" }, "Publish");
  readonly element = element("div", { class: "publishing" });
  private readonly bar = element("progress", { max: "1", value: "0", "aria-label": "Publishing" });
  private readonly words = element("span", { role: "status" });
  private busy = false;

  constructor(
    private readonly context: Context,
    private readonly dataset: () => Dataset,
    private readonly events: PublishEvents,
  ) {
    this.button.addEventListener("click", () => void this.ask());
  }

  /** Follow an operation that was begun before, for instance before this page was loaded again. */
  async resume(operation: string): Promise<void> {
    this.begin(operation);
    let last: Operation | null = null;
    const note = (event: Json): void => {
      last = event as unknown as Operation;
      this.show(last);
    };
    try {
      const { host, signal, notices } = this.context;
      const over = async (): Promise<boolean> => {
        note(await host.call("operations.get", { operation }));
        return last?.state !== "running";
      };
      await follow(host, "operations.events", () => ({ operation }), note, over, signal, notices.trouble);
      if (!signal.aborted && last) this.finish(last);
    } catch (error) {
      if (this.context.signal.aborted) return;
      this.end();
      if (!isCode(error, "not_found")) this.context.notices.problem(error);
    }
  }

  private async ask(): Promise<void> {
    if (this.busy || !(await this.agreed())) return;
    this.setBusy(true);
    try {
      const begun = await this.context.host.call("versions.publish", { dataset: this.dataset().id });
      void this.resume((begun as unknown as Operation).id);
    } catch (error) {
      this.setBusy(false);
      if (!this.context.signal.aborted) this.context.notices.problem(error, () => void this.ask());
    }
  }

  private agreed(): Promise<boolean> {
    const { name, records } = this.dataset();
    const dialog = element("dialog", { "aria-label": `Publish ${name}` });
    const yes = control("button", { type: "button", class: "main", autofocus: true, disabled: records === 0 }, "Publish");
    const no = control("button", { type: "button" }, "Cancel");
    const lines = [
      `${countWords(records, "record")} of the draft ${records === 1 ? "becomes" : "become"} the next version.`,
      "Records that occur more than once are kept once.",
      "A version never changes and cannot be removed. You can go on editing the draft.",
    ];
    const words = records === 0 ? element("p", {}, "There is nothing to publish yet. Upload a file or add a record first.") : element("ul", {}, ...lines.map((line) => element("li", {}, line)));
    dialog.append(element("h3", {}, `Publish ${name}`), words, element("div", { class: "row" }, yes, no));
    this.context.root.append(dialog);
    return new Promise((resolve) => {
      yes.addEventListener("click", () => dialog.close("yes"));
      no.addEventListener("click", () => dialog.close());
      dialog.addEventListener("close", () => {
        dialog.remove();
        resolve(dialog.returnValue === "yes");
      });
      dialog.showModal();
    });
  }

  /** Not `disabled`: that would take away the focus, which the dialog has just given back. */
  private setBusy(busy: boolean): void {
    this.busy = busy;
    this.button.setAttribute("aria-disabled", String(busy));
  }

  private begin(operation: string): void {
    this.setBusy(true);
    this.events.onOperation(operation);
    const cancel = control("button", { type: "button", class: "small" }, "Cancel");
    cancel.addEventListener("click", () => {
      cancel.disabled = true;
      void this.context.host.call("operations.cancel", { operation }).catch((error: unknown) => {
        cancel.disabled = false;
        if (!this.context.signal.aborted) this.context.notices.problem(error);
      });
    });
    this.bar.value = 0;
    this.words.textContent = "Publishing …";
    this.element.replaceChildren(element("div", { class: "notice" }, element("div", { class: "grow" }, this.words, this.bar), cancel));
  }

  private show({ state, progress, done, total }: Operation): void {
    if (state !== "running") return;
    this.bar.value = progress;
    this.words.textContent = total ? `Publishing: ${done.toLocaleString()} of ${countWords(total, "record")}, ${shareWords(progress)}` : "Publishing …";
  }

  private finish({ state, result, error }: Operation): void {
    this.end();
    if (state === "completed" && result) this.report(result.version);
    else if (state === "failed") this.context.notices.problem(new HostError(error?.code ?? "internal", error?.detail ?? "Publishing failed.", error?.hint ?? null, error?.errors ?? []));
    else this.say("Publishing was cancelled; nothing was published.");
    this.events.onPublished();
  }

  private report(version: Version): void {
    const train = trainButton(this.context, version);
    train.classList.add("main");
    this.say(`Published ${version.name}.`, reportOf(version), element("div", { class: "row" }, train));
    this.element.querySelector(".notice")!.classList.add("good-notice");
  }

  private say(words: string, ...more: Node[]): void {
    const dismiss = control("button", { type: "button", class: "small dismiss", "aria-label": "Dismiss" }, "✕");
    dismiss.addEventListener("click", () => this.element.replaceChildren());
    this.element.replaceChildren(element("div", { class: "notice", role: "status" }, element("div", { class: "grow" }, element("strong", {}, words), ...more), dismiss));
  }

  private end(): void {
    this.setBusy(false);
    this.element.replaceChildren();
    this.events.onOperation(null);
  }
}

export function trainButton({ host, notices }: Context, version: Version): HTMLButtonElement {
  const button = control("button", { type: "button", "aria-label": `Train on it: ${version.name}` }, "Train on it");
  button.addEventListener("click", () => {
    host.call("view.open", { view: "train", start: { version: version.id } }).catch((error: unknown) => notices.problem(error));
  });
  return button;
}
