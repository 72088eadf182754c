// What is shown of an own key. Pure: no DOM, no host.

import { agoWords, momentWords } from "../parts/words";

export interface Key {
  id: string;
  name: string;
  /** How the secret begins. */
  prefix: string;
  /** An adapter has no name once the reader may not use it any more. */
  adapters: { id: string; name: string | null }[];
  verbs: string[];
  tokens_per_day: number | null;
  tokens_today: number;
  requests_per_minute: number | null;
  expires_at: string;
  /** Until when the secret before the last rotation works. */
  overlap_until: string | null;
  last_used_at: string | null;
  revoked_at: string | null;
}

/** A key whose secret is shown now, and never again. */
export interface NewKey extends Key {
  secret: string;
}

export type State = "in force" | "spent" | "asks nothing" | "expired" | "revoked";

export interface Status {
  state: State;
  mood: "good" | "warn" | "";
  note: string;
}

const SOON_MS = 3 * 86_400_000;

export function stateOf(key: Key, now: number): State {
  if (key.revoked_at !== null) return "revoked";
  if (Date.parse(key.expires_at) <= now) return "expired";
  if (modelsOf(key).length === 0 && !key.verbs.includes("embed")) return "asks nothing";
  return key.tokens_per_day !== null && key.tokens_today >= key.tokens_per_day ? "spent" : "in force";
}

/** Whether it has not ended. */
export function isAlive(key: Key, now: number): boolean {
  const state = stateOf(key, now);
  return state !== "revoked" && state !== "expired";
}

export function statusOf(key: Key, now: number): Status {
  const state = stateOf(key, now);
  if (state === "revoked") return { state, mood: "", note: `Since ${momentWords(key.revoked_at!)}` };
  if (state === "expired") return { state, mood: "", note: `Since ${momentWords(key.expires_at)}` };
  const soon = Date.parse(key.expires_at) - now < SOON_MS;
  const until = `${soon ? "Ends soon: " : "Until "}${momentWords(key.expires_at)}`;
  const old = key.overlap_until !== null && Date.parse(key.overlap_until) > now ? `The old secret works until ${momentWords(key.overlap_until)}` : "";
  const idle = { spent: "No tokens left until midnight UTC", "asks nothing": "You may not use its adapters any more", "in force": "" }[state];
  return { state, mood: idle || soon ? "warn" : "good", note: [idle, until, old].filter(Boolean).join(". ") };
}

export function tokensWords({ tokens_today, tokens_per_day }: Key): string {
  const today = tokens_today.toLocaleString();
  return tokens_per_day === null ? `${today} tokens today` : `${today} of ${tokens_per_day.toLocaleString()} tokens today`;
}

export function requestsWords({ requests_per_minute: most }: Key): string {
  return most === null ? "" : `At most ${most.toLocaleString()} ${most === 1 ? "request" : "requests"} a minute`;
}

export function lastUseWords({ last_used_at: at }: Key, now: number): string {
  return at === null ? "Never used" : `Last used ${agoWords(at, now)}`;
}

/** The adapters as their reader knows them. */
export function adaptersWords({ adapters }: Key): string[] {
  return adapters.map(({ name }) => name ?? "an adapter that you may not use any more");
}

/** The models that a program can name, in the order of the key. */
export function modelsOf({ adapters }: Key): string[] {
  return adapters.flatMap(({ name }) => (name === null ? [] : [name]));
}

/** Whether a key asks this adapter, whose name may leave its version out. */
export function asks(key: Key, adapter: string): boolean {
  return modelsOf(key).some((name) => isNamed(name, adapter));
}

/** Whether an adapter goes by a name, which may leave its version out. */
export function isNamed(fullName: string, name: string): boolean {
  return fullName === name || fullName.startsWith(`${name}@`);
}

/** What ends with a key, for whoever is about to end it. */
export function endWords(key: Key): string {
  const models = modelsOf(key);
  const whom = models.length === 0 ? "" : ` to ask ${models.length > 3 ? `${models.length} adapters` : models.join(", ")}`;
  return `Every program that uses ${key.prefix}${whom} stops: its next request is refused, and answers that are running end within 5 seconds. This cannot be undone.`;
}
