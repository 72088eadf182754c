// @vitest-environment happy-dom
import { reportWords } from "../../src/curate/export";
import { describe, expect, it } from "vitest";
import { fieldWords } from "../../src/curate/diff";
import { eventually, page } from "../support/scripted-host";
import { button, DATASET, item, NOW, press, shown, VERSION } from "./shown";

const SECOND = { ...VERSION, id: "dv_2", number: 2, name: "@demo/visits@2" };
const WITHDRAWN = { ...VERSION, state: "withdrawn", reason: "Phone numbers.", withdrawn_at: NOW };
const before = { kind: "chat", messages: [{ role: "user", content: "q" }, { role: "assistant", content: "Call 555." }] };
const DIFF = {
  before: "@demo/visits@1",
  after: "@demo/visits@2",
  counts: { added: 0, removed: 0, changed: 1, same: 289 },
  has_more: false,
  items: [{ id: "1", change: "changed", before, after: before, before_position: 3, after_position: 3, words: [{ where: "messages[1].content", pieces: [{ change: "same", text: "Call " }, { change: "removed", text: "555" }, { change: "added", text: "us" }] }] }],
};
const GRAPH = {
  truncated: false,
  edges: [{ source: "dv_2", target: "jb_1" }, { source: "jb_1", target: "ad_1" }],
  nodes: [["dv_2", "version", "@demo/visits@2"], ["jb_1", "job", "soap"], ["ad_1", "adapter", "@demo/soap"]].map(([id, kind, name]) => ({ id, kind, name, state: null, digest: null, records: null, created_at: null, merged: null })),
};
const STORE = { kind: "filesystem", level: "integrity checked", why: "A change is noticed.", checked_at: NOW, checks: [{ name: "reader: overwrite", held: false, needed: true, found: "it was written" }] };

const script = (more: object = {}): Parameters<typeof shown>[0] => ({
  "versions.list": () => page(VERSION, SECOND),
  "versions.records": () => page(item(1)),
  "versions.diff": () => DIFF,
  "versions.provenance": () => GRAPH,
  "stores.get": () => STORE,
  ...more,
});

async function details(el: HTMLElement, name: string): Promise<void> {
  await press(el, "Versions");
  await press(el, `Details of ${name}`);
}

describe("the versions", () => {
  it("say how well their place guards them", async () => {
    const { el } = shown(script());
    await press(el, "Versions");
    await eventually(() => el.querySelector(".store summary")?.textContent?.includes("on the service's own disk: integrity checked A change is noticed."));
    expect(el.querySelector(".store tbody")!.textContent).toBe("reader: overwrite✗ went throughit was written");
  });

  it("that are withdrawn are marked, say why, and are not trained on", async () => {
    const { el } = shown(script({ "versions.list": () => page(WITHDRAWN) }));
    await press(el, "Versions");
    await eventually(() => el.querySelector(".versions .chip.withdrawn")?.textContent === "withdrawn");
    expect(() => button(el, "Train on it: @demo/visits@1")).toThrow();
    await press(el, "Details of @demo/visits@1");
    expect(el.querySelector(".details .notice")?.textContent).toContain("Phone numbers.");
    expect(() => button(el, "Withdraw @demo/visits@1")).toThrow();
  });

  it("are withdrawn with a reason", async () => {
    const { el, host } = shown(script({ "versions.withdraw": () => WITHDRAWN }));
    await details(el, "@demo/visits@1");
    await press(el, "Withdraw @demo/visits@1");
    expect(button(el, "Withdraw it").disabled).toBe(true);
    const reason = el.querySelector<HTMLTextAreaElement>("dialog textarea")!;
    reason.value = "Phone numbers.";
    reason.dispatchEvent(new Event("input"));
    await press(el, "Withdraw it");
    await eventually(() => host.asks("versions.withdraw").length === 1);
    expect(host.asks("versions.withdraw")[0]).toEqual({ version: "dv_1", reason: "Phone numbers." });
  });

  it("are compared word by word", async () => {
    const { el, host } = shown(script());
    await details(el, "@demo/visits@2");
    await press(el, "Changes");
    await eventually(() => el.querySelector(".diff p")?.textContent === "Since @demo/visits@1: 0 added, 0 removed, 1 changed, 289 as before.");
    expect([...el.querySelectorAll(".diff del, .diff ins")].map(({ textContent }) => textContent)).toEqual(["555", "us"]);
    expect(host.asks("versions.diff")).toEqual([{ version: "dv_2", from: "dv_1", limit: 20 }]);
  });

  it("lead to the adapters that learnt from them", async () => {
    const { el, host } = shown(script());
    await details(el, "@demo/visits@2");
    await press(el, "Lineage");
    await eventually(() => el.querySelector(".facts")?.textContent?.includes("Went into: job soap, adapter @demo/soap."));
    el.querySelector<HTMLElement>(".node.adapter")!.click();
    await press(el, "Chat with @demo/soap");
    expect(host.asks("view.open")).toEqual([{ view: "chat", start: { model: "@demo/soap" } }]);
  });

  it("are merged from others, each with how much of it", async () => {
    const operation = { id: "op_1", kind: "merge", state: "completed", progress: 1, done: 1, total: 1, result: { version: SECOND }, error: null };
    const { el, host } = shown(script({ "versions.merge": () => operation, "operations.events": () => [operation], "operations.get": () => operation }));
    await press(el, "Versions");
    await press(el, "Merge versions …");
    const selects = (): HTMLSelectElement[] => [...el.querySelectorAll<HTMLSelectElement>("dialog select")];
    await eventually(() => selects().length > 2);
    selects()[0]!.value = "ds_1";
    selects()[0]!.dispatchEvent(new Event("change"));
    await eventually(() => selects()[1]!.options.length === 2);
    const weight = el.querySelector<HTMLInputElement>("dialog input[type=number]")!;
    weight.value = "0.5";
    await press(el, "Merge");
    await eventually(() => el.querySelector(".versions .work")?.textContent?.includes("Merged into @demo/visits@2."));
    expect(host.asks("versions.merge")).toEqual([{ dataset: "ds_1", sources: [{ version: "dv_2", weight: 0.5, seed: 0 }] }]);
  });
});

