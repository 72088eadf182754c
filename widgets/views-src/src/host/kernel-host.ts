// The host inside a notebook: messages to the Python kernel through anywidget. Content travels in
// messages only, never in synced traits, so that no prompt is saved with the notebook.

import { type Args, type Host, HostError, type Json, SILENCE_MS } from "./host";
import { problemOf, silence } from "./problems";

const BUSY = "If the kernel is busy, wait for it; if it was restarted, run the cell again.";

/** The part of anywidget's model that we use. */
export interface WidgetModel {
  send(content: Json): void;
  on(event: "msg:custom", callback: (content: Json) => void): void;
  off(event: "msg:custom", callback: (content: Json) => void): void;
}

interface Reply {
  id: string;
  kind: "event" | "error" | "end";
  value?: Json;
}

type Heard = Omit<Reply, "id"> | { kind: "aborted" } | { kind: "silent" };

/** What is heard in one exchange, in the order in which it came. */
class Exchange {
  private readonly waiting: Heard[] = [];
  private wake: () => void = () => undefined;

  push(heard: Heard): void {
    this.waiting.push(heard);
    this.wake();
  }

  async next(silenceMs: number): Promise<Heard> {
    const timer = setTimeout(() => this.push({ kind: "silent" }), silenceMs);
    try {
      for (;;) {
        const heard = this.waiting.shift();
        if (heard) return heard;
        await new Promise<void>((resolve) => (this.wake = resolve));
      }
    } finally {
      clearTimeout(timer);
    }
  }
}

export class KernelHost implements Host {
  private readonly exchanges = new Map<string, Exchange>();
  // Every view of a widget, in every window, hears what the kernel answers to any of them.
  private readonly name = [...crypto.getRandomValues(new Uint32Array(2))].join("-");
  private asked = 0;

  constructor(private readonly model: WidgetModel) {
    model.on("msg:custom", this.receive);
  }

  close(): void {
    this.model.off("msg:custom", this.receive);
    for (const exchange of this.exchanges.values()) exchange.push({ kind: "aborted" });
  }

  async call(verb: string, args: Args = {}): Promise<Json> {
    for await (const value of this.exchange(verb, args, null, SILENCE_MS.call)) return value;
    throw new HostError("closed", "There was no answer.");
  }

  stream(verb: string, args: Args, signal: AbortSignal): AsyncIterable<Json> {
    return this.exchange(verb, args, signal, SILENCE_MS.stream);
  }

  private async *exchange(
    verb: string,
    args: Args,
    signal: AbortSignal | null,
    silenceMs: number,
  ): AsyncGenerator<Json, void> {
    if (signal?.aborted) return;
    const id = `${this.name}-${++this.asked}`;
    const exchange = new Exchange();
    this.exchanges.set(id, exchange);
    const abort = (): void => exchange.push({ kind: "aborted" });
    signal?.addEventListener("abort", abort, { once: true });
    let ended = false;
    try {
      this.tell({ id, kind: "ask", verb, args: args as Json });
      for (;;) {
        const heard = await exchange.next(silenceMs);
        ended = heard.kind === "end" || heard.kind === "error";
        if (heard.kind === "silent") throw silence(silenceMs, BUSY);
        if (heard.kind === "error") throw problemOf(heard.value, "The kernel gave no reason.");
        if (heard.kind !== "event") return;
        yield heard.value ?? null;
      }
    } finally {
      signal?.removeEventListener("abort", abort);
      this.exchanges.delete(id);
      if (!ended) this.tell({ id, kind: "cancel" });
    }
  }

  private tell(content: Json): void {
    try {
      this.model.send(content);
    } catch {
      // The reason is not for the reader: a widget whose kernel was restarted cannot send any more.
      throw new HostError("kernel_gone", "The kernel of this view is gone.", "Run the cell again.");
    }
  }

  private readonly receive = (content: Json): void => {
    const { id, ...heard } = content as unknown as Reply;
    this.exchanges.get(id)?.push(heard);
  };
}
