// Questions in a dialog: one that must be answered before something is lost, and forms.

import { type FieldProblem, HostError, sentence, wordsOf } from "../host/host";
import { button, control, element, scrolled } from "./elements";

/** Ask; `true` if the reader chose `action`. Escape and `keep` mean no. */
export function confirm(within: HTMLElement, title: string, words: string, action: string, keep = "Cancel"): Promise<boolean> {
  const dialog = element("dialog", { "aria-label": title });
  const yes = control("button", { type: "button", class: "danger" }, action);
  const no = control("button", { type: "button", autofocus: true }, keep);
  dialog.append(element("h3", {}, title), element("p", {}, words), element("div", { class: "row" }, no, yes));
  within.append(dialog);
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

/** Show something until the reader closes it. */
export function show(within: HTMLElement, title: string, content: HTMLElement): void {
  const dialog = element("dialog", { "aria-label": title });
  dialog.append(element("h3", {}, title), scrolled(title, "content", content), element("div", { class: "row" }, button("Close", () => dialog.close())));
  dialog.addEventListener("close", () => dialog.remove());
  within.append(dialog);
  dialog.showModal();
}

export interface FormOptions {
  title: string;
  content: readonly (Node | string)[];
  /** What the one button says. */
  action: string;
  /** What it does; an error stays in the dialog, beside what was filled in. */
  act: () => Promise<void>;
  danger?: boolean;
  /** It can be sent as it is: Enter does. */
  ready?: boolean;
  /** Ends it from outside. */
  signal?: AbortSignal;
}

/** A form that is filled in and sent once. */
export class FormDialog {
  readonly element: HTMLDialogElement;
  private readonly send: HTMLButtonElement;
  private readonly problem = element("div", { role: "alert" });
  private sending = false;

  constructor(private readonly options: FormOptions) {
    const { title, content, action, danger = false, ready = false, signal } = options;
    this.element = element("dialog", { "aria-label": title, class: "form" });
    this.send = control("button", { type: "submit", class: danger ? "danger" : "main", autofocus: ready }, action);
    const form = control("form", { novalidate: true }, ...content, this.problem, element("div", { class: "row" }, this.send, button("Cancel", () => this.element.close())));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.submit();
    });
    this.element.append(element("h3", {}, title), form);
    signal?.addEventListener("abort", () => this.element.close(), { once: true });
  }

  /** Show it; says whether it was done. */
  open(within: HTMLElement): Promise<boolean> {
    within.append(this.element);
    return new Promise((resolve) => {
      this.element.addEventListener("close", () => {
        this.element.remove();
        resolve(this.element.returnValue === "done");
      });
      this.element.showModal();
    });
  }

  /** Whether it can be sent now. */
  allow(allowed: boolean): void {
    this.send.disabled = !allowed;
  }

  private async submit(): Promise<void> {
    if (this.sending || this.send.disabled) return;
    this.sending = true;
    this.send.setAttribute("aria-disabled", "true");
    this.problem.replaceChildren();
    try {
      await this.options.act();
      this.element.close("done");
    } catch (error) {
      this.problem.replaceChildren(problemBox(error));
    } finally {
      this.sending = false;
      this.send.removeAttribute("aria-disabled");
    }
  }
}

/** What went wrong, with each field that it is about. */
function problemBox(error: unknown): HTMLElement {
  const fields: readonly FieldProblem[] = error instanceof HostError ? error.fields : [];
  const lines = fields.map(({ where, reason, remedy }) => element("li", {}, `${where}: ${sentence(reason)} ${remedy}`.trim()));
  return element("div", { class: "notice bad" }, element("span", {}, wordsOf(error)), ...(lines.length > 0 ? [element("ul", {}, ...lines)] : []));
}
