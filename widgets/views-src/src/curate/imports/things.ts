// What the service answers about a file that is to become records. See adaptery/schemas/imports.py and
// mappings.py; which fields a format has is said there too, and held against this by a test.

import type { DraftRecord } from "../record";

export type Format = "alpaca" | "sharegpt" | "openai" | "prompt" | "preference" | "kto" | "text";

export interface Mapping {
  format: Format;
  container: string;
  columns: Record<string, string>;
  constants: Record<string, string>;
  tags?: Record<string, string | string[] | null>;
  values?: { good: string[]; bad: string[] };
  chunks?: { by: "paragraph" | "tokens"; size: number; overlap: number } | null;
  encoding?: string | null;
  delimiter?: string | null;
  member?: string | null;
  parts?: Mapping[];
  [more: string]: unknown;
}

export interface Column {
  name: string;
  holds: string;
  used_as: string | null;
}

export interface FileProblem {
  id: string;
  number: number | null;
  where: string;
  reason: string;
  remedy: string;
}

export interface PreviewItem {
  number: number;
  record: DraftRecord | null;
  problem: FileProblem | null;
}

export interface FilePreview {
  preview: PreviewItem[];
  problems_in_preview: number;
}

export interface Member {
  name: string;
  mapping: Mapping | null;
  confident: boolean;
  why: string;
  columns: Column[];
}

export interface Suggestion extends FilePreview {
  mapping: Mapping | null;
  container: string;
  confident: boolean;
  why: string;
  columns: Column[];
  members: Member[];
}

/** The fields that each format reads, the ones it cannot do without first marked by `!`. */
export const FORMAT_FIELDS: Readonly<Record<Format, readonly string[]>> = {
  alpaca: ["instruction", "input", "output!", "system", "history", "tools"],
  sharegpt: ["messages!", "system", "tools"],
  openai: ["messages!", "system", "tools"],
  prompt: ["instruction", "prompt!", "completion!", "system", "tools"],
  preference: ["messages", "instruction", "input", "prompt", "history", "chosen!", "rejected!", "system", "tools"],
  kto: ["messages", "instruction", "input", "output", "prompt", "completion", "history", "label!", "system", "tools"],
  text: ["text!"],
};

/** Fields for which one text for all records makes sense. */
export const CONSTANT_FIELDS: ReadonlySet<string> = new Set(["instruction", "system"]);

export function fieldsOf(format: Format): { name: string; needed: boolean }[] {
  return FORMAT_FIELDS[format].map((field) => ({ name: field.replace("!", ""), needed: field.endsWith("!") }));
}

/** Where in its record a problem is; which record that is, its number says. */
export function placeOf({ number, where }: FileProblem): string {
  const found = number === null ? null : new RegExp(`^record ${number}(?: \\(([^)]*)\\))?(?:, (.*))?$`, "s").exec(where);
  return found ? [found[1], found[2]].filter(Boolean).join(", ") : where;
}

/** What a mapping still lacks, as names of fields. */
export function lackingFields({ format, columns, constants, container, parts }: Mapping): string[] {
  if (container === "txt" || (parts?.length ?? 0) > 0) return [];
  return fieldsOf(format).filter(({ name, needed }) => needed && !columns[name] && !constants[name]).map(({ name }) => name);
}

/** The same mapping for another format: the columns that it has as well stay. */
export function asFormat(mapping: Mapping, format: Format): Mapping {
  const known = new Set(fieldsOf(format).map(({ name }) => name));
  const kept = (values: Record<string, string>): Record<string, string> => Object.fromEntries(Object.entries(values).filter(([name]) => known.has(name)));
  const chunks = format === "text" ? mapping.chunks : null;
  return { ...mapping, format, columns: kept(mapping.columns), constants: kept(mapping.constants), ...(chunks === undefined ? {} : { chunks }) };
}
