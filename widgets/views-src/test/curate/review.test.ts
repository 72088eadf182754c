// @vitest-environment happy-dom
import { cutAt, cutPlace, cutShare } from "../../src/parts/histogram";
import { type Answer, eventually, page } from "../support/scripted-host";
import { button, DATASET, item, NOW, press, shown } from "./shown";
import { describe, expect, it } from "vitest";

const queue = (name: string, more: object = {}): object => ({ queue: name, analysed_at: NOW, open: 0, decided: 0, stale: 0, rules: {}, left_out: 0, languages: {}, options: { threshold: 0.5 }, ...more });
const QUEUES = [
  queue("exact", { open: 1 }),
  queue("near", { open: 2, stale: 3 }),
  queue("phrases", { open: 1 }),
  queue("pii", { open: 30, rules: { phone: 20, name: 10 } }),
  queue("quality"),
  queue("language"),
  queue("lengths", { analysed_at: null }),
];
const record = (answer: string): object => ({ kind: "chat", messages: [{ role: "user", content: "How long?" }, { role: "assistant", content: answer }] });
const place = (id: string, answer: string, similarity: number | null = null, dataset: string | null = null): object => ({ dataset, id, record_id: null, record: record(answer), similarity });
const finding = (id: string, name: string, more: object): object => ({ id, queue: name, rule: "record", state: "open", count: 1, occurrences: null, records: [], excerpt: null, replacement: null, decided: null, ...more });
const PHONE = finding("f1", "pii", { rule: "phone", records: [place("7", "Call 555-0199.")], excerpt: { before: "Call ", match: "555-0199", after: "." }, replacement: "[PHONE]" });
const NEAR = finding("f2", "near", { count: 3, records: [place("4", "For three days.", 1), place("8", "For five days.", 0.8), place("9", "For days on end.", 0.4)] });
const ELSEWHERE = finding("f3", "near", { count: 2, records: [place("2", "For two days.", null, "ds_2"), place("5", "For two days!", 0.9)] });

const script = (findings: Record<string, object[]>, more: Record<string, Answer> = {}): Record<string, Answer> => ({
  "review.get": () => ({ queues: QUEUES }),
  "review.list": ({ queue: name, state }) => ({ ...(page(...(state === "open" ? (findings[String(name)] ?? []) : [])) as object), total: findings[String(name)]?.length ?? 0 }),
  "review.decide": () => ({ decided: 1, changed_records: 1, skipped: 0, batch: "b1" }),
  "review.undo": () => ({ reopened: 1, changed_records: 1 }),
  ...more,
});

async function open(el: HTMLElement, title: string): Promise<void> {
  await press(el, "Review");
  await eventually(() => [...el.querySelectorAll(".queue-button strong")].some(({ textContent }) => textContent === title));
  [...el.querySelectorAll<HTMLElement>(".queue-button")].find((one) => one.textContent!.startsWith(title))!.click();
}

