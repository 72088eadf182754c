// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HostError } from "../../src/host/host";
import { type Report, secondsWords } from "../../src/train/report";
import { Field } from "../../src/parts/field";
import { Preflight } from "../../src/train/preflight";
import type { Wanted } from "../../src/train/wanted";
import { eventually, ScriptedHost } from "../support/scripted-host";

const REPORT: Report = {
  template: "model", records: 20, held_out: 0, examples: 20, cut: 2, dropped_cut: 1, dropped_empty: 0, tokens: 4000, target_tokens: 1000, longest: 700, mean: 200,
  lengths: [{ start: 1, end: 512, records: 18 }, { start: 513, end: 1024, records: 2 }],
  padding_share: 0.04, steps: 15, steps_per_epoch: 5, total_tokens: 12_000,
  seconds: { low: 60, high: 130, basis: "measured on 3 jobs of this base model" },
  memory_bytes: { need: 2e9, limit: 16e9, basis: "computed from the model's size" },
  disk_bytes: 4e8,
  warnings: [{ where: "options.rank", reason: "is large for 20 records", remedy: "try 8" }],
};
const UNKNOWN: Report = { ...REPORT, seconds: { low: null, high: null, basis: "no job of this base model has run yet" }, memory_bytes: { need: null, limit: 16e9, basis: "" }, warnings: [], lengths: [] };
const operation = (state: string, result: unknown = null): object => ({ id: "op_1", kind: "preflight", state, progress: 0.5, done: 10, total: 20, result, error: null });

let host: ScriptedHost;
let preflight: Preflight;
let wanted: Wanted | null;
let refused: unknown[];
const rank = new Field("options.rank", "LoRA rank", document.createElement("input"));
const life = new AbortController();
afterEach(() => document.body.replaceChildren());

beforeEach(() => {
  wanted = { task: "t", name: "a", dataset: "dv_1", options: { cutoff_len: 512 } };
  refused = [];
  host = new ScriptedHost({
    "jobs.preflight": () => operation("running"),
    "operations.get": () => operation("completed", REPORT),
    "operations.events": () => [],
    "operations.cancel": () => operation("cancelled"),
  });
  preflight = new Preflight(host, life.signal, { complete: () => wanted, wanted: () => wanted!, fields: () => [rank], refused: (error) => refused.push(error) });
  document.body.replaceChildren(rank.element, preflight.element);
});

const said = (): string => preflight.element.textContent!;
const button = (words: string): HTMLButtonElement => [...preflight.element.querySelectorAll("button")].find(({ textContent }) => textContent === words)!;
const stale = (): boolean => !preflight.element.querySelector<HTMLElement>(".warn[role=status]")!.hidden;

async function run(): Promise<void> {
  button("Run the pre-flight").click();
  await eventually(() => preflight.element.querySelector(".tile"));
}

describe("a pre-flight", () => {
  it("says what a job would come to, what stands against it, and leads to the field", async () => {
    await run();
    expect(host.asks("jobs.preflight")).toEqual([{ task: "t", dataset: "dv_1", options: { cutoff_len: 512 } }]); // the name changes nothing
    for (const words of ["15", "5 in an epoch", "1 min to 3 min", "Measured on 3 jobs of this base model.", "2 GB of 16 GB", "25% of them learnt from", "2 cut, 1 dropped", "Is large for 20 records. Try 8."]) expect(said()).toContain(words);
    expect(preflight.element.querySelector("[role=img]")!.getAttribute("aria-label")).toContain("with a cutoff at 512");
    expect(preflight.element.querySelectorAll(".bars > .cut")).toHaveLength(1);
    button("Go to LoRA rank").click();
    expect(document.activeElement).toBe(rank.control);
  });

  it("points to a cutoff that lies beyond all examples", async () => {
    await run();
    expect(preflight.element.querySelector(".cutoff")!.textContent).toBe("cutoff 512");
    wanted = { ...wanted!, options: { cutoff_len: 2048 } };
    button("Run it again").click();
    await eventually(() => preflight.element.querySelector(".cutoff")!.textContent === "cutoff 2,048 →");
  });

  it("does not dress up what nobody knows", async () => {
    host.answer("operations.get", () => operation("completed", UNKNOWN));
    await run();
    expect(said()).toContain("Timenot knownNo job of this base model has run yet.");
    expect(said()).toContain("Nothing stands against it.");
    expect(secondsWords({ low: 61, high: 70, basis: "" })).toBe("about 2 min");
  });

  it("is out of date once the form says something else, and no longer when it is as before", async () => {
    await run();
    expect(stale()).toBe(false);
    const before = wanted!;
    wanted = { ...before, options: { cutoff_len: 256 } };
    preflight.changed();
    expect(stale()).toBe(true);
    wanted = { ...before, name: "another" };
    preflight.changed();
    expect(stale()).toBe(false);
  });

  it("asks nothing of an incomplete form, and hands on what the service refuses", async () => {
    const complete = wanted;
    wanted = null;
    button("Run the pre-flight").click();
    expect(host.asks("jobs.preflight")).toEqual([]);
    wanted = complete;
    const no = new HostError("spec_invalid", "No.", null, []);
    host.answer("jobs.preflight", () => {
      throw no;
    });
    button("Run the pre-flight").click();
    await eventually(() => refused.length);
    expect(refused).toEqual([no]);
    expect(button("Run the pre-flight").getAttribute("aria-disabled")).toBe("false");
  });

  it("can be cancelled", async () => {
    let state = "running";
    host.answer("operations.get", () => operation(state));
    host.answer("operations.cancel", () => operation((state = "cancelled")));
    button("Run the pre-flight").click();
    await eventually(() => button("Cancel"));
    expect(button("Run the pre-flight").getAttribute("aria-disabled")).toBe("true");
    button("Cancel").click();
    await eventually(() => said().includes("The pre-flight was cancelled."));
    expect(host.asks("operations.cancel")).toEqual([{ operation: "op_1" }]);
  });
});

