// A form out of the JSON Schema of an object. Its options come in sections, in the order of the schema;
// those that most leave alone are folded away.

import type { FieldProblem } from "../host/host";
import { control, element } from "./elements";
import { Field } from "./field";
import { adviceOf, defaultOf, type Holder, holderOf, optionWords, type Property, sameValue, type Values } from "./holders";
import { overruledBy } from "./overruled";

export type { Value, Values } from "./holders";

export interface Schema {
  properties?: Record<string, Property>;
  required?: readonly string[];
}

interface Entry extends Holder {
  name: string;
  required: boolean;
  property: Property;
  field: Field;
}

export class Form {
  readonly element = element("div", { class: "form" });
  private readonly entries: Entry[];
  private readonly advanced = element("details", {}, control("summary", {}, "Advanced options"));
  private before: Values | null = null;

  /**
   * `prefix` is what the service puts before the names of these fields, such as `options.`;
   * `changed` hears of each change that the reader makes.
   */
  constructor(
    schema: Schema,
    prefix = "",
    private readonly changed: () => void = () => undefined,
  ) {
    const required = new Set(schema.required);
    this.entries = Object.entries(schema.properties ?? {}).map(([name, property]) => this.entryOf(prefix, name, property, required.has(name)));
    for (const { property, write } of this.entries) write(defaultOf(property));
    this.advise();
    this.element.append(...this.sections(false));
    this.advanced.append(...this.sections(true));
    if (this.advanced.childElementCount > 1) this.element.append(this.advanced);
  }

  get fields(): Field[] {
    return this.entries.map(({ field }) => field);
  }

  /** What the fields hold; an empty one is left out, and the service then takes its default. */
  get values(): Values {
    const values: Values = {};
    for (const { name, read } of this.entries) {
      const value = read();
      if (value !== undefined) values[name] = value;
    }
    return values;
  }

  /** Fill every field; one without a value is emptied. Advanced options that are not as usual are opened. */
  set values(values: Values) {
    for (const { name, property, write } of this.entries) {
      write(values[name]);
      if (property.advanced && !sameValue(values[name], defaultOf(property))) this.advanced.open = true;
    }
    this.advise();
  }

  /** What looks wrong from here, of all fields; the service decides. */
  get doubts(): FieldProblem[] {
    return this.entries.flatMap(({ field, property, read, required }) => {
      const [reason, doubtful] = adviceOf(property, read(), required);
      return doubtful ? [{ where: field.where, reason, remedy: "" }] : [];
    });
  }

  /** Say at each field what it was before, where that differs; null for no such comparison. */
  compareTo(before: Values | null): void {
    this.before = before;
    for (const entry of this.entries) this.mark(entry);
  }

  private entryOf(prefix: string, name: string, property: Property, required: boolean): Entry {
    const holder = holderOf(property, required);
    const field = new Field(prefix + name, property.title ?? name, holder.control, {
      help: property.description ?? "",
      unit: property.unit ?? "",
    });
    holder.control.addEventListener("input", () => {
      this.advise();
      this.changed();
    });
    return { ...holder, name, required, property, field };
  }

  /** Say of every field what helps to fill it, and what it was before: one may bear on another. */
  private advise(): void {
    const { values } = this;
    for (const entry of this.entries) {
      const { name, field, property, read, required } = entry;
      const decides = this.entries.find((other) => other.name === overruledBy(name, values));
      if (decides) field.hint(`Not used: ${decides.field.title} decides`);
      else field.hint(...adviceOf(property, read(), required));
      this.mark(entry);
    }
  }

  /** A heading stands once: of a section that is in both parts, over what is folded. */
  private sections(advanced: boolean): HTMLElement[] {
    const folded = advanced ? [] : [...new Set(this.part(true).map(({ property }) => property.section ?? ""))];
    const titleOf = ({ property: { section = "" } }: Entry): string => (folded.length > 1 && folded.includes(section) ? "" : section);
    const entries = this.part(advanced);
    const titles = [...new Set(entries.map(titleOf))].sort((one, other) => Number(one !== "") - Number(other !== ""));
    return titles.map((title) => {
      const fields = entries.filter((entry) => titleOf(entry) === title).map(({ field }) => field.element);
      return element("section", {}, ...(title && titles.length > 1 ? [element("h3", {}, title)] : []), element("div", { class: "fields" }, ...fields));
    });
  }

  private part(advanced: boolean): Entry[] {
    return this.entries.filter(({ property }) => (property.advanced ?? false) === advanced);
  }

  private differs({ name, read }: Entry): boolean {
    return this.before !== null && !sameValue(read(), this.before[name]);
  }

  private mark(entry: Entry): void {
    const was = this.before?.[entry.name];
    entry.field.was(this.differs(entry) ? `Was ${was === undefined ? "empty" : optionWords(was)}` : "");
  }
}
