// A form out of the JSON Schema of an object: numbers, choices, switches and texts. What the fields
// hold goes to the service as it is: bounds advise here, and the service decides.

import { control, element } from "./elements";
import { type Control, Field } from "./field";
import { numberWords } from "./words";

export type Value = number | string | boolean;
export type Values = Record<string, Value>;

/** The part of JSON Schema that options are written in; `advanced` and `unit` are our own. */
export interface Property {
  type?: "number" | "integer" | "boolean" | "string";
  title?: string;
  description?: string;
  default?: Value | null;
  minimum?: number;
  maximum?: number;
  enum?: readonly Value[];
  const?: Value;
  advanced?: boolean;
  unit?: string;
}

export interface Schema {
  properties?: Record<string, Property>;
  required?: readonly string[];
}

/** A control that holds one value, or none. */
interface Holder {
  control: Control;
  read(): Value | undefined;
  write(value: Value | undefined): void;
}

interface Entry extends Holder {
  name: string;
  property: Property;
  field: Field;
}

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

export class Form {
  readonly element = element("div", { class: "form" });
  private readonly entries: Entry[];
  private readonly advanced = element("details", {}, control("summary", {}, "Advanced options"));

  /** `prefix` is what the service puts before the names of these fields, such as `options.`. */
  constructor(schema: Schema, prefix = "") {
    const required = new Set(schema.required);
    this.entries = Object.entries(schema.properties ?? {}).map(([name, property]) =>
      entryOf(prefix, name, property, required.has(name)),
    );
    const part = (advanced: boolean): HTMLElement[] =>
      this.entries.filter(({ property }) => (property.advanced ?? false) === advanced).map(({ field }) => field.element);
    this.element.append(element("div", { class: "fields" }, ...part(false)));
    this.advanced.append(element("div", { class: "fields" }, ...part(true)));
    if (part(true).length > 0) this.element.append(this.advanced);
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
      if (property.advanced && values[name] !== defaultOf(property)) this.advanced.open = true;
    }
  }
}

function entryOf(prefix: string, name: string, property: Property, required: boolean): Entry {
  const holder = holderOf(property, required);
  const field = new Field(prefix + name, property.title ?? name, holder.control, {
    help: property.description ?? "",
    unit: property.unit ?? "",
  });
  const advise = (): void => field.hint(...adviceOf(property, holder.read(), required));
  const write = (value: Value | undefined): void => {
    holder.write(value);
    advise();
  };
  holder.control.addEventListener("input", advise);
  write(defaultOf(property));
  return { ...holder, write, name, property, field };
}

function defaultOf(property: Property): Value | undefined {
  return property.default ?? undefined;
}

function holderOf(property: Property, required: boolean): Holder {
  const choices = property.const === undefined ? property.enum : [property.const];
  if (choices) return choiceOf(choices, required || defaultOf(property) !== undefined);
  if (property.type === "boolean") return switchOf(required || defaultOf(property) !== undefined);
  if (property.type === "string") return textOf(defaultOf(property) !== undefined);
  return numberOf(defaultOf(property));
}

/** A text field, not a number field: the browser would hide from us what it does not understand. */
function numberOf(usual: Value | undefined): Holder {
  const input = control("input", { type: "text", inputmode: "decimal", autocomplete: "off", placeholder: textOfValue(usual) });
  return {
    control: input,
    read: () => (input.value.trim() === "" ? undefined : numeric(input.value.trim())),
    write: (value) => (input.value = textOfValue(value)),
  };
}

/** A number if it is one that JSON keeps as it is; else the text, which the service explains. */
function numeric(text: string): Value {
  const value = Number(text);
  const exact = Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value));
  return NUMBER.test(text) && exact ? value : text;
}

function textOf(always: boolean): Holder {
  const input = control("input", { type: "text", autocomplete: "off" });
  return {
    control: input,
    read: () => (input.value === "" && !always ? undefined : input.value),
    write: (value) => (input.value = textOfValue(value)),
  };
}

function switchOf(always: boolean): Holder {
  const input = control("input", { type: "checkbox" });
  return {
    control: input,
    read: () => (input.checked || always ? input.checked : undefined),
    write: (value) => (input.checked = value === true),
  };
}

function choiceOf(choices: readonly Value[], always: boolean): Holder {
  const options = choices.map((choice, index) => element("option", { value: String(index) }, textOfValue(choice)));
  const select = control("select", {}, ...(always ? [] : [element("option", { value: "" }, "–")]), ...options);
  return {
    control: select,
    read: () => (select.value === "" ? undefined : choices[Number(select.value)]),
    write: (value) => {
      const index = value === undefined ? -1 : choices.indexOf(value);
      select.value = index >= 0 ? String(index) : always ? "0" : "";
    },
  };
}

function textOfValue(value: Value | undefined): string {
  return value === undefined ? "" : String(value);
}

/** A line about bounds and default, and whether what is there looks wrong. */
function adviceOf(property: Property, value: Value | undefined, required: boolean): [string, boolean] {
  if (property.type !== "number" && property.type !== "integer") return ["", false];
  if (property.enum || property.const !== undefined) return ["", false];
  const bounds = boundsOf(property);
  const usual = defaultOf(property);
  const rest = usual !== undefined ? `default ${textOfValue(usual)}` : required ? "" : "may be empty";
  if (value !== undefined) {
    if (typeof value !== "number") return ["This is no number", true];
    if (property.type === "integer" && !Number.isInteger(value)) return ["This is no whole number", true];
    if (value < (property.minimum ?? -Infinity) || value > (property.maximum ?? Infinity)) return [`Not ${bounds}`, true];
  }
  const words = [bounds, rest].filter(Boolean).join(" · ");
  return [words.charAt(0).toUpperCase() + words.slice(1), false];
}

function boundsOf({ minimum, maximum }: Property): string {
  if (minimum !== undefined && maximum !== undefined) return `${numberWords(minimum)} to ${numberWords(maximum)}`;
  if (minimum !== undefined) return `at least ${numberWords(minimum)}`;
  return maximum === undefined ? "" : `at most ${numberWords(maximum)}`;
}
