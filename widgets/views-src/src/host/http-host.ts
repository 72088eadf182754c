// The host of a page: HTTP to the service, or to the Jupyter server that forwards to it. The browser
// holds no token: its session cookie says who it is, and the XSRF token that the page may ask.

import { type Args, type Host, HostError, type Json, SILENCE_MS } from "./host";
import { readEvents } from "./event-stream";
import { isProblem, loggedOut, notAnswering, problemOf, problemOfAnswer, problemOfOpenAi, silence } from "./problems";
import { download } from "./download";
import { upload } from "./upload";
import { type Request, requestOf } from "./verbs";

const TRY_AGAIN = "Try again.";
/** What OpenAI's streams end with. */
const DONE = "[DONE]";

export class HttpHost implements Host {
  /** `base` ends with a slash: what verbs ask is below it. */
  constructor(private readonly base: string) {}

  async call(verb: string, args: Args = {}): Promise<Json> {
    const answer = await this.fetch(requestOf(verb, args), AbortSignal.timeout(SILENCE_MS.call));
    try {
      return answer.status === 204 ? null : ((await answer.json()) as Json);
    } catch (error) {
      throw lost(error);
    }
  }

  async *stream(verb: string, args: Args, signal: AbortSignal): AsyncGenerator<Json, void> {
    if (signal.aborted) return;
    const request = requestOf(verb, args);
    try {
      yield* this.answers(request, args, signal);
    } catch (error) {
      if (!signal.aborted) throw lost(error);
    }
  }

  private answers(request: Request, args: Args, signal: AbortSignal): AsyncGenerator<Json, void> {
    if (request.kind === "upload") return upload(this, request.path, args, signal);
    return request.kind === "download" ? download(this, request.path, signal) : this.events(request, signal);
  }

  /** Send a request; an answer that is no success is thrown as what it says. */
  async fetch(
    { method, path, body }: Pick<Request, "method" | "path"> & { body?: Json | Blob | null },
    signal: AbortSignal,
    headers: Record<string, string> = {},
  ): Promise<Response> {
    const content = body instanceof Blob ? body : body === null || body === undefined ? null : JSON.stringify(body);
    const type = content === null ? {} : { "Content-Type": body instanceof Blob ? "application/octet-stream" : "application/json" };
    let answer: Response;
    try {
      answer = await fetch(this.base + path, {
        method,
        body: content,
        headers: { ...type, ...headers, "X-XSRFToken": xsrfToken() },
        credentials: "same-origin",
        redirect: "manual", // a login page is no answer
        cache: "no-store",
        signal,
      });
    } catch (error) {
      throw lost(error);
    }
    if (answer.type === "opaqueredirect" || !answer.ok) throw await this.refusal(answer);
    return answer;
  }

  /**
   * While a Jupyter server is stopped, the Hub answers in its place, and knows none of its sessions:
   * it redirects, or refuses, as if the reader was logged out.
   */
  private async refusal(answer: Response): Promise<HostError> {
    const problem = answer.type === "opaqueredirect" ? loggedOut() : await problemOfAnswer(answer);
    const byHub = problem.code === "not_authenticated" || answer.status === 405;
    return byHub && (await this.isStopped()) ? notAnswering() : problem;
  }

  /** The Hub says so to whoever follows its redirect. */
  private async isStopped(): Promise<boolean> {
    try {
      const headers = { Accept: "application/json", "X-XSRFToken": xsrfToken() };
      const signal = AbortSignal.timeout(SILENCE_MS.call);
      const { status } = await fetch(`${this.base}api/whoami`, { headers, credentials: "same-origin", cache: "no-store", signal });
      return status === 424 || status >= 500;
    } catch {
      return true;
    }
  }

  private async *events(request: Request, signal: AbortSignal): AsyncGenerator<Json, void> {
    const quiet = new Silence(SILENCE_MS.stream);
    const either = AbortSignal.any([signal, quiet.signal]);
    const asked = request.method === "POST";
    try {
      const body = asked ? { ...(request.body as object), stream: true } : null;
      const answer = await this.fetch({ ...request, body }, either, { Accept: "text/event-stream" });
      for await (const data of readEvents(answer.body!, () => quiet.broken())) {
        if (data === DONE) return;
        const event = JSON.parse(data) as Json;
        if (isProblem(event)) throw problemOf(event, "The stream was ended.");
        yield asked ? pieceOf(event) : event;
      }
      // OpenAI's streams say when they are complete; whoever follows a job looks at its state.
      if (asked) throw new HostError("unavailable", "The answer was cut off.", "Ask again.");
    } finally {
      quiet.end();
    }
  }
}

/** Aborts when nothing was heard for some time. */
class Silence {
  private readonly controller = new AbortController();
  private timer: ReturnType<typeof setTimeout>;
  readonly signal = this.controller.signal;

  constructor(private readonly limitMs: number) {
    this.timer = this.start();
  }

  broken(): void {
    clearTimeout(this.timer);
    this.timer = this.start();
  }

  end(): void {
    clearTimeout(this.timer);
  }

  private start(): ReturnType<typeof setTimeout> {
    return setTimeout(() => this.controller.abort(silence(this.limitMs, TRY_AGAIN)), this.limitMs);
  }
}

/** Part of an answer; an error in the middle of it is thrown. */
function pieceOf(event: Json): Json {
  if (event !== null && typeof event === "object" && "error" in event) {
    throw problemOfOpenAi(event.error, "The answer was cut off.");
  }
  return event;
}

/** What a browser throws when a line is dead, in words. */
function lost(error: unknown): HostError {
  if (error instanceof HostError) return error;
  if (error instanceof DOMException && error.name === "TimeoutError") return silence(SILENCE_MS.call, TRY_AGAIN);
  return new HostError("network", "The connection is lost.", "Try again when you are online.");
}

/** The XSRF token of this page; the cookie of the most specific path comes first. */
export function xsrfToken(cookies = document.cookie): string {
  return decodeURIComponent(/(?:^|;\s*)_xsrf=([^;]*)/.exec(cookies)?.[1] ?? "").replace(/^"|"$/g, "");
}
