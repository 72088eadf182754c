import { describe, expect, it } from "vitest";
import { Window } from "../../src/parts/window";

function windowOf(total: number, limit = 12_000_000): Window {
  const window = new Window(30, limit);
  window.fit(total, 300);
  return window;
}

describe("the window over a table", () => {
  it("draws the rows in sight and some spare ones", () => {
    const window = windowOf(200_000);
    expect(window.height).toBe(6_000_000);
    window.scrolled(3000);
    expect(window.rows(0)).toEqual({ first: 100, end: 110 });
    expect(window.rows(5)).toEqual({ first: 95, end: 115 });
    expect(window.topOf(100)).toBe(3000);
  });

  it("draws no rows that are not there", () => {
    expect(windowOf(3).rows(10)).toEqual({ first: 0, end: 3 });
    expect(windowOf(0).rows(10)).toEqual({ first: 0, end: 0 });
  });

  it("stays below the height that browsers allow, and still reaches both ends", () => {
    const window = windowOf(1_000_000, 100_000);
    expect(window.height).toBe(100_000);
    window.scrolled(99_700);
    expect(window.rows(0).end).toBe(1_000_000);
    window.scrolled(0);
    expect(window.rows(0).first).toBe(0);
  });

  it("moves by what the wheel said even where the height is scaled", () => {
    const window = windowOf(1_000_000, 100_000);
    window.scrolled(50_000);
    const { first } = window.rows(0);
    window.scrolled(50_060);
    expect(window.rows(0).first).toBe(first + 2);
    expect(window.topOf(first + 2)).toBeLessThanOrEqual(50_060);
    expect(window.topOf(first + 3)).toBeGreaterThan(50_060);
  });

  it("sees that it has drifted, and where it should stand", () => {
    const window = windowOf(1_000_000, 100_000);
    window.scrolled(50_000);
    expect(window.drifted).toBe(false);
    for (let at = 50_100; at <= 52_000; at += 100) window.scrolled(at);
    expect(window.drifted).toBe(true);
    const before = window.rows(0);
    window.settle();
    expect(window.drifted).toBe(false);
    expect(window.rows(0)).toEqual(before);
  });

  it("moves as little as shows a row", () => {
    const window = windowOf(1000);
    expect(window.reveal(5)).toBe(false);
    expect(window.reveal(10)).toBe(true);
    expect(window.position).toBe(30);
    expect(window.reveal(0)).toBe(true);
    expect(window.position).toBe(0);
  });

  it("comes back when there are fewer rows", () => {
    const window = windowOf(1000);
    window.reveal(999);
    window.fit(20, 300);
    expect(window.rows(0)).toEqual({ first: 10, end: 20 });
  });
});
