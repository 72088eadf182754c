// @vitest-environment happy-dom
import { beforeEach, describe, expect, it } from "vitest";
import { lineOf, type LogLine, LogTail } from "../../src/watch/log-tail";
import { eventOf } from "./events";

function linesOf(count: number, from = 0): LogLine[] {
  return Array.from({ length: count }, (_, index) => ({ at: "2026-03-01T10:00:00Z", level: "info", message: `line ${from + index}` }));
}

describe("the tail of a log", () => {
  let tail: LogTail;
  let box: HTMLElement;
  beforeEach(() => {
    tail = new LogTail();
    box = tail.element.querySelector(".lines")!;
    // There is no layout here: 20 px a line, 100 px in sight.
    Object.defineProperty(box, "scrollHeight", { get: () => box.childElementCount * 20 });
    Object.defineProperty(box, "clientHeight", { get: () => 100 });
  });

  it("says that there is nothing yet", () => {
    expect(box.hidden).toBe(true);
    expect(tail.element.textContent).toContain("Nothing yet");
    tail.over(true);
    expect(tail.element.textContent).toContain("Nothing was written.");
    tail.over(false);
    tail.append(linesOf(1));
    expect(box.hidden).toBe(false);
  });

  it("keeps the last two hundred lines", () => {
    tail.append(linesOf(150));
    tail.append(linesOf(500, 150));
    expect(box.childElementCount).toBe(200);
    expect(box.firstElementChild!.textContent).toContain("line 450");
    expect(box.lastElementChild!.textContent).toContain("line 649");
  });

  it("follows the end, unless the reader has scrolled up", () => {
    tail.append(linesOf(10));
    expect(box.scrollTop).toBe(200);
    box.scrollTop = 100; // at the end: 100 of 200 px are in sight
    tail.append(linesOf(1));
    expect(box.scrollTop).toBe(220);
    box.scrollTop = 30;
    tail.append(linesOf(1));
    expect(box.scrollTop).toBe(30);
  });

  it("shows the level in words", () => {
    tail.append([lineOf(eventOf(1, "log", { level: "warning", message: "slow disk" }))!]);
    expect(box.querySelector(".warning .level")!.textContent).toBe("warning");
  });
});

describe("an event in the log", () => {
  it("is a line of it, or an error with its remedy", () => {
    expect(lineOf(eventOf(1, "log", { message: "160 records" }))).toMatchObject({ level: "info", message: "160 records" });
    expect(lineOf(eventOf(1, "error", { reason: "No memory.", remedy: "choose a lower rank" }))).toMatchObject({
      level: "error",
      message: "No memory. Choose a lower rank.",
    });
  });

  it("of another kind is none", () => {
    expect(lineOf(eventOf(1, "metrics", { step: 1 }))).toBe(null);
  });
});
