// @vitest-environment happy-dom
import { describe, expect, it } from "vitest";
import { eventually, page } from "../support/scripted-host";
import { button, DATASET, NOW, press, shown } from "./shown";

const edit = (id: string, editor: string, more: object = {}): object => ({ id, at: NOW, editor, action: "remove", record: id, before: null, after: null, undone: false, batch: null, records: 1, forgotten: false, ...more });

function choose(el: HTMLElement, label: string, value: string): void {
  const field = [...el.querySelectorAll("label")].find((one) => one.textContent!.startsWith(label))!.querySelector("select")!;
  field.value = value;
  field.dispatchEvent(new Event("change"));
}

describe("records by the hundred", () => {
  it("are filtered, and what is set can be seen and taken away", async () => {
    const { el, host } = shown();
    await press(el, "Filters");
    choose(el, "Flag", "short");
    await eventually(() => host.asks("records.list").at(-1)?.flag === "short");
    await press(el, "Take the filter away: flag: short answer");
    await eventually(() => host.asks("records.list").at(-1)?.flag === undefined);
  });

  it("that fit are removed together, after a question", async () => {
    const running = { id: "op_1", kind: "bulk", state: "running", progress: 0.5, done: 150, total: 300, result: null, error: null };
    const ended = { ...running, state: "completed", result: { changed: 300, passed_over: 0, edit: "9" } };
    const { el, host } = shown({ "records.bulk": () => running, "operations.events": () => [running, ended], "operations.get": () => ended });
    await press(el, "Filters");
    choose(el, "Kind", "chat");
    await eventually(() => el.querySelector(".bulk:not([hidden])")?.textContent?.startsWith("All 300 that fit:"));
    el.querySelector<HTMLButtonElement>(".bulk .danger")!.click();
    await press(el, "Remove them");
    await eventually(() => el.querySelector(".records .tools")?.textContent?.includes("Removed 300 records. Undo brings them back."));
    expect(host.asks("records.bulk")).toEqual([{ dataset: "ds_1", action: "remove", filter: { kind: "chat" } }]);
  });

  it("are picked with the mouse and the space bar", async () => {
    const { el, host } = shown({ "records.bulk": () => ({ changed: 3, passed_over: 0, edit: "9" }) });
    const pick = (row: number): HTMLElement => el.querySelector<HTMLElement>(`.rows > [aria-rowindex="${row + 1}"] > .pick`)!;
    await eventually(() => pick(4)?.textContent === "☐");
    pick(2).click();
    pick(3).dispatchEvent(new MouseEvent("click", { bubbles: true, shiftKey: true }));
    const grid = el.querySelector<HTMLElement>("[role=grid]")!;
    grid.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown" }));
    grid.dispatchEvent(new KeyboardEvent("keydown", { key: " " }));
    expect([2, 3, 4, 5].map((row) => pick(row).getAttribute("aria-label"))).toEqual(["picked", "picked", "picked", "not picked"]);
    expect(el.querySelector(".panel:not([hidden])")).toBeNull();
    const split = el.querySelector<HTMLSelectElement>(".bulk select")!;
    split.value = "test";
    split.dispatchEvent(new Event("change"));
    await eventually(() => host.asks("records.bulk").length === 1);
    expect(host.asks("records.bulk")[0]).toEqual({ dataset: "ds_1", action: "split", split: "test", records: ["2", "3", "4"] });
    await eventually(() => el.querySelector(".bulk")!.hasAttribute("hidden"));
  });

  it("cannot be picked by who only reads", async () => {
    const { el } = shown({ "datasets.get": () => ({ ...DATASET, right: "view" }) });
    await eventually(() => el.querySelector(".rows > .cells"));
    expect(el.querySelector(".pick")).toBeNull();
  });
});

describe("the history", () => {
  it("undoes a batch of one's own, restores what others removed, and shows what changed", async () => {
    const text = (content: string): object => ({ kind: "text", text: content });
    const edits = [edit("3", "@demo", { record: null, records: 34, batch: "review" }), edit("2", "@ana"), edit("1", "@ana", { action: "replace", before: text("three days"), after: text("five days") })];
    const { el, host } = shown({
      "edits.list": () => page(...edits),
      "edits.undo": () => ({ edit: edits[0], record: null, changed: 33, passed_over: 1 }),
      "records.restore": () => ({}),
    });
    const history = el.querySelector.bind(el, ".history ol") as () => HTMLElement;
    await eventually(() => history()?.children.length === 3);
    [...history().querySelectorAll("button")].find(({ textContent }) => textContent === "Undo")!.click();
    await eventually(() => el.querySelector(".records .tools")?.textContent?.includes("Undid: removed 34 records. 1 record changed since by others stays so."));
    expect(host.asks("edits.undo")).toEqual([{ dataset: "ds_1", edit: "3" }]);
    await press(el, "Restore record 2");
    await eventually(() => host.asks("records.restore").length === 1);
    expect(host.asks("records.restore")[0]).toEqual({ dataset: "ds_1", position: "2" });
    const details = history().querySelector("details")!;
    details.open = true;
    details.dispatchEvent(new Event("toggle"));
    expect([...details.querySelectorAll("del, ins")].map(({ textContent }) => textContent)).toEqual(["three", "five"]);
  });
});

describe("splits", () => {
  const operation = { id: "op_1", kind: "split", state: "completed", progress: 1, done: 1, total: 1, result: {}, error: null };

  it("are made by share, seed and what stays together", async () => {
    const { el, host } = shown({
      "splits.make": () => operation,
      "operations.events": () => [operation],
      "operations.get": () => operation,
      "splits.get": () => ({ splits: [{ split: "train", records: 240, share: 0.8 }, { split: "test", records: 60, share: 0.2 }], recipe: { seed: 7 }, groups: 200 }),
    });
    await press(el, "Splits");
    await eventually(() => el.querySelector(".counts")?.textContent?.includes("Train 240 records, 80%"));
    const fields = [...el.querySelectorAll<HTMLInputElement>("form.card input[type=number]")];
    ["60", "40", "7"].forEach((value, index) => {
      fields[index]!.value = value;
      fields[index]!.dispatchEvent(new Event("input"));
    });
    expect(button(el, "Split").disabled).toBe(true);
    fields[1]!.value = "20";
    fields[1]!.dispatchEvent(new Event("input"));
    choose(el, "Kept together by", "field:user");
    el.querySelector("form.card")!.dispatchEvent(new Event("submit"));
    await eventually(() => host.asks("splits.make").length === 1);
    expect(host.asks("splits.make")[0]).toEqual({ dataset: "ds_1", validation: 0.6, test: 0.2, seed: 7, group_by: "field:user", only_new: false });
  });

  it("that leak say where", async () => {
    const leak = { id: "1", kind: "exact", here: { source: null, id: "3", split: "train" }, there: { source: null, id: "9", split: "test" }, similarity: null };
    const { el } = shown({ "leaks.list": () => ({ items: [leak], has_more: false, report: { checked_at: NOW, records: 300, counts: [{ kind: "exact", source: null, records: 1 }], left_out: 0 } }) });
    await press(el, "Splits");
    await eventually(() => el.querySelector(".leaks .finding")?.textContent?.includes("Record 3 (train)↔Record 9 (test)"));
    await press(el, "Compare record 3 and 9");
    await eventually(() => el.querySelectorAll(".leaks .both > div").length === 2);
  });
});
