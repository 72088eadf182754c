// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { HostError } from "../../src/host/host";
import type { Job } from "../../src/host/things";
import { mount } from "../../src/jobs/jobs";
import { page, ScriptedHost } from "../support/scripted-host";
import { job } from "../support/things";

let jobs: Job[] = [];
let host: ScriptedHost;
let el: HTMLElement;
let unmount: () => void = () => undefined;

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse("2026-03-01T12:00:00Z") });
  jobs = [];
  host = new ScriptedHost({
    "jobs.list": ({ state, search }) => page(...jobs.filter((one) => String(state).split(",").includes(one.state) && one.name.includes(String(search ?? "")))),
  });
});
afterEach(() => {
  unmount();
  vi.useRealTimers();
});

async function shown(): Promise<void> {
  el = document.createElement("div");
  document.body.replaceChildren(el);
  unmount = mount(el, host);
  await settled();
}

/** Let everything happen that is due within `ms`. */
const settled = (ms = 10): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);
const table = (name: string): HTMLElement => el.querySelector<HTMLElement>(`table[aria-label="${name} jobs"]`)!;
const rowsOf = (name: string): HTMLElement[] => [...table(name).querySelectorAll<HTMLElement>("tbody tr")];
const buttonsOf = (row: HTMLElement): string[] =>
  [...row.querySelectorAll<HTMLElement>(".actions button")].filter((one) => !one.hidden).map((one) => one.textContent!);
function button(name: string): HTMLButtonElement {
  return [...el.querySelectorAll("button")].find((one) => !one.hidden && (one.getAttribute("aria-label") ?? one.textContent) === name)!;
}

