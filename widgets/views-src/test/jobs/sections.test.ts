import { describe, expect, it } from "vitest";
import { placed } from "../../src/jobs/sections";
import { statusOf } from "../../src/jobs/status";
import { job } from "../support/things";

const NOW = Date.parse("2026-03-01T12:00:00Z");

describe("a job that moved on between two answers", () => {
  it("is shown where it is now", () => {
    const pages = [
      { items: [job("a", { state: "queued" })], has_more: false },
      { items: [job("a", { state: "training" })], has_more: false },
    ];
    expect(placed([...pages, null]).map((jobs) => jobs.map(({ state }) => state))).toEqual([[], ["training"], []]);
  });
});

describe("the order of jobs", () => {
  it("is the line of those that wait, the oldest first of those that will, and the newest first of all others", () => {
    const at = (day: number): string => `2026-03-0${day}T10:00:00Z`;
    const queued = [job("c", { position: null }), job("b", { position: 2 }), job("a", { position: 1 })];
    const completed = [job("x", { state_at: at(1) }), job("y", { state_at: at(2) })];
    const created = [job("q", { state_at: at(2) }), job("p", { state_at: at(1) })];
    const pages = [
      { items: created.map((one) => ({ ...one, state: "created" as const })), has_more: false },
      { items: queued.map((one) => ({ ...one, state: "queued" as const })), has_more: false },
      { items: completed.map((one) => ({ ...one, state: "completed" as const })), has_more: false },
    ];
    expect(placed(pages).map((jobs) => jobs.map(({ id }) => id))).toEqual([["p", "q"], ["a", "b", "c"], ["y", "x"]]);
  });
});

describe("the status of a job", () => {
  it("says why it waits, and where", () => {
    expect(statusOf(job("a", { reason: "preparing" }), NOW)).toEqual({ text: "Preparing.", note: "" });
    expect(statusOf(job("a", { state: "queued", position: 3, reason: "waiting for a free slot" }), NOW)).toEqual({
      text: "3",
      note: "Waiting for a free slot.",
    });
  });

  it("says how far training is and about how long it takes", () => {
    const started_at = "2026-03-01T11:50:00Z";
    expect(statusOf(job("a", { state: "training", progress: 0.25, started_at, ends_at: "2026-03-01T12:30:00Z" }), NOW)).toEqual({
      text: "25% · about 30 min left",
      note: "Runs for 10 min",
      progress: 0.25,
    });
    expect(statusOf(job("a", { state: "training", progress: 0.25, started_at, ends_at: "2026-03-01T12:30:00Z", cancel_requested: true }), NOW).text).toBe("25%");
    expect(statusOf(job("a", { state: "training", progress: null, started_at }), NOW).text).toBe("Getting ready");
    expect(statusOf(job("a", { state: "training", progress: 0.001, started_at }), NOW).text).toBe("0%");
    expect(statusOf(job("a", { state: "training", progress: 0.5, started_at: "2026-03-01T12:00:09Z" }), NOW).text).toContain("50%");
  });

  it("says what came of it", () => {
    const done = job("a", { state: "completed", adapter: "@demo/visits@1", summary: { train_runtime: 125, train_loss: 1.5 } });
    expect(statusOf(done, NOW)).toEqual({ text: "@demo/visits@1", note: "Training time 2 min 5 s · mean loss 1.5" });
    const times = { started_at: "2026-03-01T11:50:00Z", finished_at: "2026-03-01T11:52:05Z" };
    expect(statusOf({ ...done, ...times, summary: null }, NOW).note).toBe("Whole time 2 min 5 s");
    const failed = job("a", { state: "failed", reason: "the loss is not a number; lower the learning rate; run it again" });
    expect(statusOf(failed, NOW)).toEqual({ text: "The loss is not a number.", note: "Lower the learning rate; run it again." });
  });
});
