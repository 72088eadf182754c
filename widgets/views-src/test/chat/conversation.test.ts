import { describe, expect, it } from "vitest";
import { Conversation, type Turn } from "../../src/chat/conversation";

function turn(question: string, answers: Record<string, string>): Turn {
  return { question, answers: new Map(Object.entries(answers)) };
}

function wordsOf(conversation: Conversation, model: string, anew = false): string[] {
  return conversation.messages(model, "new", { anew }).map((message) => message.content);
}

describe("a conversation", () => {
  it("gives each model its own history", () => {
    const conversation = new Conversation();
    conversation.keep(turn("q1", { a: "a1", b: "b1" }));
    conversation.keep(turn("q2", { a: "a2" }));
    expect(wordsOf(conversation, "a")).toEqual(["q1", "a1", "q2", "a2", "new"]);
    expect(wordsOf(conversation, "b")).toEqual(["q1", "b1", "new"]);
  });

  it("sends nothing of a turn that a model did not answer", () => {
    const conversation = new Conversation();
    conversation.keep(turn("q1", { a: "" }));
    expect(conversation.messages("a", "q2")).toEqual([{ role: "user", content: "q2" }]);
  });

  it("begins with the system message, if there is one", () => {
    const messages = new Conversation().messages("a", "q", { system: "Be brief." });
    expect(messages).toEqual([
      { role: "system", content: "Be brief." },
      { role: "user", content: "q" },
    ]);
  });

  it("asks anew as if the last turn had not been, and keeps what comes in its place", () => {
    const conversation = new Conversation();
    conversation.keep(turn("q1", { a: "a1" }));
    conversation.keep(turn("q2", { a: "a2" }));
    expect(wordsOf(conversation, "a", true)).toEqual(["q1", "a1", "new"]);
    expect(conversation.length).toBe(2);
    conversation.keep(turn("q3", { a: "a3" }), { anew: true });
    expect(wordsOf(conversation, "a")).toEqual(["q1", "a1", "q3", "a3", "new"]);
  });

  it("forgets everything when it is cleared", () => {
    const conversation = new Conversation();
    conversation.keep(turn("q1", { a: "a1" }));
    conversation.clear();
    expect([...conversation]).toEqual([]);
    expect(conversation.messages("a", "q2")).toHaveLength(1);
  });
});
