// One labelled field of a form, with its help and with what the service says is wrong with it.

import { type FieldProblem, sentence } from "../host/host";
import { element } from "./elements";

export type Control = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement | HTMLFieldSetElement;

/** What stands around a control. */
export interface Around {
  help?: string;
  /** Written behind the control. */
  unit?: string;
  /** What holds the control, if it is more than the control alone. */
  box?: HTMLElement;
}

/** An id that no other element of the page has. */
export function uniqueId(): string {
  return `ady-${crypto.getRandomValues(new Uint32Array(2)).join("-")}`;
}

export class Field {
  readonly element: HTMLElement;
  private readonly hintLine = element("p", { class: "hint", hidden: true });
  private readonly errorLine = element("p", { class: "error", id: uniqueId(), hidden: true });
  private readonly label: HTMLElement;
  private readonly wasLine = element("p", { class: "was", id: uniqueId(), hidden: true });

  /** `where` is what the service calls this field when it says what is wrong with it. */
  constructor(
    public where: string,
    title: string,
    readonly control: Control,
    { help = "", unit = "", box = control }: Around = {},
  ) {
    control.id ||= uniqueId();
    const helpLine = element("p", { class: "help", id: uniqueId(), hidden: help === "" }, help);
    this.hintLine.id = uniqueId();
    control.setAttribute("aria-describedby", [this.errorLine, this.wasLine, helpLine, this.hintLine].map(({ id }) => id).join(" "));
    this.label = labelOf(control);
    this.title = title;
    this.element = element(
      "div",
      { class: control instanceof HTMLFieldSetElement ? "field wide" : "field" },
      ...around(control, this.label, unit ? element("div", { class: "measured" }, box, element("span", {}, unit)) : box),
      this.errorLine,
      this.wasLine,
      helpLine,
      this.hintLine,
    );
    control.addEventListener("input", () => this.show([]));
  }

  get title(): string {
    return this.label.textContent;
  }

  set title(words: string) {
    this.label.textContent = words;
  }

  /** A short line that only advises; it may warn. It gives way to what is wrong. */
  hint(words: string, warns = false): void {
    this.hintLine.textContent = words;
    this.hintLine.hidden = words === "" || !this.errorLine.hidden;
    this.hintLine.classList.toggle("warns", warns);
  }

  /** Whether something else was here before. */
  get differs(): boolean {
    return !this.wasLine.hidden;
  }

  /** Say what was here before; empty if it is as it was. */
  was(words: string): void {
    this.wasLine.textContent = words;
    this.wasLine.hidden = words === "";
  }

  /** Show what is wrong with this field; an empty list takes it away. */
  show(problems: readonly FieldProblem[]): void {
    const wrong = problems.length > 0;
    this.errorLine.textContent = problems
      .flatMap(({ reason, remedy }) => [reason.replace(/^(is|has) /, "This $&"), remedy].filter(Boolean).map(sentence))
      .join(" ");
    this.errorLine.hidden = !wrong;
    this.hintLine.hidden = wrong || this.hintLine.textContent === "";
    for (const marked of this.control instanceof HTMLFieldSetElement ? this.control.elements : [this.control]) {
      if (wrong) marked.setAttribute("aria-invalid", "true");
      else marked.removeAttribute("aria-invalid");
    }
  }

  focus(): void {
    for (let box = this.element.closest("details"); box; box = box.parentElement?.closest("details") ?? null) box.open = true;
    this.control.focus();
  }
}

function isSwitch(control: Control): boolean {
  return control instanceof HTMLInputElement && control.type === "checkbox";
}

function labelOf(control: Control): HTMLElement {
  if (control instanceof HTMLFieldSetElement) return element("legend");
  return isSwitch(control) ? element("span") : element("label", { for: control.id });
}

function around(control: Control, label: HTMLElement, box: HTMLElement): HTMLElement[] {
  if (isSwitch(control)) return [element("label", { class: "check" }, box, label)];
  if (!(control instanceof HTMLFieldSetElement)) return [label, box];
  control.prepend(label);
  return [box];
}

/** Whether something that the service says is about this field. */
export function fits(field: Field, { where }: { where: string }): boolean {
  return where === field.where || where.startsWith(`${field.where}.`);
}

/** Show each problem at its field and go to the first; answers those that fit no field. */
export function place(fields: readonly Field[], problems: readonly FieldProblem[]): FieldProblem[] {
  const wrong = fields.filter((field) => {
    const mine = problems.filter((problem) => fits(field, problem));
    field.show(mine);
    return mine.length > 0;
  });
  wrong[0]?.focus();
  return problems.filter((problem) => !wrong.some((field) => fits(field, problem)));
}