describe("a policy", () => {
  it("that blocks publishing says what it waits for, and leads there", async () => {
    const error = { code: "conflict", detail: "The policy does not let it be published.", errors: [{ where: "pii", reason: "holds 3 findings.", remedy: "Review it." }] };
    const failed = { id: "op_1", kind: "publish", state: "failed", progress: 0, done: 0, total: null, result: null, error };
    const { el } = shown(script({ "versions.publish": () => failed, "operations.events": () => [failed], "operations.get": () => failed }));
    await press(el, "Publish");
    el.querySelector<HTMLButtonElement>("dialog .main")!.click();
    await eventually(() => el.querySelector(".publishing [role=alert]")?.textContent?.includes("Personal data: it holds 3 findings. Review it."));
    await press(el, "Open the review");
    expect(el.querySelector("[role=tab][aria-selected=true]")?.textContent).toBe("Review");
  });
});

describe("a dataset that is erased", () => {
  it("needs its name, and says what remains", async () => {
    const erasure = { dataset: "@demo/visits", key_destroyed: true, records: 300, files: 1, versions: ["@demo/visits@1"], objects: 4, bytes: 5000, remains: [{ kind: "adapter", name: "@demo/soap", why: "It learnt from it. Delete it by hand.", until: null }] };
    const operation = { id: "op_1", kind: "erase", state: "completed", progress: 1, done: 1, total: 1, result: { erasure }, error: null };
    const { el, host } = shown(script({ "datasets.erase": () => operation, "operations.events": () => [operation], "operations.get": () => operation }));
    await press(el, "Remove visits");
    await eventually(() => el.querySelector("dialog input"));
    const name = el.querySelector<HTMLInputElement>("dialog input")!;
    name.value = DATASET.full_name;
    name.dispatchEvent(new Event("input"));
    await press(el, "Erase it");
    await eventually(() => el.textContent?.includes("Erased @demo/visits."));
    expect(host.asks("datasets.erase")).toEqual([{ dataset: "ds_1", name: "@demo/visits" }]);
    expect(el.querySelector("table")!.textContent).toContain("adapter@demo/soapIt learnt from it.");
  });
});

it("says that splits are together in one file", () => {
  const report = { records: 3, dropped: {}, escaped_cells: 0, refused: 0, splits: { train: 2, test: 1 } };
  expect(reportWords({ ...report, together: true })[0]).toContain("Its splits (train 2, test 1) are together in one file");
  expect(reportWords({ ...report, together: false })).toEqual(["It holds all of its 3 records."]);
});

it("names the places of a record in words", () => {
  expect(["messages[0].content", "messages[1].tool_calls", "chosen.content", "text"].map(fieldWords)).toEqual(["Message 1", "Message 2, tool calls", "Chosen", "Text"]);
});

describe("an export", () => {
  it("says what the format had no place for", async () => {
    const report = { records: 290, dropped: { weight: 12 }, escaped_cells: 0, refused: 1 };
    const { el, host } = shown(script({ "versions.export": () => [{ received: 1000, total: null }, { name: "visits-1.alpaca.jsonl", bytes: 2000, report }] }));
    await details(el, "@demo/visits@1");
    await press(el, "Export @demo/visits@1");
    await press(el, "Download");
    await eventually(() => el.querySelector(".details > p")?.textContent === "Downloaded visits-1.alpaca.jsonl. Left out: weight (12 records). 1 record does not fit into this format.");
    expect(host.asks("versions.export")).toEqual([{ version: "dv_1", format: "alpaca", container: "jsonl" }]);
  });
});
