// A host whose answers a test writes down. It keeps what it was asked, in order.

import { type Args, type Host, HostError, type Json } from "../../src/host/host";

/** What one verb answers; it may throw a HostError. A verb that streams answers a list of events. */
export type Answer = (args: Args, signal?: AbortSignal) => unknown;

export class ScriptedHost implements Host {
  readonly asked: { verb: string; args: Args }[] = [];

  constructor(private readonly script: Record<string, Answer> = {}) {}

  /** Answer a verb otherwise from now on. */
  answer(verb: string, answer: Answer): void {
    this.script[verb] = answer;
  }

  /** What a verb was asked with, each time. */
  asks(verb: string): Args[] {
    return this.asked.filter((one) => one.verb === verb).map(({ args }) => args);
  }

  async call(verb: string, args: Args = {}): Promise<Json> {
    return (await this.find(verb, args)(args)) as Json;
  }

  async *stream(verb: string, args: Args, signal: AbortSignal): AsyncGenerator<Json, void> {
    for await (const event of this.find(verb, args)(args, signal) as Iterable<Json>) {
      if (signal.aborted) return;
      yield event;
    }
  }

  private find(verb: string, args: Args): Answer {
    this.asked.push({ verb, args });
    const answer = this.script[verb];
    if (answer) return answer;
    if (verb === "view.start") return () => ({});
    if (verb === "view.here" || verb === "view.open") return () => null;
    throw new HostError("not_offered", `The test has no answer for ${verb}.`);
  }
}

/** What a list answers. */
export function page(...items: unknown[]): unknown {
  return { items, has_more: false };
}

/** Wait until something holds; fails after four seconds. */
export async function eventually(holds: () => unknown): Promise<void> {
  const end = Date.now() + 4000;
  for (;;) {
    try {
      if (holds()) return;
    } catch (error) {
      if (Date.now() > end) throw error;
    }
    if (Date.now() > end) throw new Error(`not within four seconds: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
