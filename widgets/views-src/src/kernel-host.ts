// The host inside a notebook: messages to the Python kernel through anywidget. Content travels in
// messages only, never in synced traits, so that no prompt is saved with the notebook.

import { type Host, HostError, type Json, type Mount } from "./host";

/** The part of anywidget's model that we use. */
export interface WidgetModel {
  send(content: Json): void;
  on(event: "msg:custom", callback: (content: Json) => void): void;
  off(event: "msg:custom", callback: (content: Json) => void): void;
}

interface Reply {
  id: number;
  kind: "event" | "error" | "end";
  value?: Json;
}

/** Events of one exchange, in the order in which they came. */
class Exchange {
  private readonly waiting: Reply[] = [];
  private wake: () => void = () => undefined;

  push(reply: Reply): void {
    this.waiting.push(reply);
    this.wake();
  }

  async next(): Promise<Reply> {
    for (;;) {
      const reply = this.waiting.shift();
      if (reply) return reply;
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }
}

export class KernelHost implements Host {
  private readonly exchanges = new Map<number, Exchange>();
  private lastId = 0;

  constructor(private readonly model: WidgetModel) {
    model.on("msg:custom", this.receive);
  }

  close(): void {
    this.model.off("msg:custom", this.receive);
    for (const id of this.exchanges.keys()) this.model.send({ id, kind: "cancel" });
  }

  async call(verb: string, args: Json = {}): Promise<Json> {
    const signal = new AbortController().signal;
    for await (const value of this.stream(verb, args, signal)) return value;
    return null;
  }

  async *stream(verb: string, args: Json, signal: AbortSignal): AsyncIterable<Json> {
    const id = ++this.lastId;
    const exchange = new Exchange();
    this.exchanges.set(id, exchange);
    const cancel = (): void => {
      this.model.send({ id, kind: "cancel" });
      exchange.push({ id, kind: "end" });
    };
    signal.addEventListener("abort", cancel, { once: true });
    this.model.send({ id, kind: "ask", verb, args });
    try {
      for (;;) {
        const reply = await exchange.next();
        if (reply.kind === "end") return;
        if (reply.kind === "error") throw toError(reply.value);
        yield reply.value ?? null;
      }
    } finally {
      signal.removeEventListener("abort", cancel);
      this.exchanges.delete(id);
    }
  }

  private readonly receive = (content: Json): void => {
    const reply = content as unknown as Reply;
    this.exchanges.get(reply.id)?.push(reply);
  };
}

function toError(value: Json | undefined): HostError {
  const problem = (value ?? {}) as { code?: string; message?: string; hint?: string | null };
  return new HostError(
    problem.code ?? "internal",
    problem.message ?? "The kernel gave no reason.",
    problem.hint ?? null,
  );
}

/** Make an anywidget front end out of a view. */
export function widget(mount: Mount): {
  render(context: { model: WidgetModel; el: HTMLElement }): () => void;
} {
  return {
    render({ model, el }) {
      const host = new KernelHost(model);
      const unmount = mount(el, host);
      return () => {
        unmount();
        host.close();
      };
    },
  };
}
