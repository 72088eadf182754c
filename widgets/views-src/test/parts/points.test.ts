import { describe, expect, it } from "vitest";
import { type Point, Points } from "../../src/parts/points";

function pointsOf(...rows: [number, ...(number | null)[]][]): Points {
  const points = new Points(rows[0]!.length - 1);
  points.append(rows.map(([x, ...values]): Point => ({ x, values })));
  return points;
}

function rowsOf(points: Points): number[][] {
  return Array.from({ length: points.length }, (_, index) => [
    points.x(index),
    ...Array.from({ length: points.series }, (_, series) => points.value(series, index)),
  ]);
}

describe("points", () => {
  it("keep what they are given, and NaN for what they are not", () => {
    expect(rowsOf(pointsOf([1, 3, null], [2, 2, 5]))).toEqual([
      [1, 3, Number.NaN],
      [2, 2, 5],
    ]);
  });

  it("are completed by another one at the same x", () => {
    expect(rowsOf(pointsOf([1, 3, null], [1, null, 5]))).toEqual([[1, 3, 5]]);
  });

  it("are replaced from an x that comes again", () => {
    expect(rowsOf(pointsOf([1, 10], [2, 20], [3, 30], [2, 21]))).toEqual([
      [1, 10],
      [2, 21],
    ]);
  });

  it("are many without losing one", () => {
    const points = new Points(1);
    for (let x = 0; x < 5000; x++) points.append([{ x, values: [x * 2] }]);
    expect(points.length).toBe(5000);
    expect(points.value(0, 4999)).toBe(9998);
    expect(points.value(0, 1024)).toBe(2048);
  });

  it("are found by x", () => {
    const points = pointsOf([1, 0], [3, 0], [7, 0]);
    expect([0, 1, 2, 7, 8].map((x) => points.find(x))).toEqual([0, 0, 1, 2, 3]);
    expect([0, 2, 2.1, 6, 99].map((x) => points.nearest(x))).toEqual([0, 0, 1, 2, 2]);
    expect(new Points(1).nearest(1)).toBe(null);
  });
});
