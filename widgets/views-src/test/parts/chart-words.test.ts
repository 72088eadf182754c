import { describe, expect, it } from "vitest";
import { summaryOf } from "../../src/parts/chart-words";
import { Points } from "../../src/parts/points";

const WORDS = { title: "Loss", labels: ["Loss", "Eval loss"], along: "step", unit: "" };

describe("a chart in words", () => {
  it("says where it began, where it is and how low it was", () => {
    const points = new Points(2);
    points.append([3.1, 1.6, 1.62].map((loss, index) => ({ x: index * 10 + 1, values: [loss, null] })));
    expect(summaryOf(points, WORDS)).toBe("Loss: 3.1 at step 1, now 1.62 at step 21, lowest 1.6 at step 11.");
  });

  it("tells of each series that has values", () => {
    const points = new Points(2);
    points.append([{ x: 1, values: [2, 2.5] }]);
    expect(summaryOf(points, { ...WORDS, unit: "nats" })).toBe("Loss: 2 nats at step 1. Eval loss: 2.5 nats at step 1.");
  });

  it("says that there is nothing yet", () => {
    expect(summaryOf(new Points(2), WORDS)).toBe("Loss: no points yet.");
  });
});
