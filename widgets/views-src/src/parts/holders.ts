// The controls of a form: each holds one value as JSON has it, or none. What they hold goes to the
// service as it is: bounds advise only, and the service decides.

import type { OptionValue } from "../host/things";
import { control, element } from "./elements";
import type { Control } from "./field";
import { numberWords } from "./words";

export type Value = OptionValue;
export type Values = Record<string, Value>;

/** The part of JSON Schema that options are written in; `advanced`, `section` and `unit` are our own. */
export interface Property {
  type?: "number" | "integer" | "boolean" | "string" | "array";
  title?: string;
  description?: string;
  default?: Value | null;
  minimum?: number;
  maximum?: number;
  enum?: readonly Value[];
  const?: Value;
  items?: { enum?: readonly string[] };
  advanced?: boolean;
  section?: string;
  unit?: string;
}

/** A control that holds one value, or none. */
export interface Holder {
  control: Control;
  read(): Value | undefined;
  write(value: Value | undefined): void;
}

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

export function holderOf(property: Property, required: boolean): Holder {
  const always = required || defaultOf(property) !== undefined;
  const choices = property.const === undefined ? property.enum : [property.const];
  if (choices) return choiceOf(choices, always);
  if (property.type === "array") return property.items?.enum ? choicesOf(property.items.enum) : wordsOf();
  if (property.type === "boolean") return switchOf(always);
  if (property.type === "string") return textOf(defaultOf(property) !== undefined);
  return numberOf(defaultOf(property));
}

export function defaultOf(property: Property): Value | undefined {
  return property.default ?? undefined;
}

/** A value as a reader writes it. */
export function textOfValue(value: Value | undefined): string {
  if (value === undefined) return "";
  return typeof value === "object" ? value.join(", ") : String(value);
}

/** A value for who only reads it: textOfValue is for who types it. */
export function optionWords(value: Value): string {
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "number" ? value.toLocaleString(undefined, { maximumSignificantDigits: 12 }) : textOfValue(value);
}

export function sameValue(one: Value | undefined, other: Value | undefined): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
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

/** Any number of choices; none of them is no value. What is none of them is kept beside them. */
function choicesOf(choices: readonly string[]): Holder {
  const boxes = choices.map((value) => control("input", { type: "checkbox", value }));
  const group = control("fieldset", { tabindex: "-1" }, ...boxes.map((box) => element("label", { class: "check" }, box, box.value)));
  let others: readonly string[] = [];
  return {
    control: group,
    read: () => {
      const chosen = [...boxes.filter(({ checked }) => checked).map(({ value }) => value), ...others];
      return chosen.length > 0 ? chosen : undefined;
    },
    write: (value) => {
      const chosen = listOf(value);
      for (const box of boxes) box.checked = chosen.includes(box.value);
      others = chosen.filter((one) => !choices.includes(one));
    },
  };
}

/** Any words, with commas between them. */
function wordsOf(): Holder {
  const input = control("input", { type: "text", autocomplete: "off", spellcheck: "false" });
  return {
    control: input,
    read: () => {
      const words = input.value.split(",").map((word) => word.trim()).filter(Boolean);
      return words.length > 0 ? words : undefined;
    },
    write: (value) => (input.value = textOfValue(value)),
  };
}

function listOf(value: Value | undefined): readonly string[] {
  return typeof value === "object" ? value : value === undefined ? [] : [String(value)];
}

/** A line about bounds and default, and whether what is there looks wrong. */
export function adviceOf(property: Property, value: Value | undefined, required: boolean): [words: string, warns: boolean] {
  const rest = defaultOf(property) !== undefined ? `default ${textOfValue(defaultOf(property))}` : required ? "" : "may be empty";
  if (property.type === "array" && rest) return [capital(rest), false];
  if (property.type !== "number" && property.type !== "integer") return ["", false];
  if (property.enum || property.const !== undefined) return ["", false];
  const bounds = boundsOf(property);
  if (value !== undefined) {
    if (typeof value !== "number") return ["This is no number", true];
    if (property.type === "integer" && !Number.isInteger(value)) return ["This is no whole number", true];
    if (value < (property.minimum ?? -Infinity) || value > (property.maximum ?? Infinity)) return [`Not ${bounds}`, true];
  }
  return [capital([bounds, rest].filter(Boolean).join(" · ")), false];
}

function capital(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function boundsOf({ minimum, maximum }: Property): string {
  if (minimum !== undefined && maximum !== undefined) return `${numberWords(minimum)} to ${numberWords(maximum)}`;
  if (minimum !== undefined) return `at least ${numberWords(minimum)}`;
  return maximum === undefined ? "" : `at most ${numberWords(maximum)}`;
}
