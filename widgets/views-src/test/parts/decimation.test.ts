import { describe, expect, it } from "vitest";
import { Decimation, type Range, type Table } from "../../src/parts/decimation";
import { type Point, Points } from "../../src/parts/points";
import { randomOf } from "./random";

const DENSE = [false, false];

/** A run of steps with holes; the second series has few values or gaps. */
function randomRun(seed: number): Point[] {
  const random = randomOf(seed);
  const scale = 10 ** Math.floor(random() * 6 - 2);
  let x = random() * 100 * scale;
  return Array.from({ length: Math.floor(random() * 3000) + 1 }, () => {
    x += (random() < 0.01 ? 50 : 1) * scale * (random() + 0.1);
    return { x, values: [random() < 0.02 ? null : random() * 10, random() < 0.5 ? random() : null] };
  });
}

function decimate(run: Point[], columns: number, range: Range | null = null, sparse = DENSE): Table {
  const points = new Points(2);
  points.append(run);
  const decimation = new Decimation(points, sparse);
  decimation.show(range, columns);
  return decimation.table();
}

function extremes(values: readonly (number | null)[]): [number, number] {
  const numbers = values.filter((value) => value !== null);
  return [Math.min(...numbers), Math.max(...numbers)];
}

describe("a decimation", () => {
  it("keeps every point where there are few", () => {
    const run = [1, 2, 3, 4].map((x): Point => ({ x, values: [x * x, null] }));
    expect(decimate(run, 100)).toEqual({
      xs: [1, 2, 3, 4],
      values: [
        [1, 4, 9, 16],
        [null, null, null, null],
      ],
    });
  });

  it("loses no extreme of any column of pixels", () => {
    for (let seed = 1; seed <= 60; seed++) {
      const run = randomRun(seed);
      const columns = 1 + ((seed * 7) % 90);
      const { xs, values } = decimate(run, columns);
      const [from, to] = [run[0]!.x, run.at(-1)!.x];
      expect([xs[0], xs.at(-1)]).toEqual([from, to]);
      for (const [index, kept] of values.entries()) {
        for (let column = 0; column < columns; column++) {
          const left = from + ((to - from) * column) / columns;
          const right = from + ((to - from) * (column + 1)) / columns;
          const all = run.filter(({ x }) => x >= left && x <= right).map(({ values }) => values[index] ?? null);
          if (all.every((value) => value === null)) continue;
          const [low, high] = extremes(all);
          // An extreme is kept in its own column, or a neighbour holds a further one.
          const near = kept.filter((_, at) => xs[at]! >= left - (to - from) / columns && xs[at]! <= right + (to - from) / columns);
          const [lowest, highest] = extremes(near);
          expect(lowest).toBeLessThanOrEqual(low);
          expect(highest).toBeGreaterThanOrEqual(high);
        }
      }
    }
  });

  it("is made of points that there are, in order, each once", () => {
    for (let seed = 1; seed <= 30; seed++) {
      const run = randomRun(seed);
      const { xs, values } = decimate(run, 40);
      const [first, second] = values;
      const byX = new Map(run.map(({ x, values }) => [x, values]));
      xs.forEach((x, at) => {
        if (at > 0) expect(x).toBeGreaterThan(xs[at - 1]!);
        expect([first![at], second![at]]).toEqual(byX.get(x));
      });
    }
  });

  it("has no more points than its columns need", () => {
    for (let seed = 1; seed <= 30; seed++) {
      // two to a pixel; of each first, last, and for each of two series lowest, highest and a gap
      expect(decimate(randomRun(seed), 20).xs.length).toBeLessThanOrEqual(2 * 20 * 8);
    }
  });

  it("is the same whether points come one by one or at once", () => {
    for (let seed = 1; seed <= 60; seed++) {
      const run = randomRun(seed);
      const random = randomOf(seed + 1000);
      const somewhere = (): number => run[Math.floor(run.length * random())]!.x;
      const ends = [somewhere(), somewhere()].sort((one, other) => one - other) as [number, number];
      const range: Range | null = seed % 3 === 0 ? ends : null;
      const points = new Points(2);
      const decimation = new Decimation(points, DENSE);
      decimation.show(range, 30);
      for (let sent = 0; sent < run.length; ) {
        const piece = 1 + Math.floor(random() * 50);
        points.append(run.slice(sent, (sent += piece)));
        decimation.table();
      }
      expect(decimation.table()).toEqual(decimate(run, 30, range));
    }
  });

  it("follows points that were replaced or completed", () => {
    const run = randomRun(7);
    const points = new Points(2);
    const decimation = new Decimation(points, DENSE);
    decimation.show(null, 30);
    points.append(run);
    decimation.table();
    const again = run.slice(Math.floor(run.length / 2)).map(({ x }): Point => ({ x, values: [1, null] }));
    points.append(again);
    points.append([{ x: again.at(-1)!.x, values: [null, 42] }]);
    const expected = new Decimation(points, DENSE);
    expected.show(null, 30);
    expect(decimation.table()).toEqual(expected.table());
    expect(decimation.table().values[1]!.at(-1)).toBe(42);
  });

  it("of a part shows that part, and the line into it and out of it", () => {
    const run = Array.from({ length: 1000 }, (_, x): Point => ({ x, values: [x, null] }));
    const { xs } = decimate(run, 500, [100, 110]);
    expect(xs).toEqual([99, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111]);
  });

  it("keeps a gap of a dense series, and sees none in a sparse one", () => {
    const run = Array.from({ length: 1000 }, (_, x): Point => ({ x, values: [x === 500 ? null : 1, null] }));
    expect(decimate(run, 10).values[0]).toContain(null);
    expect(decimate(run, 10, null, [true, true]).values[0]).not.toContain(null);
  });
});
