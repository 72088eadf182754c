// @vitest-environment happy-dom
import { describe, expect, it } from "vitest";

import { evaluationTable, scoresOf, type Statistics, summaryTable } from "../../src/parts/job-statistics";

const cells = (table: HTMLElement): string[][] => [...table.querySelectorAll("tr")].map((row) => [...row.children].map((cell) => cell.textContent ?? ""));

describe("an evaluation", () => {
  it("stands side by side for base model and adapter", () => {
    const base = { loss: 3.21, rouge_l: 0.125, exact_match: 0 };
    const adapter = { loss: 1.5, rouge_l: 0.5, exact_match: 0.25 };
    expect(cells(evaluationTable({ examples: 24, base, adapter }))).toEqual([
      ["On 24 held out", "Base model", "Adapter"],
      ["Loss on the answers", "3.21", "1.5"],
      ["ROUGE-L", "0.125", "0.5"],
      ["Exact match", "0 %", "25 %"],
    ]);
  });

  it("is told of the adapter alone where several jobs stand side by side", () => {
    const evaluation = { examples: 24, base: { loss: 3 }, adapter: { loss: 1.5, rouge_l: 0.5 } };
    expect(scoresOf({ summary: { evaluation } } as unknown as Statistics)).toEqual([
      ["Loss on the answers, held out", "1.5"],
      ["ROUGE-L, held out", "0.5"],
    ]);
    expect(scoresOf({ summary: null } as unknown as Statistics)).toEqual([]);
  });

  it("of texts has the loss alone", () => {
    expect(cells(evaluationTable({ examples: 1, base: { loss: 2 }, adapter: { loss: 1 } }))).toHaveLength(2);
  });
});

describe("a summary", () => {
  it("leaves out operations where the stage counts none", () => {
    expect(cells(summaryTable({ epoch: 1, total_flos: 0 }))).toEqual([["Epochs epoch", "1"]]);
  });
});
