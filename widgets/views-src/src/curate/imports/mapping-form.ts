// How a file is read, to be corrected: its format, and which column is what.

import { control, element } from "../../parts/elements";
import { nameWords } from "../../parts/words";
import { options } from "../records";
import { FORMATS } from "../things";
import { asFormat, type Column, CONSTANT_FIELDS, fieldsOf, type Format, type Mapping } from "./things";

const ENCODINGS = ["utf-8", "utf-16", "latin-1", "cp1252", "cp1250", "cp1251", "mac-roman", "gb18030", "big5", "shift_jis", "euc-kr"];
const DELIMITERS: Readonly<Record<string, string>> = { "": "Comma", ";": "Semicolon", "\t": "Tab", "|": "Bar" };
/** Words of a conversation that files call as they like. */
const TAGS: Readonly<Record<string, string>> = {
  role_tag: "Key of the role",
  content_tag: "Key of the text",
  user_tag: "The user is called",
  assistant_tag: "The assistant is called",
  system_tag: "The system is called",
  observation_tag: "A tool's answer is called",
  function_tag: "A call of a tool is called",
};
const MANY_WORDS = new Set(["user_tag", "assistant_tag", "system_tag", "observation_tag", "function_tag"]);
/** Chosen for a field that has one text in all records. */
const CONSTANT = "\u0000";

export class MappingForm {
  readonly element = element("div", { class: "mapping" });
  private readonly format = control("select");
  private readonly fields = element("div", { class: "mapping" });
  private readonly unused = element("p", { class: "hint", role: "status" });

  constructor(
    private mapping: Mapping,
    private readonly columns: readonly Column[],
    private readonly onChange: (mapping: Mapping) => void,
  ) {
    options(this.format, FORMATS);
    this.format.value = mapping.format;
    this.format.addEventListener("change", () => {
      this.mapping = asFormat(this.mapping, this.format.value as Format);
      this.lay();
      this.changed();
    });
    this.element.append(element("label", { class: "format" }, "Format", this.format), this.fields, this.unused);
    this.lay();
  }

  private lay(): void {
    const { format, container } = this.mapping;
    this.tellUnused();
    const rows = container === "txt" ? [] : fieldsOf(format).map(({ name, needed }) => this.field(name, needed));
    const more = [...this.chunks(), ...this.labels(), ...this.tags(), ...this.file()];
    this.fields.replaceChildren(
      ...(rows.length > 0 ? [element("div", { class: "columns" }, ...rows)] : []),
      ...(more.length > 0 ? [control("details", {}, control("summary", {}, "More about this file"), element("div", { class: "columns" }, ...more))] : []),
    );
  }

  /** What of the file no record will hold. */
  private tellUnused(): void {
    const used = new Set(Object.values(this.mapping.columns));
    const left = this.mapping.container === "txt" ? [] : this.columns.map(({ name }) => name).filter((name) => !used.has(name));
    this.unused.hidden = left.length === 0;
    this.unused.textContent = `Not used: ${left.join(", ")}.`;
  }

