import { describe, expect, it } from "vitest";
import { failureWords, shareOf, statusWords, stepWords, timeWordsOf } from "../../src/watch/job";
import { Run } from "../../src/watch/run";
import { COMPLETED, eventOf, jobOf, metricsOf } from "./events";

function runOf(step: number, total: number | null): Run {
  const run = new Run();
  run.take(eventOf(1, "phase", { state: "training", total_steps: total }));
  if (step > 0) run.take(metricsOf(2, step));
  return run;
}

describe("what is said of a job", () => {
  it("is its place while it waits, and why it waits", () => {
    const job = jobOf({ state: "queued", position: 2, reason: "waiting for a free slot" });
    expect(statusWords(job, new Run())).toBe("Position 2 in the queue. Waiting for a free slot.");
    expect(statusWords(jobOf({ state: "created", reason: "waiting for an agent" }), new Run())).toBe("Waiting for an agent.");
  });

  it("is what the worker is about before it trains", () => {
    const run = new Run();
    expect(statusWords(jobOf(), run)).toBe("Waiting for the first numbers …");
    run.take(eventOf(1, "phase", { state: "loading" }));
    expect(statusWords(jobOf(), run)).toBe("Loading the base model …");
    expect(statusWords(jobOf(), runOf(3, 120))).toBe("");
  });

  it("is how far it is", () => {
    expect(stepWords(jobOf(), runOf(60, 1200))).toBe("Step 60 of 1,200");
    expect(stepWords(jobOf(), runOf(60, null))).toBe("Step 60");
    expect(stepWords(jobOf(COMPLETED), runOf(120, null))).toBe("Step 120 of 120");
    expect(shareOf(jobOf(), runOf(60, 120))).toBe(0.5);
    expect(shareOf(jobOf({ progress: 0.25 }), new Run())).toBe(0.25);
    expect(shareOf(jobOf(), new Run())).toBe(null);
  });

  it("is how long it took", () => {
    expect(timeWordsOf(jobOf(COMPLETED), 0)).toBe("whole time 2 min 5 s");
    expect(timeWordsOf(jobOf(), Date.parse("2026-03-01T10:01:00Z"))).toBe("running for 1 min");
    expect(timeWordsOf(jobOf({ ends_at: "2026-03-01T10:04:00Z" }), Date.parse("2026-03-01T10:01:00Z"))).toBe("running for 1 min · about 3 min left");
    expect(timeWordsOf(jobOf({ started_at: null }), 0)).toBe("");
  });

  it("is why it failed and what to do", () => {
    const reason = "2 records are empty; drop or mend; publish again";
    expect(failureWords("no memory; choose a lower rank", null)).toEqual(["No memory.", "Choose a lower rank."]);
    expect(failureWords("it broke", null)).toEqual(["It broke.", ""]);
    expect(failureWords(reason, { reason: "2 records are empty.", remedy: "drop or mend; publish again" })).toEqual([
      "2 records are empty.",
      "Drop or mend; publish again.",
    ]);
    expect(failureWords(null, null)[0]).toBe("It did not say why.");
  });
});
