// One labelled field of a form, with its help and with what the service says is wrong with it.

import { type FieldProblem, sentence } from "../host/host";
import { element } from "./elements";

export type Control = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;

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

  /** `where` is what the service calls this field when it says what is wrong with it. */
  constructor(
    readonly where: string,
    title: string,
    readonly control: Control,
    { help = "", unit = "", box = control }: Around = {},
  ) {
    control.id ||= uniqueId();
    const helpLine = element("p", { class: "help", id: uniqueId(), hidden: help === "" }, help);
    this.hintLine.id = uniqueId();
    control.setAttribute("aria-describedby", [this.errorLine, helpLine, this.hintLine].map(({ id }) => id).join(" "));
    const check = control instanceof HTMLInputElement && control.type === "checkbox";
    this.element = element(
      "div",
      { class: "field" },
      ...(check
        ? [element("label", { class: "check" }, box, title)]
        : [element("label", { for: control.id }, title), unit ? element("div", { class: "measured" }, box, element("span", {}, unit)) : box]),
      this.errorLine,
      helpLine,
      this.hintLine,
    );
    control.addEventListener("input", () => this.show([]));
  }

  /** A short line that only advises; it may warn. It gives way to what is wrong. */
  hint(words: string, warns = false): void {
    this.hintLine.textContent = words;
    this.hintLine.hidden = words === "" || !this.errorLine.hidden;
    this.hintLine.classList.toggle("warns", warns);
  }

  /** Show what is wrong with this field; an empty list takes it away. */
  show(problems: readonly FieldProblem[]): void {
    const wrong = problems.length > 0;
    this.errorLine.textContent = problems
      .flatMap(({ reason, remedy }) => [reason.replace(/^(is|has) /, "This $&"), remedy].filter(Boolean).map(sentence))
      .join(" ");
    this.errorLine.hidden = !wrong;
    this.hintLine.hidden = wrong || this.hintLine.textContent === "";
    if (wrong) this.control.setAttribute("aria-invalid", "true");
    else this.control.removeAttribute("aria-invalid");
  }

  focus(): void {
    for (let box = this.element.closest("details"); box; box = box.parentElement?.closest("details") ?? null) box.open = true;
    this.control.focus();
  }
}

/** Show each problem at its field and go to the first; answers those that fit no field. */
export function place(fields: readonly Field[], problems: readonly FieldProblem[]): FieldProblem[] {
  const fits = (field: Field, { where }: FieldProblem): boolean => where === field.where || where.startsWith(`${field.where}.`);
  const wrong = fields.filter((field) => {
    const mine = problems.filter((problem) => fits(field, problem));
    field.show(mine);
    return mine.length > 0;
  });
  wrong[0]?.focus();
  return problems.filter((problem) => !wrong.some((field) => fits(field, problem)));
}
