import { describe, expect, it } from "vitest";
import { type Answer, Conversation, type Turn } from "../../src/chat/conversation";

function turn(question: string, answers: Record<string, string>): Turn {
  const said = Object.entries(answers).map(([model, text]): [string, Answer] => [model, { text, note: "" }]);
  return { question, answers: new Map(said) };
}

describe("a conversation", () => {
  it("gives each model its own history", () => {
    const conversation = new Conversation();
    conversation.keep(turn("q1", { a: "a1", b: "b1" }));
    conversation.keep(turn("q2", { a: "a2" }));
    expect(conversation.messages("a", "q3").map((m) => m.content)).toEqual(["q1", "a1", "q2", "a2", "q3"]);
    expect(conversation.messages("b", "q3").map((m) => m.content)).toEqual(["q1", "b1", "q3"]);
  });

  it("sends nothing of a turn that a model did not answer", () => {
    const conversation = new Conversation();
    conversation.keep(turn("q1", { a: "" }));
    expect(conversation.messages("a", "q2")).toEqual([{ role: "user", content: "q2" }]);
  });

  it("forgets everything when it is cleared", () => {
    const conversation = new Conversation();
    conversation.keep(turn("q1", { a: "a1" }));
    conversation.clear();
    expect([...conversation]).toEqual([]);
    expect(conversation.messages("a", "q2")).toHaveLength(1);
  });
});
