import { describe, expect, it } from "vitest";
import { HostError, type Json } from "../src/host";
import { KernelHost, type WidgetModel } from "../src/kernel-host";

/** A widget model whose kernel is this test. */
class ScriptedModel implements WidgetModel {
  readonly sent: Record<string, Json>[] = [];
  private listener: (content: Json) => void = () => undefined;

  send(content: Json): void {
    this.sent.push(content as Record<string, Json>);
  }
  on(_event: "msg:custom", callback: (content: Json) => void): void {
    this.listener = callback;
  }
  off(): void {
    this.listener = () => undefined;
  }
  reply(content: Json): void {
    this.listener(content);
  }
}

describe("the kernel host", () => {
  it("matches replies to their own exchange", async () => {
    const model = new ScriptedModel();
    const host = new KernelHost(model);
    const first = host.call("one");
    const second = host.call("two");
    model.reply({ id: 2, kind: "event", value: "second" });
    model.reply({ id: 1, kind: "event", value: "first" });
    expect(await Promise.all([first, second])).toEqual(["first", "second"]);
  });

  it("turns an error reply into a HostError", async () => {
    const model = new ScriptedModel();
    const call = new KernelHost(model).call("models");
    model.reply({ id: 1, kind: "error", value: { code: "no_agent", message: "none", hint: "wait" } });
    await expect(call).rejects.toThrow(HostError);
  });

  it("cancels at the kernel when the signal aborts", async () => {
    const model = new ScriptedModel();
    const controller = new AbortController();
    const got: Json[] = [];
    const reading = (async () => {
      for await (const value of new KernelHost(model).stream("chat", {}, controller.signal)) got.push(value);
    })();
    model.reply({ id: 1, kind: "event", value: "token" });
    await Promise.resolve();
    controller.abort();
    await reading;
    expect(model.sent.at(-1)).toEqual({ id: 1, kind: "cancel" });
  });
});