describe("the review", () => {
  it("says how each queue is", async () => {
    const { el } = shown(script({}));
    await press(el, "Review");
    await eventually(() => el.querySelector(".review .tools")?.textContent?.includes("34 findings to decide about."));
    const words = [...el.querySelectorAll(".queue-button")].map(({ textContent }) => textContent);
    expect(words[1]).toBe("Near duplicates2 open · 0 decided3 changed since");
    expect(words[6]).toBe("Lengthsnot counted yet");
  });

  it("is run with what was chosen, can be cancelled, and shows what it found", async () => {
    const operation = { id: "op_1", kind: "review", state: "running", progress: 0.5, done: 10, total: 20, result: null, error: null };
    const { el, host } = shown(
      script({}, { "review.run": () => operation, "operations.events": () => [operation, { ...operation, state: "completed", result: {} }], "operations.get": () => ({ ...operation, state: "completed", result: {} }) }),
    );
    await press(el, "Review");
    await press(el, "Run it again");
    const ticks = (): HTMLInputElement[] => [...el.querySelectorAll<HTMLInputElement>("dialog .checks input")];
    await eventually(() => ticks().length > 0);
    ticks()[0]!.checked = false;
    await press(el, "Run");
    await eventually(() => host.asks("review.run").length === 1);
    expect(host.asks("review.run")[0]).toMatchObject({ dataset: "ds_1", queues: ["near", "phrases", "pii", "quality", "language"], options: { threshold: 0.8, phrase_words: 5 }, against: [] });
    await eventually(() => el.querySelector(".queue h3")?.textContent === "Exact duplicates");
    expect(host.asks("view.here").map(({ start }) => start)).toContainEqual({ dataset: "ds_1", tab: "review", operation: "op_1" });
  });

  it("offers a reader nothing to decide", async () => {
    const { el } = shown(script({ pii: [PHONE] }, { "datasets.get": () => ({ ...DATASET, right: "view" }) }));
    await open(el, "Personal data");
    await eventually(() => el.querySelector("mark"));
    for (const name of ["Replace by [PHONE]", "Run it again", "Replace all"]) expect(() => button(el, name)).toThrow();
  });
});

describe("personal data", () => {
  it("is marked where it stands, and replaced", async () => {
    const { el, host } = shown(script({ pii: [PHONE] }));
    await open(el, "Personal data");
    await eventually(() => el.querySelector("mark")?.textContent === "555-0199");
    await press(el, "Replace by [PHONE]");
    await eventually(() => el.querySelector(".queue")?.textContent?.includes("1 finding decided, 1 record changed."));
    expect(host.asks("review.decide")).toEqual([{ dataset: "ds_1", queue: "pii", findings: ["f1"], decision: "accept" }]);
    await press(el, "Undo your last decision in this queue");
    await eventually(() => el.querySelector(".queue")?.textContent?.includes("Undone: 1 finding open again"));
  });

  it("is replaced by what the reader writes", async () => {
    const { el, host } = shown(script({ pii: [PHONE] }));
    await open(el, "Personal data");
    await press(el, "Replace by …");
    const field = el.querySelector<HTMLInputElement>(".finding input[type=text]")!;
    field.value = "the office";
    await press(el, "Replace");
    await eventually(() => host.asks("review.decide").length === 1);
    expect(host.asks("review.decide")[0]).toMatchObject({ decision: "replace", replacement: "the office" });
  });

  it("is decided all at once, of one kind, after a question", async () => {
    const { el, host } = shown(script({ pii: [PHONE, { ...PHONE, id: "f9" }] }));
    await open(el, "Personal data");
    await eventually(() => el.querySelectorAll(".finding").length === 2);
    const rule = el.querySelectorAll<HTMLSelectElement>(".queue select")[1]!;
    rule.value = "phone";
    rule.dispatchEvent(new Event("change"));
    await press(el, "Ignore all: phone number");
    await eventually(() => el.querySelector("dialog")?.textContent?.includes("2 findings at once"));
    el.querySelector<HTMLButtonElement>("dialog .danger")!.click();
    await eventually(() => host.asks("review.decide").length === 1);
    expect(host.asks("review.decide")[0]).toEqual({ dataset: "ds_1", queue: "pii", all: true, rule: "phone", decision: "ignore" });
  });
});

