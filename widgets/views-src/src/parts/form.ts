// A form out of the JSON Schema of an object. Its options come in sections, in the order of the schema;
// those that most leave alone are folded away.

import { control, element } from "./elements";
import { Field } from "./field";
import { adviceOf, defaultOf, type Holder, holderOf, type Property, sameValue, textOfValue, type Value, type Values } from "./holders";

export type { Value, Values } from "./holders";

export interface Schema {
  properties?: Record<string, Property>;
  required?: readonly string[];
}

interface Entry extends Holder {
  name: string;
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
    const entry: Entry = { ...holder, name, property, field, write: () => undefined };
    const advise = (): void => {
      field.hint(...adviceOf(property, holder.read(), required));
      this.mark(entry);
    };
    entry.write = (value: Value | undefined): void => {
      holder.write(value);
      advise();
    };
    holder.control.addEventListener("input", () => {
      advise();
      this.changed();
    });
    entry.write(defaultOf(property));
    return entry;
  }

  private sections(advanced: boolean): HTMLElement[] {
    const entries = this.entries.filter(({ property }) => (property.advanced ?? false) === advanced);
    const titles = [...new Set(entries.map(({ property }) => property.section ?? ""))];
    return titles.map((title) => {
      const fields = entries.filter(({ property }) => (property.section ?? "") === title).map(({ field }) => field.element);
      return element("section", {}, ...(title && titles.length > 1 ? [element("h3", {}, title)] : []), element("div", { class: "fields" }, ...fields));
    });
  }

  private differs({ name, read }: Entry): boolean {
    return this.before !== null && !sameValue(read(), this.before[name]);
  }

  private mark(entry: Entry): void {
    const was = this.before?.[entry.name];
    entry.field.was(this.differs(entry) ? `Was ${was === undefined ? "empty" : textOfValue(was)}` : "");
  }
}
