// Which records of a draft are shown: words, and a few conditions that are in a box of their own. What
// is set can be seen, and taken away, while the box is closed.

import type { Args } from "../host/host";
import { button, control, element } from "../parts/elements";
import { KINDS } from "./record";
import { languageWords, ruleWords } from "./review/things";

/** A pause in typing after which it is searched. */
const TYPING_MS = 250;
const FLAGS = ["empty", "short", "echo", "refusal", "placeholder", "roles", "encoding", "illegible"];
export const SPLITS: Readonly<Record<string, string>> = { train: "Train", validation: "Validation", test: "Test" };
export const FIELDS: Readonly<Record<string, string>> = {
  system: "what the system says",
  user: "what the user says",
  assistant: "what the assistant says",
  tool: "what a tool says",
  text: "the text",
  chosen: "the chosen answer",
  rejected: "the rejected answer",
  tools: "the tools",
};

/** What is set; what is not is empty or false. */
export interface Filter {
  search: string;
  field: string;
  file: string;
  kind: string;
  language: string;
  flag: string;
  split: string;
  min_length: string;
  max_length: string;
  group: string;
  edited: boolean;
  duplicates: boolean;
  near_duplicates: boolean;
}

const COUNTS = new Set(["min_length", "max_length", "group"]);

/** What a filter asks of the service; only what it sets. */
export function argsOf(filter: Filter): Args {
  const args: Args = {};
  for (const [name, value] of Object.entries(filter) as [keyof Filter, string | boolean][]) {
    const said = typeof value === "string" ? value.trim() : value;
    if (said === "" || said === false) continue;
    if (COUNTS.has(name)) args[name] = Math.max(0, Math.floor(Number(said)));
    else args[name] = said;
  }
  if (args.search === undefined) delete args.field;
  return args;
}

export class Filters {
  readonly element = element("div", { class: "filtering" });
  private readonly search = control("input", { type: "search", placeholder: "Words to find", maxlength: "400" });
  private readonly choices = {
    field: select({ "": "Anywhere", ...FIELDS }),
    file: select({ "": "All files" }),
    kind: select({ "": "All kinds", ...KINDS }),
    language: select({ "": "All languages" }),
    flag: select({ "": "With or without", ...Object.fromEntries(FLAGS.map((flag) => [flag, ruleWords("quality", flag)])) }),
    split: select({ "": "All", ...SPLITS, none: "In no split" }),
  };
  private readonly lengths = { min_length: count(), max_length: count() };
  private readonly checks = { edited: check(), duplicates: check(), near_duplicates: check() };
  private group = "";
  private readonly set = element("div", { class: "row set" });
  private readonly box = element("div", { class: "row filters more", role: "group", "aria-label": "Filters", hidden: true });
  private readonly toggle = button("Filters", () => this.fold(this.box.hidden));
  private typing: ReturnType<typeof setTimeout> | undefined;

  /** `onOpen` hears when the box is opened: what it offers may have to be looked for. */
  constructor(
    order: HTMLElement,
    private readonly onChange: () => void,
    private readonly onOpen: () => void,
  ) {
    const { field, file, kind, language, flag, split } = this.choices;
    const { edited, duplicates, near_duplicates: near } = this.checks;
    this.box.append(
      element("label", {}, "File", file),
      element("label", {}, "Kind", kind),
      element("label", {}, "Language", language),
      element("label", {}, "Flag", flag),
      element("label", {}, "Split", split),
      element("label", { class: "short" }, "Min. characters", this.lengths.min_length),
      element("label", { class: "short" }, "Max. characters", this.lengths.max_length),
      element("label", { class: "check" }, edited, "Edited"),
      element("label", { class: "check" }, duplicates, "Duplicates"),
      element("label", { class: "check" }, near, "Near duplicates"),
    );
    this.toggle.setAttribute("aria-expanded", "false");
    this.element.append(element("div", { class: "row filters" }, element("label", { class: "wide-field" }, "Search", this.search), element("label", {}, "In", field), element("label", {}, "Order", order), this.toggle), this.box, this.set);
    for (const typed of [this.search, ...Object.values(this.lengths)]) typed.addEventListener("input", () => this.soon());
    for (const chosen of [...Object.values(this.choices), ...Object.values(this.checks)]) chosen.addEventListener("change", () => this.changed());
  }

