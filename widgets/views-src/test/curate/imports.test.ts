// @vitest-environment happy-dom
import { describe, expect, it } from "vitest";
import { asFormat, lackingFields, type Mapping } from "../../src/curate/imports/things";
import { eventually, page } from "../support/scripted-host";
import { button, NOW, press, shown } from "./shown";

const RECORD = { kind: "chat", messages: [{ role: "user", content: "Doctor: Any pain?" }, { role: "assistant", content: "No pain." }] };
const MAPPING: Mapping = { format: "prompt", container: "csv", columns: { prompt: "dialogue", completion: "section_text" }, constants: {}, parts: [] };
const FILE = { id: "fi_2", name: "visits.csv", bytes: 4, format: null, records: 0, problems: 0, reason: null, state: "received", created_at: NOW };
const COLUMNS = [{ name: "dialogue", holds: "text", used_as: "prompt" }, { name: "section_text", holds: "text", used_as: "completion" }];
const SUGGESTION = { mapping: MAPPING, container: "csv", confident: false, why: "By their names.", columns: COLUMNS, members: [], preview: [{ number: 1, record: RECORD, problem: null }], problems_in_preview: 0 };
const OPERATION = { id: "op_1", kind: "import", state: "completed", progress: 1, done: 2, total: 2, result: {}, error: null };
const PROBLEM = { id: "1", number: 2, where: "record 2, column section_text", reason: "is empty.", remedy: "Write it." };

const script = (more: object = {}): Parameters<typeof shown>[0] => ({
  "files.put": () => [{ sent: 0, total: 4 }, FILE],
  "files.get": () => ({ ...FILE, state: "ready", format: "prompt", records: 20 }),
  "files.suggestion": () => SUGGESTION,
  "files.preview": () => ({ preview: SUGGESTION.preview, problems_in_preview: 0 }),
  "files.import": () => ({ ...OPERATION, state: "running" }),
  "files.problems": () => page(PROBLEM),
  "operations.events": () => [OPERATION],
  "operations.get": () => OPERATION,
  ...more,
});

async function send(el: HTMLElement): Promise<void> {
  await press(el, "Files");
  const input = el.querySelector<HTMLInputElement>("input[type=file]")!;
  Object.defineProperty(input, "files", { value: [new File(["data"], "visits.csv")], configurable: true });
  input.dispatchEvent(new Event("change"));
}

function field(el: HTMLElement, label: string): HTMLSelectElement {
  return [...el.querySelectorAll("label")].find((one) => one.firstChild?.textContent === label)!.querySelector("select")!;
}

describe("a file whose columns are not certain", () => {
  it("is shown as conversations, and imported with one confirmation", async () => {
    const { el, host } = shown(script());
    await send(el);
    await eventually(() => el.querySelector(".import .bubble.user")?.textContent?.includes("Any pain?"));
    expect(field(el, "Prompt").value).toBe("dialogue");
    expect(host.asks("files.import")).toHaveLength(0);
    await press(el, "Import visits.csv");
    await eventually(() => el.querySelector(".import")?.textContent?.includes("✓ visits.csv · Prompt and completion, 20 records"));
    expect(host.asks("files.put")[0]).toMatchObject({ import: "later" });
    expect(host.asks("files.import")).toEqual([{ dataset: "ds_1", file: "fi_2", bad_records: "refuse", mapping: MAPPING }]);
  });

  it("is tried anew as its mapping is changed, and waits for what it needs", async () => {
    const { el, host } = shown(script());
    await send(el);
    await eventually(() => el.querySelector(".import .bubble"));
    const completion = field(el, "Completion");
    completion.value = "";
    completion.dispatchEvent(new Event("change"));
    await eventually(() => el.querySelector(".preview")?.textContent?.includes("Choose what holds the completion."));
    expect(button(el, "Import visits.csv").disabled).toBe(true);
    completion.value = "dialogue";
    completion.dispatchEvent(new Event("change"));
    await eventually(() => host.asks("files.preview").length === 1);
    expect(host.asks("files.preview")[0]).toMatchObject({ mapping: { columns: { prompt: "dialogue", completion: "dialogue" } } });
    await eventually(() => !button(el, "Import visits.csv").disabled);
  });
});

describe("a file that leaves no doubt", () => {
  it("is imported without a question", async () => {
    const { el, host } = shown(script({ "files.suggestion": () => ({ ...SUGGESTION, confident: true }) }));
    await send(el);
    await eventually(() => el.querySelector(".import")?.textContent?.includes("✓ visits.csv"));
    expect(host.asks("files.import")).toHaveLength(1);
  });
});

describe("a file with bad records", () => {
  const refused = { ...FILE, state: "refused", problems: 1, reason: "1 of 20 records cannot be used." };
  const failed = { ...OPERATION, state: "failed", error: { code: "record_invalid", detail: "1 of 20 records cannot be used." } };

  it("lists them, and goes on without them where that is wanted", async () => {
    let state: object = refused;
    const { el, host } = shown(
      script({
        "files.suggestion": () => ({ ...SUGGESTION, confident: true }),
        "files.get": () => state,
        "operations.events": ({}) => [host.asks("files.import").length > 1 ? OPERATION : failed],
        "operations.get": () => (host.asks("files.import").length > 1 ? OPERATION : failed),
      }),
    );
    await send(el);
    await eventually(() => el.querySelector(".problems td.number")?.textContent === "2");
    expect(el.querySelector(".problems tbody")!.textContent).toContain("2column section_textis empty.Write it.");
    button(el, "Download the list");
    button(el, "Refuse the file");
    state = { ...refused, state: "ready", format: "prompt", records: 19 };
    await press(el, "Go on without it");
    await eventually(() => el.querySelector(".import")?.textContent?.includes("19 records; 1 bad record left out"));
    expect(host.asks("files.import")[1]).toMatchObject({ bad_records: "skip" });
  });

  it("is gone once it is refused", async () => {
    const { el, host } = shown(script({ "files.put": () => [refused], "files.remove": () => null }));
    await send(el);
    await press(el, "Refuse the file");
    await eventually(() => host.asks("files.remove").length === 1 && !el.querySelector(".import"));
  });
});

describe("a mapping", () => {
  it("says what it lacks", () => {
    expect(lackingFields(MAPPING)).toEqual([]);
    expect(lackingFields({ ...MAPPING, columns: {} })).toEqual(["prompt", "completion"]);
    expect(lackingFields({ ...MAPPING, container: "txt", format: "text", columns: {} })).toEqual([]);
  });

  it("keeps of another format what that has as well", () => {
    const system = { ...MAPPING, columns: { ...MAPPING.columns, system: "role" } };
    expect(asFormat(system, "alpaca").columns).toEqual({ system: "role" });
  });
});
