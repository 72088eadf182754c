// A record as the editor sees it. The rules of what a record may be are the service's
// (adaptery/records.py); here is only what it takes to show and to change one.

import { HostError } from "../host/host";
import type { Kind } from "../host/things";

export type { Kind } from "../host/things";
export const ROLES = ["system", "user", "assistant", "tool"] as const;
export type Role = (typeof ROLES)[number];

/** A message; what else it holds (`weight`, `name`, `tool_calls`) is kept as it is. */
export interface Message {
  role: Role;
  content: string;
  [more: string]: unknown;
}

export interface DraftRecord {
  kind: Kind;
  messages?: Message[];
  text?: string;
  chosen?: Message;
  rejected?: Message;
  /** Of kto: whether the answer is a good one. */
  label?: boolean;
  [more: string]: unknown;
}

export const KINDS: Readonly<Record<Kind, string>> = { chat: "Chat", text: "Text", preference: "Preference", kto: "Label" };
/** Characters of a record that a row of the table shows. */
const BEGINNING = 160;

export function emptyRecord(kind: Kind): DraftRecord {
  if (kind === "text") return { kind, text: "" };
  const asked: Message[] = [{ role: "user", content: "" }];
  const answer = (): Message => ({ role: "assistant", content: "" });
  if (kind === "chat") return { kind, messages: [...asked, answer()] };
  if (kind === "kto") return { kind, messages: [...asked, answer()], label: true };
  return { kind, messages: asked, chosen: answer(), rejected: answer() };
}

/** What was asked first, or the beginning of a text. */
export function questionOf(record: DraftRecord): string {
  const messages = record.messages ?? [];
  const said = record.kind === "text" ? record.text : (messages.find(({ role }) => role === "user") ?? messages[0])?.content;
  return beginning(said ?? "");
}

export function answerOf(record: DraftRecord): string {
  const message = record.kind === "preference" ? record.chosen : record.messages?.find(({ role }) => role === "assistant");
  return beginning(message?.content || (message?.tool_calls ? "calls a tool" : ""));
}

/** Characters of all texts of a record. */
export function lengthOf(record: DraftRecord): number {
  const messages = [...(record.messages ?? []), record.chosen, record.rejected];
  return messages.reduce((sum, message) => sum + (message?.content.length ?? 0), record.text?.length ?? 0);
}

/** All of a record as one text, to be compared. */
export function textOf(record: DraftRecord): string {
  if (record.kind === "text") return record.text ?? "";
  const line = (who: string, message: Message | undefined): string[] => (message ? [`${who}: ${message.content}${message.tool_calls ? ` ${JSON.stringify(message.tool_calls)}` : ""}`] : []);
  const said = (record.messages ?? []).flatMap((message) => line(message.role, message));
  return [...said, ...line("chosen", record.chosen), ...line("rejected", record.rejected)].join("\n\n");
}

/** Where a record lacks a text that it needs. */
export function lacking(record: DraftRecord): string[] {
  if (record.kind === "text") return record.text?.trim() ? [] : ["text"];
  const messages = (record.messages ?? []).map((message, index) => [`messages[${index}]`, message] as const);
  const all = [...messages, ["chosen", record.chosen] as const, ["rejected", record.rejected] as const];
  return all.filter(([, message]) => message && isMissing(message)).map(([where]) => where);
}

/** A tool may answer nothing, and who calls a tool need not say so. */
function isMissing({ role, content, tool_calls }: Message): boolean {
  return !content.trim() && role !== "tool" && !tool_calls;
}

/** One line of what may be many, and long. */
function beginning(text: string): string {
  return text.slice(0, 2 * BEGINNING).replace(/\s+/g, " ").trim().slice(0, BEGINNING);
}

/** A message of a list, moved by `by` places. */
export function moved<T>(list: readonly T[], index: number, by: number): T[] {
  const to = Math.max(0, Math.min(list.length - 1, index + by));
  const rest = list.filter((_, at) => at !== index);
  return [...rest.slice(0, to), list[index]!, ...rest.slice(to)];
}

/** The role that a message after these would have. */
export function nextRole(messages: readonly Message[]): Role {
  const last = messages.at(-1)?.role;
  return last === "user" || last === "tool" ? "assistant" : "user";
}

/** Whether two records say the same, whatever the order of their fields. */
export function sameRecord(one: unknown, other: unknown): boolean {
  return canonical(one) === canonical(other);
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).filter(([, part]) => part !== null && part !== undefined);
    return `{${entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, part]) => `${JSON.stringify(name)}:${canonical(part)}`).join()}}`;
  }
  return JSON.stringify(typeof value === "string" ? value.normalize("NFC") : value) ?? "null";
}

/** The record that JSON describes. Throws a HostError that says where it is no JSON. */
export function recordOf(json: string): DraftRecord {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw new HostError("invalid_input", "This is not JSON.", (error as Error).message);
  }
  const kind = (value as DraftRecord | null)?.kind;
  if (typeof value !== "object" || Array.isArray(value) || !kind || !Object.hasOwn(KINDS, kind)) {
    throw new HostError("invalid_input", "This is not a record.", `Write {"kind": …} with one of ${Object.keys(KINDS).join(", ")}.`);
  }
  return value as DraftRecord;
}

/** Whether the form can show a record; one that was written as JSON may hold anything. */
export function isWellFormed(record: DraftRecord): boolean {
  const isMessage = (value: unknown): boolean =>
    typeof value === "object" && value !== null && ROLES.includes((value as Message).role) && typeof (value as Message).content === "string";
  if (record.kind === "text") return typeof record.text === "string";
  const messages = Array.isArray(record.messages) && record.messages.every(isMessage);
  if (record.kind === "chat") return messages;
  if (record.kind === "kto") return messages && typeof record.label === "boolean";
  return messages && isMessage(record.chosen) && isMessage(record.rejected);
}
