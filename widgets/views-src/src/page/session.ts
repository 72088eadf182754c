// The session of a browser at the service: it may end while the page is open, and says so in words.

import { type Args, type Host, HostError, type Json } from "../host/host";

const LOGGED_OUT = { code: "not_authenticated", message: "You are logged out.", hint: "Load this page again to log in." };
/** Who is refused by these has no session, or one whose XSRF token is no longer that of its cookie. */
const REFUSALS = new Set(["not_authenticated", "not_allowed"]);

export class Session implements Host {
  constructor(private readonly inner: Host) {}

  async call(verb: string, args: Args = {}): Promise<Json> {
    try {
      return await this.inner.call(verb, args);
    } catch (error) {
      throw await this.explained(error);
    }
  }

  async *stream(verb: string, args: Args, signal: AbortSignal): AsyncGenerator<Json, void> {
    try {
      yield* this.inner.stream(verb, args, signal);
    } catch (error) {
      throw await this.explained(error);
    }
  }

  private async explained(error: unknown): Promise<unknown> {
    if (!isRefusal(error)) return error;
    if (error.code === "not_allowed" && (await this.isKnown())) return error;
    return new HostError(LOGGED_OUT.code, LOGGED_OUT.message, LOGGED_OUT.hint);
  }

  /** Whoever may open the page may ask this. */
  private async isKnown(): Promise<boolean> {
    try {
      await this.inner.call("whoami");
      return true;
    } catch (error) {
      return !isRefusal(error);
    }
  }
}

function isRefusal(error: unknown): error is HostError {
  return error instanceof HostError && REFUSALS.has(error.code);
}
