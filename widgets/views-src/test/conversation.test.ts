import { describe, expect, it } from "vitest";
import { Conversation } from "../src/conversation";

describe("a conversation", () => {
  it("gives each model its own history", () => {
    const conversation = new Conversation();
    conversation.keep({ question: "q1", answers: new Map([["a", "a1"], ["b", "b1"]]), stopped: false });
    conversation.keep({ question: "q2", answers: new Map([["a", "a2"]]), stopped: false });
    expect(conversation.messages("a", "q3").map((m) => m.content)).toEqual(["q1", "a1", "q2", "a2", "q3"]);
    expect(conversation.messages("b", "q3").map((m) => m.content)).toEqual(["q1", "b1", "q3"]);
  });

  it("sends nothing of a turn that a model did not answer", () => {
    const conversation = new Conversation();
    conversation.keep({ question: "q1", answers: new Map([["a", ""]]), stopped: true });
    expect(conversation.messages("a", "q2")).toEqual([{ role: "user", content: "q2" }]);
  });
});
