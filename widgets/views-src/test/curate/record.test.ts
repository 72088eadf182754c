import { describe, expect, it } from "vitest";
import { answerOf, type DraftRecord, emptyRecord, isWellFormed, lengthOf, moved, nextRole, questionOf, recordOf, sameRecord } from "../../src/curate/record";

const CHAT: DraftRecord = {
  kind: "chat",
  messages: [
    { role: "system", content: "be kind" },
    { role: "user", content: "How\n are  you?" },
    { role: "assistant", content: "Well.", weight: 0.5 },
  ],
};

describe("a record in the table", () => {
  it("begins with what the user asked, on one line", () => {
    expect(questionOf(CHAT)).toBe("How are you?");
    expect(answerOf(CHAT)).toBe("Well.");
    expect(lengthOf(CHAT)).toBe(7 + 14 + 5);
  });

  it("shows a text, a chosen answer, and that a tool is called", () => {
    expect(questionOf({ kind: "text", text: "once upon" })).toBe("once upon");
    expect(answerOf({ ...emptyRecord("preference"), chosen: { role: "assistant", content: "yes" } })).toBe("yes");
    expect(answerOf({ kind: "chat", messages: [{ role: "assistant", content: "", tool_calls: [] }] })).toBe("calls a tool");
  });

  it("is cut however long it is", () => {
    expect(questionOf({ kind: "text", text: "x".repeat(1e6) }).length).toBeLessThan(500);
  });
});

describe("editing a record", () => {
  it("moves a message and stops at the ends", () => {
    expect(moved(["a", "b", "c"], 0, 1)).toEqual(["b", "a", "c"]);
    expect(moved(["a", "b", "c"], 2, -1)).toEqual(["a", "c", "b"]);
    expect(moved(["a", "b"], 1, 1)).toEqual(["a", "b"]);
  });

  it("lets user and assistant take turns", () => {
    expect(nextRole([])).toBe("user");
    expect(nextRole([{ role: "user", content: "" }])).toBe("assistant");
    expect(nextRole([{ role: "tool", content: "" }])).toBe("assistant");
  });

  it("compares what records say, not how they are written", () => {
    expect(sameRecord({ kind: "text", text: "e\u0301" }, { text: "\u00e9", kind: "text" })).toBe(true);
    expect(sameRecord({ kind: "text", text: "a", tools: null }, { kind: "text", text: "a" })).toBe(true);
    expect(sameRecord({ kind: "text", text: "a" }, { kind: "text", text: "b" })).toBe(false);
  });

  it("takes JSON that is a record, and says what else is not", () => {
    expect(recordOf(JSON.stringify(CHAT))).toEqual(CHAT);
    for (const wrong of ["{", "[]", "null", "1", '{"kind": "other"}', '{"kind": "toString"}']) expect(() => recordOf(wrong)).toThrow(/not/);
  });

  it("shows only in the form what the form can show", () => {
    expect(isWellFormed(CHAT)).toBe(true);
    for (const kind of ["chat", "text", "preference"] as const) expect(isWellFormed(emptyRecord(kind))).toBe(true);
    expect(isWellFormed({ kind: "chat", messages: [null as never] })).toBe(false);
    expect(isWellFormed({ kind: "preference", messages: [] })).toBe(false);
  });
});
