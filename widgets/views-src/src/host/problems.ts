// Errors of the service, of a proxy before it, and of the kernel, as a HostError.

import { type FieldProblem, HostError, type Json } from "./host";

interface Problem {
  code?: string;
  detail?: string;
  title?: string;
  message?: string;
  hint?: string | null;
  errors?: FieldProblem[] | null;
}

/** What a problem JSON says, or the kernel's form of it. */
export function problemOf(value: Json | undefined, fallback: string): HostError {
  const problem = (value ?? {}) as Problem;
  return new HostError(
    problem.code ?? "internal",
    problem.detail ?? problem.message ?? problem.title ?? fallback,
    problem.hint ?? null,
    problem.errors ?? [],
  );
}

/** OpenAI's shape has no field for what to do: it is in brackets behind the message. */
export function problemOfOpenAi(value: Json, fallback: string): HostError {
  const { code, message, hint, fields } = problemOf(value, fallback);
  const [, said = message, remedy = hint] = /^([^\n]*[.!?]) \(([^\n]*)\)$/.exec(message) ?? [];
  return new HostError(code, said, remedy, fields);
}

/** What an HTTP answer that is no success says; the Hub and proxies answer in their own words. */
export async function problemOfAnswer(answer: Response): Promise<HostError> {
  const body: unknown = await answer.json().catch(() => null);
  if (isObject(body) && isObject(body.error)) return problemOfOpenAi(body.error as Json, "");
  if (isObject(body) && typeof body.code === "string") return problemOf(body as Json, "");
  if (answer.status === 401 || answer.status === 403) {
    return loggedOut();
  }
  if (answer.status === 404) return new HostError("not_found", "There is nothing here that you may see.");
  if (answer.status === 413) return new HostError("too_large", "This is too large to send.");
  // 424: the Hub answers so while a server is starting or stopped.
  if (answer.status >= 500 || answer.status === 424) {
    return notAnswering();
  }
  return new HostError("internal", `The service refused this (HTTP ${answer.status}).`);
}

/** What was typed must not be lost: another tab can log in for this one too. */
export function loggedOut(): HostError {
  return new HostError("not_authenticated", "You are logged out.", "Log in again in another tab, then try again here.");
}

export function notAnswering(): HostError {
  return new HostError("unavailable", "The service does not answer.", "Try again in a moment.");
}

export function silence(silenceMs: number, hint: string): HostError {
  return new HostError("timeout", `No answer for ${silenceMs / 1000} seconds.`, hint);
}

/** Whether an event is the problem JSON with which the service ends a stream that may not go on. */
export function isProblem(event: Json): boolean {
  return isObject(event) && event.type === "about:blank" && typeof event.code === "string";
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
