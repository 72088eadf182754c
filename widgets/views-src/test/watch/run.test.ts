import { describe, expect, it } from "vitest";
import { Points } from "../../src/parts/points";
import { pointOf } from "../../src/watch/charts";
import { type JobEvent, Run } from "../../src/watch/run";
import { eventOf, metricsOf } from "./events";

function lossesOf(events: JobEvent[]): [number, number][] {
  const run = new Run();
  const points = new Points(2);
  points.append(events.filter((event) => run.take(event) && event.kind === "metrics").map((event) => pointOf(event, ["loss", "eval_loss"])));
  return Array.from({ length: points.length }, (_, index) => [points.x(index), points.value(0, index)]);
}

describe("the events of a run", () => {
  it("are taken once, whether they come by pages or live", () => {
    const past = [1, 2, 3].map((step) => metricsOf(step + 10, step));
    const live = [metricsOf(13, 3), metricsOf(14, 4)];
    expect(lossesOf([...past, ...live]).map(([step]) => step)).toEqual([1, 2, 3, 4]);
  });

  it("of a repeated step replace those of the lost attempt", () => {
    const first = [1, 2, 3, 4].map((step) => metricsOf(step, step, { loss: 9 }));
    const lost = eventOf(5, "state", { state: "queued", reason: "starts again" });
    const second = [3, 4, 5].map((step, index) => metricsOf(6 + index, step, { loss: 1 }));
    expect(lossesOf([...first, lost, ...second])).toEqual([
      [1, 9],
      [2, 9],
      [3, 1],
      [4, 1],
      [5, 1],
    ]);
  });

  it("of one step come together: the evaluation tells later", () => {
    const run = new Run();
    const points = new Points(2);
    for (const event of [metricsOf(1, 40), eventOf(2, "metrics", { step: 40, epoch: 1, eval_loss: 2.5 })]) {
      run.take(event);
      points.append([pointOf(event, ["loss", "eval_loss"])]);
    }
    expect([points.length, points.value(0, 0), points.value(1, 0)]).toEqual([1, 2.6, 2.5]);
  });

  it("say where to go on from, without skipping what the log was ahead", () => {
    const run = new Run();
    run.take(metricsOf(7, 1));
    run.take(eventOf(9, "log", { message: "later" }));
    expect(run.resumeAt).toBe(7);
    expect(run.take(eventOf(8, "phase", { state: "saving" }))).toBe(true);
    expect(run.take(eventOf(9, "log", { message: "later" }))).toBe(false);
    expect(run.resumeAt).toBe(8);
  });
});
