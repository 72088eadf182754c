// What a verb means over HTTP. The table is data, shared with the Python client.

import TABLE from "../../../../core/adaptery/views/verbs.json";
import { type Args, HostError, type Json } from "./host";

export type Kind = "call" | "stream" | "upload" | "download";
/** What travels over HTTP only: a kernel takes and gives no files. */
const FILES: Readonly<Record<string, Kind>> = { UPLOAD: "upload", DOWNLOAD: "download" };

export interface Request {
  kind: Kind;
  method: string;
  /** Below the service's address, with its query. */
  path: string;
  body: Json | null;
}

const HAS_BODY = new Set(["POST", "PATCH", "PUT"]);
const verbs: Readonly<Record<string, string>> = TABLE;

/** Names in braces come from `args`; the rest becomes the query, or the body where there is one. */
export function requestOf(verb: string, args: Args): Request {
  const words = Object.hasOwn(verbs, verb) ? verbs[verb]!.split(" ") : [];
  if (words.length === 0) throw new HostError("not_offered", `There is no verb ${verb}.`);
  const template = words.pop()!;
  const kind: Kind = words[0] === "STREAM" ? "stream" : (FILES[words[0]!] ?? "call");
  const method = { upload: "PUT", download: "GET", stream: words[1] ?? "GET", call: words[0]! }[kind];
  const rest = { ...args };
  const path = template.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = rest[name];
    delete rest[name];
    return segment(name, value);
  });
  if (kind !== "upload" && HAS_BODY.has(method)) return { kind, method, path, body: rest as Json };
  return { kind, method, path: path + queryOf(rest), body: null };
}

/** Whether a verb is about a file. */
export function isOfFile(verb: string): boolean {
  return Object.hasOwn(verbs, verb) && verbs[verb]!.split(" ")[0]! in FILES;
}

function segment(name: string, value: unknown): string {
  if (typeof value !== "string" || value === "" || value === "." || value === "..") {
    throw new HostError("invalid_input", `The ${name} is missing.`);
  }
  return encodeURIComponent(value);
}

function queryOf(args: Args): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(args)) {
    if (value !== null && !(value instanceof Blob)) query.set(name, String(value));
  }
  return query.size > 0 ? `?${query}` : "";
}
