import { beforeEach, describe, expect, it } from "vitest";
import { Reply } from "../../src/chat/reply";

let now = 0;

function chunk(content: string | null, finish_reason: string | null = null): { choices: object[] } {
  return { choices: [{ index: 0, delta: content === null ? {} : { content }, finish_reason }] };
}

function reply(...events: [number, object][]): Reply {
  const made = new Reply(() => now);
  for (const [at, event] of events) {
    now = at;
    made.take(event as never);
  }
  return made;
}

describe("a reply", () => {
  beforeEach(() => void (now = 0));

  it("adds up what comes", () => {
    const made = reply([1, { choices: [{ delta: { role: "assistant", content: "" } }] }], [2, chunk("Good ")], [3, chunk("day")], [4, chunk(null, "stop")]);
    expect(made.text).toBe("Good day");
  });

  it("says how many tokens it has and how fast it was", () => {
    const made = reply([400, chunk("a")], [2400, chunk("b", "stop")], [2500, { choices: [], usage: { completion_tokens: 41 } }]);
    expect(made.note("complete", 256)).toBe("41 tokens in 2.4 s · first after 0.4 s · 20 tokens/s");
  });

  it("says only the time where nobody counted", () => {
    expect(reply([400, chunk("a")], [900, chunk("b")]).note("stopped", 256)).toBe("stopped · 0.9 s · first after 0.4 s");
  });

  it.each([
    ["complete", "length", "ends here: the longest answer is 8 tokens"],
    ["complete", "stop", ""],
    ["stopped", null, "stopped"],
    ["cut", null, "cut off, not part of the conversation"],
  ] as const)("that is %s for %j says why", (ending, reason, why) => {
    expect(reply([0, chunk("a", reason)]).note(ending, 8).split(" · ")).toEqual(why ? [why, "0 s", "first after 0 s"] : ["0 s", "first after 0 s"]);
  });

  it("that holds nothing says so", () => {
    expect(reply([5, chunk(null, "stop")]).note("complete", 8)).toBe("said nothing");
  });

  it("takes what it does not know for nothing", () => {
    expect(reply([1, {}], [2, { choices: [{}] }], [3, { choices: [{ delta: { content: null } }], usage: null }]).text).toBe("");
  });
});