  get value(): Filter {
    const words = Object.fromEntries(Object.entries({ ...this.choices, ...this.lengths }).map(([name, field]) => [name, field.value]));
    const ticks = Object.fromEntries(Object.entries(this.checks).map(([name, box]) => [name, box.checked]));
    return { search: this.search.value, group: this.group, ...words, ...ticks } as unknown as Filter;
  }

  get args(): Args {
    return argsOf(this.value);
  }

  get active(): boolean {
    return Object.keys(this.args).length > 0;
  }

  /** Show the near-duplicates of one group. */
  showGroup(group: number): void {
    this.clear();
    this.group = String(group);
    this.changed();
  }

  offerFiles(files: Readonly<Record<string, string>>): void {
    offer(this.choices.file, { "": "All files", ...files });
  }

  offerLanguages(codes: readonly string[]): void {
    offer(this.choices.language, { "": "All languages", ...Object.fromEntries(codes.map((code) => [code, languageWords(code)])) });
  }

  close(): void {
    clearTimeout(this.typing);
  }

  private clear(): void {
    this.search.value = this.group = "";
    for (const field of [...Object.values(this.choices), ...Object.values(this.lengths)]) field.value = "";
    for (const box of Object.values(this.checks)) box.checked = false;
  }

  private fold(open: boolean): void {
    this.box.hidden = !open;
    this.toggle.setAttribute("aria-expanded", String(open));
    if (open) this.onOpen();
  }

  private soon(): void {
    clearTimeout(this.typing);
    this.typing = setTimeout(() => this.changed(), TYPING_MS);
  }

  private changed(): void {
    this.tell();
    this.onChange();
  }

  /** Say what is set in the box, each with a way to take it off. */
  private tell(): void {
    const chips: HTMLElement[] = [];
    const chip = (words: string, off: () => void): void => {
      const made = button(`${words} ✕`, () => {
        off();
        this.changed();
        this.toggle.focus();
      }, "chip", `Take the filter away: ${words}`);
      chips.push(made);
    };
    for (const [name, field] of Object.entries(this.choices)) if (name !== "field" && field.value) chip(`${name}: ${field.selectedOptions[0]?.textContent ?? field.value}`, () => (field.value = ""));
    for (const [name, field] of Object.entries(this.lengths)) if (field.value) chip(`${name === "min_length" ? "at least" : "at most"} ${Number(field.value).toLocaleString()} characters`, () => (field.value = ""));
    for (const [name, box] of Object.entries(this.checks)) if (box.checked) chip(name.replace("_", " "), () => (box.checked = false));
    if (this.group) chip(`group ${this.group} of near duplicates`, () => (this.group = ""));
    this.set.replaceChildren(...chips);
    this.toggle.textContent = chips.length > 0 ? `Filters (${chips.length})` : "Filters";
  }
}

function select(choices: Readonly<Record<string, string>>): HTMLSelectElement {
  const made = control("select");
  offer(made, choices);
  return made;
}

/** Offer other choices; what was chosen stays if it still can be. */
function offer(field: HTMLSelectElement, choices: Readonly<Record<string, string>>): void {
  const chosen = field.value;
  field.replaceChildren(...Object.entries(choices).map(([value, words]) => element("option", { value }, words)));
  field.value = chosen in choices ? chosen : "";
}

function count(): HTMLInputElement {
  return control("input", { type: "number", min: "0", max: "1000000000" });
}

function check(): HTMLInputElement {
  return control("input", { type: "checkbox" });
}