describe("the first batch", () => {
  const token = (text: string, weight: number): object => ({ text, weight });

  it("is shown token by token, with what is learnt from marked as one", async () => {
    host.answer("jobs.first-batch", () => ({ rows: [{ record: 7, tokens: [token("Hi", 0), token("\n", 0), token("a", 1), token("b", 1), token(".", 0.5)], cut: true, shown: false }, ...Array.from({ length: 2 }, () => ({ record: 8, tokens: [], cut: false, shown: true }))] }));
    await run();
    button("Show the first batch").click();
    await eventually(() => preflight.element.querySelector(".tokens"));
    const [first, , third] = preflight.element.querySelectorAll(".batch details");
    expect(first!.querySelector("summary")!.textContent).toBe("Record 7: 5 tokens, 60% learnt from, its end is cut off");
    expect([...first!.querySelectorAll(".tokens > *")].map(({ tagName, textContent }) => [tagName, textContent])).toEqual([["SPAN", "Hi⏎\n"], ["MARK", "ab"], ["MARK", "."]]);
    expect(first!.textContent).toContain("too many tokens to show all");
    expect(third!.querySelector(".tokens")).toBeNull(); // folded: not drawn
  });

  it("folds the middle of what is only read, so that what is learnt is in sight", async () => {
    const prompt = Array.from({ length: 100 }, (_, at) => token(`${at} `, 0));
    host.answer("jobs.first-batch", () => ({ rows: [{ record: 7, tokens: [...prompt, token("answer", 1)], cut: false, shown: true }] }));
    await run();
    button("Show the first batch").click();
    await eventually(() => preflight.element.querySelector(".tokens"));
    const shown = (): string => preflight.element.querySelector(".tokens")!.textContent!;
    expect(shown()).toMatch(/ 15 … 68 tokens84 .* 99 answer$/);
    button("… 68 tokens").click();
    expect(shown()).toBe(`${prompt.map((_, at) => `${at} `).join("")}answer`);
  });

  it("says of several datasets which one a record is of, or that they are counted in a row", async () => {
    wanted = { task: "t", name: "a", datasets: ["dv_1", "dv_2"] };
    const row = { record: 68, tokens: [token("a", 1)], cut: false, shown: true };
    host.answer("jobs.first-batch", () => ({ rows: [{ ...row, dataset: "@demo/visits@2" }, row] }));
    await run();
    button("Show the first batch").click();
    await eventually(() => preflight.element.querySelector(".tokens"));
    expect([...preflight.element.querySelectorAll(".batch summary")].map(({ textContent }) => textContent!.split(":")[0])).toEqual(["Record 68 of @demo/visits@2", "Record 68 of all datasets in a row"]);
  });

  it("is not for whoever may train on the data but not read them", async () => {
    host.answer("jobs.first-batch", () => {
      throw new HostError("not_allowed", "You may not read this.");
    });
    await run();
    button("Show the first batch").click();
    await eventually(() => said().includes("you may train on them only"));
    expect(refused).toEqual([]);
  });
});