describe("near duplicates", () => {
  it("stand side by side with the words that differ; what is not alike to the first one stays", async () => {
    const { el, host } = shown(script({ near: [NEAR] }));
    await open(el, "Near duplicates");
    await eventually(() => el.querySelector(".comparison del")?.textContent === "three");
    expect(el.querySelector(".comparison ins")?.textContent).toBe("five");
    const ticks = [...el.querySelectorAll<HTMLInputElement>(".keeper input")];
    expect(ticks.map(({ checked }) => checked)).toEqual([true, false, true]);
    ticks[2]!.click();
    await press(el, "Drop 2, keep 1");
    await eventually(() => host.asks("review.decide").length === 1);
    expect(host.asks("review.decide")[0]).toMatchObject({ findings: ["f2"], decision: "drop", keep: ["4"] });
  });

  it("of another dataset may go here altogether", async () => {
    const { el, host } = shown(script({ near: [ELSEWHERE] }));
    await open(el, "Near duplicates");
    await press(el, "Drop 1 here");
    await eventually(() => host.asks("review.decide").length === 1);
    expect(host.asks("review.decide")[0]).toEqual({ dataset: "ds_1", queue: "near", findings: ["f3"], decision: "drop" });
  });

  it("lead to the record itself", async () => {
    const { el } = shown(script({ near: [NEAR] }, { "records.get": ({ position }) => item(Number(position)) }));
    await open(el, "Near duplicates");
    await press(el, "Show record 8");
    await eventually(() => el.querySelector(".records .panel h3")?.textContent === "Record 8");
    expect(el.querySelector("[role=tab][aria-selected=true]")?.textContent).toBe("Records");
  });
});

describe("lengths", () => {
  const bins = [{ start: 0, end: 99, records: 5 }, { start: 100, end: 199, records: 3 }];
  const lengths = { base_model: "small", tokenizer: "exact", cutoff: 150, analysed_at: NOW, stale: 0, records: 8, tokens: 800, median: 90, p95: 180, max: 190, bins, records_cut: 2, tokens_cut: 60 };

  it("say what a cutoff takes, and ask again as it is moved", async () => {
    const { el, host } = shown(script({}, { "review.lengths": ({ cutoff }) => ({ ...lengths, cutoff: cutoff ?? 150, records_cut: cutoff ? 0 : 2 }), "base-models.list": () => page({ name: "small", default: true }) }));
    await open(el, "Lengths");
    await eventually(() => el.querySelector(".queue")?.textContent?.includes("A cutoff of 150 tokens cuts 2 records (25%) and 60 tokens (8%)."));
    const slider = el.querySelector<HTMLInputElement>("input[type=range]")!;
    slider.value = "955"; // along the bars, per mille
    slider.dispatchEvent(new Event("input"));
    await eventually(() => el.querySelector(".queue")?.textContent?.includes("A cutoff of 190 tokens cuts nothing."));
    expect(host.asks("review.lengths").at(-1)).toEqual({ dataset: "ds_1", cutoff: 190 });
  });

  it("have a line where the cutoff is", () => {
    expect(cutPlace(bins, 99)).toBe(1);
    expect(cutPlace(bins, 149)).toBe(1.5);
    expect(cutPlace(bins, 5000)).toBe(2);
    for (const tokens of [1, 50, 99, 100, 150, 199]) expect(cutAt(bins, cutShare(bins, tokens))).toBe(tokens);
  });
});

describe("a group that needs a look", () => {
  it("of the same question shows all answers, and offers none of them first", async () => {
    const same = finding("f4", "exact", { rule: "prompt", count: 2, records: [place("1", "Two days."), place("2", "Three days.")] });
    const { el } = shown(script({ exact: [same] }));
    await open(el, "Exact duplicates");
    await eventually(() => el.querySelector(".finding header")?.textContent === "Same question, 2 records");
    expect([...el.querySelectorAll(".finding .both h4")].map(({ textContent }) => textContent)).toEqual(["Record 1", "Record 2"]);
    for (const answer of ["Two days.", "Three days."]) expect(el.querySelector(".finding .both")!.textContent).toContain(answer);
    expect(el.querySelector(".finding button.main")).toBeNull();
  });

  it("is said to be a chain, and of many none is offered to be dropped first", async () => {
    const { el } = shown(script({ near: [{ ...NEAR, count: 11 }] }));
    await open(el, "Near duplicates");
    await eventually(() => el.querySelector(".finding .notice")?.textContent?.includes("This is a chain"));
    expect(el.querySelector(".finding .notice")!.textContent).toContain("The lowest pair is 40% alike; the review asked for 50%.");
    expect(el.querySelector(".finding button.main")).toBeNull();
  });
});
