import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { HostError, type Json, SILENCE_MS } from "../../src/host/host";
import { KernelHost, type WidgetModel } from "../../src/host/kernel-host";

type Listener = (content: Json) => void;

/** A widget model whose kernel is this test. */
class ScriptedModel implements WidgetModel {
  readonly sent: Record<string, Json>[] = [];
  private readonly listeners = new Set<Listener>();

  send(content: Json): void {
    this.sent.push(content as Record<string, Json>);
  }
  on(_event: "msg:custom", callback: Listener): void {
    this.listeners.add(callback);
  }
  off(_event: "msg:custom", callback: Listener): void {
    this.listeners.delete(callback);
  }
  /** Reply to the question that was asked `index`-th. */
  reply(index: number, content: Record<string, Json>): void {
    const id = this.sent.filter((message) => message.kind === "ask")[index]?.id ?? null;
    for (const listener of this.listeners) listener({ id, ...content });
  }
  cancelled(): Json[] {
    return this.sent.filter((message) => message.kind === "cancel").map((message) => message.id ?? null);
  }
}

async function collect(stream: AsyncIterable<Json>): Promise<Json[]> {
  const got: Json[] = [];
  for await (const value of stream) got.push(value);
  return got;
}

describe("the kernel host", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("matches replies to their own exchange", async () => {
    const model = new ScriptedModel();
    const host = new KernelHost(model);
    const first = host.call("one");
    const second = host.call("two");
    model.reply(1, { kind: "event", value: "second" });
    model.reply(0, { kind: "event", value: "first" });
    expect(await Promise.all([first, second])).toEqual(["first", "second"]);
  });

  it("ignores what another view of the same widget asked", async () => {
    const model = new ScriptedModel();
    const mine = collect(new KernelHost(model).stream("chat", {}, new AbortController().signal));
    const other = collect(new KernelHost(model).stream("chat", {}, new AbortController().signal));
    model.reply(0, { kind: "event", value: "mine" });
    model.reply(0, { kind: "end" });
    model.reply(1, { kind: "event", value: "other" });
    model.reply(1, { kind: "end" });
    expect(await Promise.all([mine, other])).toEqual([["mine"], ["other"]]);
  });

  it("turns an error reply into a HostError", async () => {
    const model = new ScriptedModel();
    const call = new KernelHost(model).call("models");
    model.reply(0, { kind: "error", value: { code: "no_agent", message: "none", hint: "wait" } });
    await expect(call).rejects.toThrow(HostError);
    expect(model.cancelled()).toEqual([]);
  });

  it("cancels at the kernel when the signal aborts", async () => {
    const model = new ScriptedModel();
    const controller = new AbortController();
    const reading = collect(new KernelHost(model).stream("chat", {}, controller.signal));
    model.reply(0, { kind: "event", value: "token" });
    await Promise.resolve();
    controller.abort();
    expect(await reading).toEqual(["token"]);
    expect(model.cancelled()).toEqual([model.sent[0]?.id]);
  });

  it("asks nothing when the signal was aborted before", async () => {
    const model = new ScriptedModel();
    const controller = new AbortController();
    controller.abort();
    expect(await collect(new KernelHost(model).stream("chat", {}, controller.signal))).toEqual([]);
    expect(model.sent).toEqual([]);
  });

  it("gives up on a silent kernel, and tells it so", async () => {
    const model = new ScriptedModel();
    const failed = expect(new KernelHost(model).call("models")).rejects.toMatchObject({ code: "timeout" });
    await vi.advanceTimersByTimeAsync(SILENCE_MS.call);
    await failed;
    expect(model.cancelled()).toHaveLength(1);
  });

  it("waits on while an answer is still coming", async () => {
    const model = new ScriptedModel();
    const reading = collect(new KernelHost(model).stream("chat", {}, new AbortController().signal));
    for (let piece = 0; piece < 3; piece++) {
      await vi.advanceTimersByTimeAsync(SILENCE_MS.stream - 1);
      model.reply(0, { kind: "event", value: piece });
    }
    model.reply(0, { kind: "end" });
    expect(await reading).toEqual([0, 1, 2]);
  });

  it("says that the kernel is gone when nothing can be sent", async () => {
    const model = new ScriptedModel();
    model.send = () => {
      throw new Error("disposed");
    };
    await expect(new KernelHost(model).call("models")).rejects.toMatchObject({ code: "kernel_gone" });
  });

  it("ends what is open when its view is closed", async () => {
    const model = new ScriptedModel();
    const host = new KernelHost(model);
    const reading = collect(host.stream("chat", {}, new AbortController().signal));
    host.close();
    expect(await reading).toEqual([]);
    expect(model.cancelled()).toHaveLength(1);
  });
});
