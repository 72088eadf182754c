// Choosing one of many by typing a part of its name.
// Source: ARIA Authoring Practices Guide, "Editable Combobox With List Autocomplete".

import { control, element } from "./elements";
import { uniqueId } from "./field";

export interface Choice {
  id: string;
  title: string;
  /** Said beside the title; it is searched too. */
  note?: string;
}

const NONE = "Nothing is called so.";

export class Picker {
  readonly input = control("input", {
    type: "text",
    role: "combobox",
    autocomplete: "off",
    spellcheck: "false",
    "aria-autocomplete": "list",
    "aria-expanded": "false",
  });
  private readonly list = element("ul", { role: "listbox", "aria-label": "Choices", id: uniqueId(), hidden: true });
  readonly element = element("div", { class: "picker" }, this.input, this.list);
  private choices: readonly Choice[] = [];
  private shown: readonly Choice[] = [];
  private active = -1;
  private choice: Choice | null = null;
  /** What the open list is for. */
  private wanted = "";
  private looking = false;
  private more = false;
  private none = NONE;

  /** `look` is asked for the choices that hold what was typed; it offers them when it has them. */
  constructor(
    private readonly chose: (id: string) => void,
    private readonly look: (typed: string) => void,
  ) {
    this.input.setAttribute("aria-controls", this.list.id);
    this.input.addEventListener("click", () => this.open(""));
    this.input.addEventListener("input", () => this.open(this.input.value));
    this.input.addEventListener("blur", () => this.close());
    this.input.addEventListener("keydown", (event) => this.press(event));
    // The list must not take the focus: that would close it before the click arrives.
    this.list.addEventListener("mousedown", (event) => event.preventDefault());
    this.list.addEventListener("click", (event) => {
      const option = (event.target as Element).closest("[role=option]");
      if (option) this.take(this.shown[[...this.list.children].indexOf(option)]);
    });
  }

  get chosen(): string | null {
    return this.choice?.id ?? null;
  }

  /** Choose without telling anybody. */
  show(choice: Choice | null): void {
    this.choice = choice;
    this.close();
  }

  /** Offer these from now on, of which there may be more, or say why there is none; what is being typed stays. */
  offer(choices: readonly Choice[], more = false, none = NONE): void {
    this.none = none;
    this.choices = choices;
    this.more = more;
    this.looking = false;
    if (this.list.hidden) return;
    const active = this.shown[this.active]?.id;
    this.draw();
    const still = this.shown.findIndex(({ id }) => id === active);
    if (still >= 0) this.activate(still);
  }

  private open(typed: string): void {
    this.wanted = typed.trim();
    this.list.hidden = false;
    this.input.setAttribute("aria-expanded", "true");
    this.looking = true;
    this.draw();
    this.look(this.wanted);
  }

  /** What is known already is shown at once. */
  private draw(): void {
    const wanted = this.wanted.toLowerCase();
    this.shown = this.choices.filter(({ title, note }) => `${title} ${note ?? ""}`.toLowerCase().includes(wanted));
    const line = this.line();
    this.list.replaceChildren(
      ...this.shown.map(optionOf),
      ...(line ? [element("li", { role: "presentation", class: "more" }, line)] : []),
    );
    const chosen = this.shown.findIndex(({ id }) => id === this.chosen);
    this.activate(wanted && this.shown.length > 0 ? 0 : chosen);
  }

  private line(): string {
    if (this.shown.length === 0) return this.looking ? "Looking …" : this.none;
    return this.more ? "There are more: type a part of the name." : "";
  }

  private close(): void {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.activate(-1);
    this.input.value = this.choice?.title ?? "";
  }

  private activate(index: number): void {
    this.active = index;
    [...this.list.children].forEach((option, at) => {
      if (option.getAttribute("role") === "option") option.setAttribute("aria-selected", String(at === index));
    });
    const option = this.list.children[index];
    if (option) this.input.setAttribute("aria-activedescendant", option.id);
    else this.input.removeAttribute("aria-activedescendant");
    if (!this.list.hidden) option?.scrollIntoView({ block: "nearest" });
  }

  private take(choice: Choice | undefined): void {
    if (!choice) return;
    this.show(choice);
    this.chose(choice.id);
  }

  private press(event: KeyboardEvent): void {
    if (event.isComposing) return;
    const closed = this.list.hidden;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) {
      if (closed) this.open("");
      else this.activate(Math.max(0, Math.min(this.shown.length - 1, this.active + step)));
    } else if (event.key === "Enter" && !closed) this.take(this.shown[this.active]);
    else if (event.key === "Escape" && !closed) this.close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

function optionOf({ title, note }: Choice): HTMLElement {
  const parts = note ? [element("span", { class: "soft" }, note)] : [];
  return element("li", { role: "option", id: uniqueId(), "aria-selected": "false" }, element("span", {}, title), ...parts);
}