  /** Which column holds a field, or one text for all. */
  private field(name: string, needed: boolean): HTMLElement {
    const { columns, constants } = this.mapping;
    const select = control("select");
    const known = Object.fromEntries(this.columns.map((column) => [column.name, `${column.name} (${column.holds})`]));
    const path = columns[name];
    // What formats call it by habit is no column of this file; a path into one, or what must be there, is shown.
    const shown = needed || this.columns.length === 0 || /[.[]/.test(path ?? "");
    const other = path && !(path in known) && shown ? { [path]: path } : {};
    options(select, { "": needed ? "Choose a column" : "–", ...known, ...other, ...(CONSTANT_FIELDS.has(name) ? { [CONSTANT]: "The same text in all records" } : {}) });
    select.value = constants[name] !== undefined ? CONSTANT : path && (path in known || path in other) ? path : "";
    const text = control("textarea", { rows: "2", maxlength: "8000", "aria-label": `${nameWords(name)} of all records`, hidden: select.value !== CONSTANT });
    text.value = constants[name] ?? "";
    const take = (): void => {
      delete columns[name];
      delete constants[name];
      text.hidden = select.value !== CONSTANT;
      box.classList.toggle("wide", !text.hidden);
      if (select.value === CONSTANT) constants[name] = text.value;
      else if (select.value) columns[name] = select.value;
      this.changed();
    };
    select.addEventListener("change", take);
    text.addEventListener("input", take); // the preview follows after a pause
    const box = element("div", { class: "field" }, element("label", {}, needed ? nameWords(name) : `${nameWords(name)} (optional)`, select), text);
    box.classList.toggle("wide", !text.hidden);
    return box;
  }

  private chunks(): HTMLElement[] {
    if (this.mapping.format !== "text" || this.mapping.container !== "txt") return [];
    const chunks = (this.mapping.chunks ??= { by: "paragraph", size: 1, overlap: 0 });
    const by = control("select");
    options(by, { paragraph: "paragraphs", tokens: "tokens" });
    by.value = chunks.by;
    by.addEventListener("change", () => {
      chunks.by = by.value as "paragraph" | "tokens";
      if (chunks.by === "tokens" && chunks.size < 16) chunks.size = 512;
      this.lay();
      this.fields.querySelector("details")!.open = true;
      this.changed();
    });
    const size = this.number(chunks.size, 1, (value) => (chunks.size = value));
    const overlap = this.number(chunks.overlap, 0, (value) => (chunks.overlap = Math.min(value, chunks.size - 1)));
    return [element("label", {}, "A record is so many", by), element("label", {}, "How many", size), element("label", {}, "Of them again from the record before", overlap)];
  }

  private number(value: number, min: number, take: (value: number) => void): HTMLInputElement {
    const field = control("input", { type: "number", min: String(min), max: "100000", value: String(value) });
    field.addEventListener("change", () => {
      take(Math.max(min, Math.floor(Number(field.value) || min)));
      this.changed();
    });
    return field;
  }

  private labels(): HTMLElement[] {
    const { format, values } = this.mapping;
    if (format !== "kto" || !values) return [];
    return (["good", "bad"] as const).map((which) => this.words(which === "good" ? "A good answer is labelled" : "A bad answer is labelled", values[which], (words) => (values[which] = words)));
  }

  private tags(): HTMLElement[] {
    if (!["sharegpt", "openai", "preference", "kto"].includes(this.mapping.format)) return [];
    const tags = (this.mapping.tags ??= {});
    return Object.entries(TAGS).map(([name, title]) => {
      const now = tags[name] ?? [];
      return this.words(title, typeof now === "string" ? [now] : now, (words) => (tags[name] = MANY_WORDS.has(name) ? words : (words[0] ?? null)));
    });
  }

  private words(title: string, now: readonly string[], take: (words: string[]) => void): HTMLElement {
    const field = control("input", { type: "text", maxlength: "1000", placeholder: "as usual", autocomplete: "off", spellcheck: "false" });
    field.value = now.join(", ");
    field.addEventListener("change", () => {
      take(field.value.split(",").map((word) => word.trim()).filter(Boolean));
      this.changed();
    });
    return element("label", {}, title, field);
  }

  private file(): HTMLElement[] {
    const { container, encoding, delimiter } = this.mapping;
    if (!["csv", "tsv", "txt", "json", "jsonl"].includes(container)) return [];
    const made: HTMLElement[] = [];
    if (container === "csv") {
      const field = control("select");
      options(field, DELIMITERS);
      field.value = delimiter && delimiter !== "," ? delimiter : "";
      field.addEventListener("change", () => this.set("delimiter", field.value || null));
      made.push(element("label", {}, "Between the columns", field));
    }
    const field = control("select");
    const known = encoding && !ENCODINGS.includes(encoding) ? [...ENCODINGS, encoding] : ENCODINGS;
    options(field, Object.fromEntries(known.map((name) => [name, name.toUpperCase()])));
    field.value = encoding ?? "utf-8";
    field.addEventListener("change", () => this.set("encoding", field.value === "utf-8" ? null : field.value));
    return [...made, element("label", {}, "Encoding", field)];
  }

  private set(name: "delimiter" | "encoding", value: string | null): void {
    this.mapping[name] = value;
    this.changed();
  }

  private changed(): void {
    this.tellUnused();
    this.onChange(structuredClone(this.mapping));
  }
}
