// @vitest-environment happy-dom
import { Notices } from "../../src/parts/notice";
import { Work } from "../../src/parts/work";
import { eventually, ScriptedHost } from "../support/scripted-host";
import { describe, expect, it } from "vitest";

const RUNNING = { id: "op_1", kind: "collate", state: "running", progress: 0.5, done: 91, total: 182, result: null, error: null };

function context(host: ScriptedHost): ConstructorParameters<typeof Work>[0] {
  return { host, notices: new Notices(), signal: new AbortController().signal };
}

/** A stream that says nothing until it is ended. */
async function* silent(signal: AbortSignal): AsyncGenerator<never, void> {
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
}

describe("a long step", () => {
  it("is over as soon as a look says so, whatever the stream says", async () => {
    let state = "running";
    const host = new ScriptedHost({ "operations.get": () => ({ ...RUNNING, state }), "operations.events": (_, signal) => silent(signal!) });
    const heard: (string | null)[] = [];
    const work = new Work(context(host), (id) => heard.push(id));
    const done = work.run({ title: "Taking records" }, async () => RUNNING);
    await eventually(() => work.element.textContent?.includes("Taking records: 91 of 182 records"));
    expect(work.busy).toBe(true);
    state = "completed";
    expect((await done)?.state).toBe("completed");
    expect(heard).toEqual(["op_1", null]);
    expect(work.busy).toBe(false);
  });

  it("is shown before anybody has answered", () => {
    const host = new ScriptedHost({ "operations.get": () => RUNNING, "operations.events": (_, signal) => silent(signal!) });
    const work = new Work(context(host));
    void work.resume({ title: "Taking records" }, "op_1");
    expect(work.element.textContent).toContain("Taking records …");
  });
});
