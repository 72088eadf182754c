import { describe, expect, it } from "vitest";
import { HostError, wordsOf } from "../../src/host/host";

describe("the words of an error", () => {
  it("are the message and the hint, as sentences", () => {
    expect(wordsOf(new HostError("unavailable", "The answer was cut off.", "ask again"))).toBe(
      "The answer was cut off. Ask again.",
    );
  });

  it("tell nothing of an unexpected error", () => {
    expect(wordsOf(new TypeError("secret"))).not.toContain("secret");
  });
});
