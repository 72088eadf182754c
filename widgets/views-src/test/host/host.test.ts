import { describe, expect, it, vi } from "vitest";
import { HostError, isPassing, wordsOf } from "../../src/host/host";

describe("the words of an error", () => {
  it("are the message and the hint, as sentences", () => {
    expect(wordsOf(new HostError("unavailable", "The answer was cut off.", "ask again"))).toBe(
      "The answer was cut off. Ask again.",
    );
  });

  it("tell nothing of an unexpected error", () => {
    expect(wordsOf(new TypeError("secret"))).not.toContain("secret");
  });

  it("are found in an error of another module's host", async () => {
    vi.resetModules();
    const other = await import("../../src/host/host");
    const error = new other.HostError("unavailable", "The service is away.");
    expect(other.HostError).not.toBe(HostError);
    expect(wordsOf(error)).toBe("The service is away.");
    expect(isPassing(error)).toBe(true);
  });
});
