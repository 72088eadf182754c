// What the reader has used of late, by adapter and key: as lines of the overview, and as a file. Pure.

import type { Row } from "./things";
import { plain } from "./things";
import { countWords } from "../parts/words";

export interface Usage {
  id: string;
  begins_at: string | null;
  /** Null where no adapter answered, or one that the reader may not use any more. */
  adapter: string | null;
  adapter_id: string | null;
  base_model: string | null;
  /** The own key that asked, if one did. */
  key: string | null;
  key_id: string | null;
  requests: number;
  errors: number;
  cancelled: number;
  prompt_tokens: number;
  completion_tokens: number;
}

/** What the lines, and what the file, are told apart by. */
export const LINES = "adapter,base_model,key";
export const FILE = "day,adapter,base_model,key";

/** As the service's CSV of the same has them. */
const COLUMNS = ["begins_at", "key", "key_id", "adapter", "adapter_id", "base_model", "requests", "errors", "cancelled", "prompt_tokens", "completion_tokens"] as const;
/** Source: adaptery.csv_text; a spreadsheet would run a text that begins so. */
const FORMULA = /^[=+\-@\t\r\n]/;

/** The ones that cost most come first. */
export function usageRows(usage: Usage[]): Row[] {
  return [...usage]
    .sort((one, other) => tokensOf(other) - tokensOf(one))
    .map((one) => ({
      ...plain(one.id, one.adapter ?? (one.adapter_id === null ? (one.base_model ?? "Base model") : "An adapter that is gone")),
      facts: [
        countWords(tokensOf(one), "token"),
        countWords(one.requests, "request"),
        ...(one.key_id === null ? [] : [`by key ${one.key ?? one.key_id}`]),
        ...(one.errors === 0 ? [] : [`${one.errors.toLocaleString()} failed`]),
        ...(one.cancelled === 0 ? [] : [`${one.cancelled.toLocaleString()} cancelled`]),
      ],
      weight: one.requests,
    }));
}

export function csvOf(usage: Usage[]): string {
  const rows = usage.map((one) => COLUMNS.map((column) => cell(one[column])));
  return [[...COLUMNS], ...rows].map((row) => `${row.join(",")}\r\n`).join("");
}

function tokensOf({ prompt_tokens, completion_tokens }: Usage): number {
  return prompt_tokens + completion_tokens;
}

function cell(value: string | number | null): string {
  if (value === null || typeof value === "number") return String(value ?? "");
  const text = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
}