describe("the dashboard", () => {
  it("shows each job in the section of its state, with what can be done", async () => {
    jobs = [
      job("jb_1", { name: "one", reason: "preparing" }),
      job("jb_2", { name: "two", state: "queued", position: 1 }),
      job("jb_3", { name: "three", state: "training", progress: 0.5, started_at: "2026-03-01T11:00:00Z" }),
      job("jb_4", { name: "four", state: "completed", adapter: "@demo/four@1" }),
      job("jb_5", { name: "five", state: "failed", reason: "no memory; choose a smaller batch" }),
      job("jb_6", { name: "six", state: "cancelled" }),
    ];
    await shown();
    expect(["Created", "Queued", "Training", "Completed", "Failed and cancelled"].map((name) => rowsOf(name).map(buttonsOf))).toEqual([
      [["Watch", "Cancel"]],
      [["Watch", "Cancel"]],
      [["Watch", "Cancel"]],
      [["Chat", "Clone", "Watch"]],
      [["Run again", "Watch"], ["Run again", "Watch"]],
    ]);
    expect(table("Training").querySelector("progress")!.value).toBe(0.5);
    expect(table("Failed and cancelled").textContent).toContain("Choose a smaller batch.");
  });

  it("opens what an action means", async () => {
    jobs = [job("jb_4", { name: "four", state: "completed", adapter: "@demo/four@1" }), job("jb_5", { name: "five", state: "failed" })];
    await shown();
    for (const name of ["Chat four", "Clone four", "Watch four", "Run again five", "Train an adapter"]) button(name).click();
    expect(host.asks("view.open")).toEqual([
      { view: "chat", start: { model: "@demo/four@1" } },
      { view: "train", start: { job: "jb_4" } },
      { view: "watch", start: { job: "jb_4" } },
      { view: "train", start: { job: "jb_5" } },
      { view: "train", start: {} },
    ]);
  });

  it("says what to do when there is no job yet", async () => {
    await shown();
    expect(el.textContent).toContain("No job yet.");
    button("Train an adapter").click();
    expect(host.asks("view.open")).toEqual([{ view: "train", start: {} }]);
  });

  it("changes rows in place: the same row, and the focus in it, also when the job moves on", async () => {
    jobs = [job("jb_1", { name: "one", state: "training", progress: 0.1 }), job("jb_2", { name: "two", state: "training" })];
    await shown();
    const row = rowsOf("Training").find((one) => one.textContent!.includes("one"))!;
    const watch = button("Watch one");
    watch.focus();
    jobs[0] = { ...jobs[0]!, progress: 0.6 };
    await settled(3000);
    expect(rowsOf("Training")).toContain(row);
    expect(row.querySelector("progress")!.value).toBe(0.6);
    expect(document.activeElement).toBe(watch);
    jobs[0] = { ...jobs[0]!, state: "completed", adapter: "@demo/one@1" };
    await settled(3000);
    expect(rowsOf("Completed")).toEqual([row]);
    expect(document.activeElement).toBe(watch);
    expect(table("Completed").hidden).toBe(false);
  });

  it("keeps the focus in the row when its button goes", async () => {
    jobs = [job("jb_1", { name: "one", state: "training" })];
    await shown();
    button("Cancel one").focus();
    jobs[0] = { ...jobs[0]!, cancel_requested: true };
    await settled(3000);
    expect(document.activeElement).toBe(button("Watch one"));
    expect(table("Training").textContent).toContain("cancelling …");
  });

  it("cancels only when that is confirmed", async () => {
    jobs = [job("jb_1", { name: "one", state: "queued" })];
    host.answer("jobs.cancel", () => (jobs[0] = { ...jobs[0]!, state: "cancelled" }));
    await shown();
    button("Cancel one").click();
    button("Keep it").click();
    await settled();
    expect(host.asks("jobs.cancel")).toEqual([]);
    button("Cancel one").click();
    button("Cancel the job").click();
    await settled();
    expect(host.asks("jobs.cancel")).toEqual([{ job: "jb_1" }]);
    expect(rowsOf("Failed and cancelled")).toHaveLength(1);
  });

  it("searches all sections and comes back to the search", async () => {
    jobs = [job("jb_1", { name: "one" }), job("jb_2", { name: "two", state: "failed" })];
    await shown();
    const search = el.querySelector<HTMLInputElement>("input[type=search]")!;
    search.value = "tw";
    search.dispatchEvent(new Event("input"));
    await settled(300);
    expect([rowsOf("Created").length, rowsOf("Failed and cancelled").length]).toEqual([0, 1]);
    expect(host.asks("view.here").at(-1)).toEqual({ title: "Jobs", start: { search: "tw" } });
    search.value = "nothing";
    search.dispatchEvent(new Event("input"));
    await settled(300);
    expect(el.textContent).toContain("No job is found for “nothing”.");
    button("Show all jobs").click();
    await settled();
    expect(rowsOf("Created")).toHaveLength(1);
  });

  it("loads more of one section", async () => {
    const many = Array.from({ length: 30 }, (_, at) => job(`jb_${at}`, { name: `job-${at}`, state: "completed" }));
    host.answer("jobs.list", ({ state, after, limit }) => {
      if (state !== "completed") return page();
      const from = after === undefined ? 0 : many.findIndex(({ id }) => id === after) + 1;
      const items = many.slice(from, from + Number(limit));
      return { items, has_more: from + items.length < many.length };
    });
    await shown();
    expect(rowsOf("Completed")).toHaveLength(20);
    expect(el.textContent).toContain("20+");
    button("Load more").click();
    await settled();
    expect(rowsOf("Completed")).toHaveLength(30);
    expect(document.activeElement?.getAttribute("aria-label")).toBe("Watch job-20");
    await settled(3000 * 5);
    expect(rowsOf("Completed")).toHaveLength(30);
  });

  it("goes on by itself when the service is back, and ends when it is taken away", async () => {
    jobs = [job("jb_1", { name: "one" })];
    await shown();
    const answer = host.asks("jobs.list").length;
    let away = true;
    host.answer("jobs.list", ({ state }) => {
      if (away) throw new HostError("unavailable", "The service does not answer.");
      return page(...jobs.filter((one) => one.state === state));
    });
    await settled(5000);
    expect(el.querySelector("[role=alert]")!.textContent).toContain("The connection is lost.");
    expect(rowsOf("Created")).toHaveLength(1);
    away = false;
    await settled(10_000);
    expect(el.querySelector("[role=alert]")!.textContent).toBe("");
    unmount();
    const asked = host.asks("jobs.list").length;
    expect(asked).toBeGreaterThan(answer);
    await settled(30_000);
    expect(host.asks("jobs.list")).toHaveLength(asked);
  });
});
