// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { HostError } from "../../src/host/host";
import type { Job } from "../../src/host/things";
import { mount } from "../../src/jobs/jobs";
import { page, ScriptedHost } from "../support/scripted-host";
import { job, STATISTICS } from "../support/things";

let jobs: Job[] = [];
let host: ScriptedHost;
let el: HTMLElement;
let unmount: () => void = () => undefined;

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse("2026-03-01T12:00:00Z") });
  jobs = [];
  host = new ScriptedHost({
    whoami: () => ({ scopes: ["read", "write"] }),
    "jobs.counts": () => Object.fromEntries(jobs.map(({ state }) => [state, jobs.filter((one) => one.state === state).length])),
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
  [...row.querySelectorAll<HTMLElement>(".actions .row > button")].filter((one) => !one.hidden).map((one) => one.textContent!);
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
      [["Chat", "Watch"]],
      [["Run again", "Clone", "Watch"], ["Run again", "Clone", "Watch"]],
    ]);
    expect(table("Training").querySelector("progress")!.value).toBe(0.5);
    expect(table("Failed and cancelled").textContent).toContain("Choose a smaller batch.");
  });

  it("opens what an action means", async () => {
    jobs = [job("jb_4", { name: "four", state: "completed", adapter: "@demo/four@1" }), job("jb_5", { name: "five", state: "failed" })];
    await shown();
    for (const name of ["Chat four", "Clone four", "Watch four", "Clone five", "Train an adapter"]) button(name).click();
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
    jobs[0] = job("jb_1", { name: "one", state: "training", cancel_requested: true });
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
    host.answer("jobs.counts", () => ({ completed: 1030 }));
    const many = Array.from({ length: 30 }, (_, at) => job(`jb_${at}`, { name: `job-${at}`, state: "completed" }));
    host.answer("jobs.list", ({ state, after, limit }) => {
      if (state !== "completed") return page();
      const from = after === undefined ? 0 : many.findIndex(({ id }) => id === after) + 1;
      const items = many.slice(from, from + Number(limit));
      return { items, has_more: from + items.length < many.length };
    });
    await shown();
    expect(rowsOf("Completed")).toHaveLength(20);
    expect(el.textContent).toContain("Completed 1,030");
    button("Load more").click();
    await settled();
    expect(rowsOf("Completed")).toHaveLength(30);
    expect(document.activeElement?.getAttribute("aria-label")).toBe("Watch job-20");
    await settled(3000 * 5);
    expect(rowsOf("Completed")).toHaveLength(30);
  });

  it("does what is behind More: runs again, deletes, downloads, gives another priority, tells statistics", async () => {
    jobs = [
      job("jb_1", { name: "one", state: "completed", adapter: "@demo/one@1", adapter_id: "ad_1" }),
      job("jb_2", { name: "two", state: "queued", priority: "normal" }),
      job("jb_3", { name: "three", state: "failed" }),
    ];
    host.answer("jobs.resubmit", () => job("jb_9", { name: "three" }));
    host.answer("jobs.delete", () => void (jobs = jobs.filter(({ id }) => id !== "jb_1")));
    host.answer("jobs.prioritise", () => (jobs[1] = job("jb_2", { name: "two", state: "queued", priority: "low" })));
    host.answer("adapters.download", () => [{ received: 2_000_000, total: 4_000_000 }, { name: "one.zip", report: null }]);
    host.answer("jobs.statistics", () => STATISTICS);
    await shown();
    const said = (): string => el.querySelector(".dashboard > [role=status]")!.textContent!;
    const items = (name: string): string[] => [...el.querySelectorAll<HTMLElement>(`[aria-label="More for ${name}"] + .items > button`)].filter(({ hidden }) => !hidden).map(({ textContent }) => textContent!);
    expect([items("one"), items("two"), items("three")]).toEqual([["Run again", "Clone", "Statistics", "Download", "Delete"], ["Clone", "Statistics", "Lower priority"], ["Statistics", "Delete"]]);
    button("Lower priority two").click();
    await settled();
    expect(host.asks("jobs.prioritise")).toEqual([{ job: "jb_2", priority: "low" }]);
    expect(table("Queued").textContent).toContain("low priority");
    expect(items("two")).toContain("Raise priority"); // back to normal; more than that is an administrator's
    button("Run again three").click();
    await settled();
    expect(host.asks("jobs.resubmit")).toEqual([{ job: "jb_3", key: expect.any(String) }]);
    expect(said()).toContain("three is submitted again, as it was.");
    button("Download one").click();
    await settled();
    expect(said()).toContain("Downloaded one.zip.");
    button("Statistics one").click();
    await settled();
    const dialog = el.querySelector("dialog")!;
    for (const words of ["Waited12 s", "Most memory1.2 GB", "Best eval loss1.4 at step 80", "Lease lost: the agent went away", "@demo/visits@2"]) expect(dialog.textContent).toContain(words);
    button("Close").click();
    button("Delete one").click();
    button("Delete the job").click();
    await settled();
    expect(host.asks("jobs.delete")).toEqual([{ job: "jb_1" }]);
    expect(rowsOf("Completed")).toEqual([]);
  });

  it("says where a job stands by the service's estimates, and nothing without one", async () => {
    jobs = [
      job("jb_1", { name: "one", state: "queued", position: 2, starts_at: "2026-03-01T12:20:00Z" }),
      job("jb_2", { name: "two", state: "training", progress: 0.5, step: 60, total_steps: 120, ends_at: "2026-03-01T12:05:00Z", datasets: ["@demo/a@1", "@demo/b@1", "@demo/c@2"], dataset: "@demo/a@1" }),
    ];
    await shown();
    expect(table("Queued").textContent).toContain("Starts in about 20 min.");
    expect(table("Training").textContent).toContain("50% · about 5 min left");
    expect(table("Training").textContent).toContain("Step 60 of 120");
    expect(table("Training").textContent).toContain("@demo/a@1 and 2 more");
    jobs = [job("jb_1", { name: "one", state: "queued", position: 2 })];
    await settled(3000);
    expect(table("Queued").textContent).not.toContain("Starts");
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

describe("the comparison", () => {
  const check = (name: string): void => el.querySelector<HTMLInputElement>(`[aria-label="Compare ${name}"]`)!.click();
  const bar = (): HTMLElement => el.querySelector<HTMLElement>(".chosen")!;
  const points = (steps: number, loss: number): unknown =>
    page(...Array.from({ length: steps }, (_, at) => ({ seq: at, at: new Date(Date.parse("2026-03-01T11:00:00Z") + at * 60_000).toISOString(), kind: "metrics", data: { step: at + 1, loss: loss - at / 10, learning_rate: 0.1, epoch: at / 8, step_epoch: 0, reward_margin: at, eval_loss: at === 3 ? 1 : null } })));

  beforeEach(() => {
    const started_at = "2026-03-01T11:00:00Z";
    jobs = [job("jb_1", { name: "one", state: "completed", started_at, options: { rank: 4, epochs: 1 } }), job("jb_2", { name: "two", state: "completed", started_at, options: { rank: 8, epochs: 1 } }), job("jb_3", { name: "three", state: "created", actions: ["clone"] })];
    host.answer("jobs.get", ({ job: id }) => jobs.find((one) => one.id === id));
    host.answer("jobs.metrics", ({ job: id }) => points(id === "jb_1" ? 5 : 8, 3));
    host.answer("jobs.statistics", () => STATISTICS);
    host.answer("tasks.list", () => page({ name: "training-v0", schema: { properties: { rank: { title: "LoRA rank" } } } }));
  });

  it("begins with two jobs of those that have started", async () => {
    await shown();
    expect(el.querySelector<HTMLElement>('[aria-label="Compare three"]')!.hidden).toBe(true);
    check("one");
    expect(bar().textContent).toContain("Chosen: one. Choose another one to compare it with.");
    expect(button("Compare charts").disabled).toBe(true);
    check("two");
    button("Compare charts").click();
    await settled();
    expect(host.asks("view.here").at(-1)).toEqual({ title: "Compare jobs", start: { compare: "jb_1,jb_2" } });
    expect(host.asks("jobs.metrics")).toEqual([{ job: "jb_1", points: 2000 }, { job: "jb_2", points: 2000 }]);
  });

  it("shows the curves of all in each chart, along steps or time, and in what the jobs differ", async () => {
    host.answer("view.start", () => ({ compare: "jb_1,jb_2" }));
    await shown();
    await settled(200);
    const charts = (): HTMLElement[] => [...el.querySelectorAll<HTMLElement>(".ady-chart")].filter(({ hidden }) => !hidden);
    expect(charts().map((chart) => chart.querySelector(".title")!.textContent)).toEqual(["Loss", "Eval loss", "Learning rate", "Epoch", "Step epoch", "Margin"]);
    expect(charts()[0]!.querySelector("[role=img]")!.getAttribute("aria-label")).toBe("one: 3 at step 1, now 2.6 at step 5, lowest 2.6 at step 5. two: 3 at step 1, now 2.3 at step 8, lowest 2.3 at step 8.");
    const rows = (): string[] => [...el.querySelectorAll(".differences tbody tr")].map((row) => [...row.children].map(({ textContent }) => textContent).join("|"));
    expect(rows()).toContain("LoRA rank|4|8");
    expect(rows().join()).not.toContain("Epochs");
    const same = el.querySelector<HTMLInputElement>(".comparison input[type=checkbox]")!;
    same.click();
    expect(rows()).toContain("Epochs|1|1");
    expect(rows()).toContain("Waited|12 s|12 s");
    button("By time").click();
    await settled(200);
    expect(charts()[0]!.querySelector("[role=img]")!.getAttribute("aria-label")).toContain("now 2.3 at minute 7");
    button("← All jobs").click();
    await settled();
    expect(rowsOf("Completed")).toHaveLength(2);
  });

  it("compares options of two tasks by the field that they go into, and says no difference of equal values", async () => {
    const started_at = "2026-03-01T11:00:00Z";
    jobs = [job("jb_1", { name: "one", state: "completed", started_at, options: { rank: 4, epochs: 1 } }), job("jb_2", { name: "two", task: "sft", state: "completed", started_at, options: { lora_rank: 4, num_train_epochs: 2 } })];
    const task = (name: string, rank: string, epochs: string): object => ({ name, schema: { properties: { [rank]: { title: `Rank of ${name}`, into: "lora.rank" }, [epochs]: { title: "Epochs", into: "optim.epochs" } } } });
    host.answer("tasks.list", () => page(task("training-v0", "rank", "epochs"), task("sft", "lora_rank", "num_train_epochs")));
    host.answer("view.start", () => ({ compare: "jb_1,jb_2" }));
    await shown();
    await settled(200);
    const rows = (): string[] => [...el.querySelectorAll(".differences tbody:first-of-type tr")].map((row) => [...row.children].map(({ textContent }) => textContent).join("|"));
    expect(rows().slice(1)).toEqual(["Task|training-v0|sft", "Epochs|1|2"]);
    el.querySelector<HTMLInputElement>(".comparison input[type=checkbox]")!.click();
    expect(rows()).toContain("Rank of training-v0|4|4");
  });

  it("takes no more jobs than can be told apart", async () => {
    jobs = Array.from({ length: 7 }, (_, at) => job(`jb_${at}`, { name: `job-${at}`, state: "completed" }));
    await shown();
    for (let at = 0; at < 7; at++) check(`job-${at}`);
    expect(el.querySelectorAll(".named input:checked")).toHaveLength(6);
    expect(bar().textContent).toContain("No more can be compared at once.");
    button("Clear").click();
    expect(bar().hidden).toBe(true);
    expect(el.querySelectorAll(".named input:checked")).toHaveLength(0);
  });
});
