import { describe, expect, it } from "vitest";
import { type Piece, wordDiff } from "../../src/parts/word-diff";

function rebuilt(pieces: Piece[], only: Piece["kind"]): string {
  return pieces.filter(({ kind }) => kind === "same" || kind === only).map(({ text }) => text).join("");
}

describe("the words that changed", () => {
  it("are found between what stayed", () => {
    expect(wordDiff("Take two tablets daily.", "Take three tablets daily.")).toEqual([
      { kind: "same", text: "Take " },
      { kind: "removed", text: "two" },
      { kind: "added", text: "three" },
      { kind: "same", text: " tablets daily." },
    ]);
    expect(wordDiff("same", "same")).toEqual([{ kind: "same", text: "same" }]);
    expect(wordDiff("", "new")).toEqual([{ kind: "added", text: "new" }]);
    expect(wordDiff("", "")).toEqual([]);
  });

  it("give back both texts, whatever they are", () => {
    let seed = 7;
    const random = (below: number): number => (seed = (seed * 48271) % 2147483647) % below;
    for (let round = 0; round < 300; round++) {
      const text = (): string => Array.from({ length: random(24) }, () => ["a", "b", "é", " ", ", ", "c d"][random(6)]).join(" ");
      const [before, after] = [text(), text()];
      const pieces = wordDiff(before, after);
      expect(rebuilt(pieces, "removed")).toBe(before);
      expect(rebuilt(pieces, "added")).toBe(after);
    }
  });

  it("of texts with nothing in common are not looked for without end", () => {
    const words = (from: number): string => Array.from({ length: 20_000 }, (_, index) => `w${from + index}`).join(" ");
    const start = performance.now();
    const pieces = wordDiff(words(0), words(100_000));
    expect(performance.now() - start).toBeLessThan(4000);
    expect(rebuilt(pieces, "added")).toBe(words(100_000));
  });
});
