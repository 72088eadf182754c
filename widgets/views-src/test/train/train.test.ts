// @vitest-environment happy-dom
import { afterEach, describe, expect, it } from "vitest";
import { HostError } from "../../src/host/host";
import { mount } from "../../src/train/train";
import { eventually, page, ScriptedHost } from "../support/scripted-host";
import { BASE_MODELS, dataset, job, TASK, version } from "../support/things";

const USUAL = { epochs: 3, learning_rate: 0.0002, rank: 8 };
const LOST = new HostError("network", "The connection is lost.");
let unmount: () => void = () => undefined;
afterEach(() => unmount());

function hostOf(start: object = {}): ScriptedHost {
  return new ScriptedHost({
    "view.start": () => start,
    "tasks.list": () => page(TASK),
    whoami: () => ({ scopes: ["read", "write"] }),
    "base-models.list": () => page(...BASE_MODELS),
    "datasets.list": () => page(dataset("ds_visits", "visits"), dataset("ds_empty", "empty")),
    "versions.list": ({ dataset }) =>
      dataset === "ds_visits" ? page(version("dv_1", "visits", 1), version("dv_2", "visits", 2), version("dv_3", "visits", 3, "publishing")) : page(),
    "versions.get": ({ version: id }) => version(String(id), "visits", Number(String(id).slice(3))),
    "jobs.submit": () => job("jb_new", { reason: "preparing" }),
  });
}

async function shown(host: ScriptedHost): Promise<HTMLElement> {
  const el = document.createElement("div");
  document.body.replaceChildren(el);
  unmount = mount(el, host);
  await eventually(() => !el.querySelector("form")!.hidden);
  return el;
}

function labelled<T extends HTMLElement>(el: HTMLElement, words: string): T {
  const label = [...el.querySelectorAll("label")].find(({ textContent }) => textContent === words)!;
  return document.getElementById(label.htmlFor) as T;
}

function type(el: HTMLElement, words: string, text: string): void {
  const input = labelled<HTMLInputElement>(el, words);
  input.value = text;
  input.dispatchEvent(new Event("input", { bubbles: true }));
}

const submit = (el: HTMLElement): boolean => el.querySelector("form")!.dispatchEvent(new Event("submit", { cancelable: true }));
const press = (el: HTMLElement, words: string): void => [...el.querySelectorAll("button")].find(({ textContent }) => textContent === words)!.click();

async function choose(el: HTMLElement, name: string): Promise<void> {
  labelled<HTMLInputElement>(el, "Dataset").click();
  [...el.querySelectorAll<HTMLElement>("[role=option]")].find(({ textContent }) => textContent === name)!.click();
  await eventually(() => !el.querySelector<HTMLElement>(".fields > .notice")!.hidden || labelled<HTMLSelectElement>(el, "Version").value);
}

describe("the form", () => {
  it("submits the newest completed version, the default base model and a suggested name", async () => {
    const host = hostOf();
    const el = await shown(host);
    await choose(el, "@demo/visits");
    submit(el);
    await eventually(() => host.asks("jobs.submit").length);
    expect(host.asks("jobs.submit")).toEqual([
      { task: "training-v0", name: "visits", dataset: "dv_2", base_model: "small/two", options: USUAL, key: expect.any(String) },
    ]);
    await eventually(() => el.querySelector(".submitted"));
    press(el, "Watch it");
    expect(host.asks("view.open")).toEqual([{ view: "watch", start: { job: "jb_new" } }]);
  });

  it("says before hours of training where what is made of a restricted dataset answers", async () => {
    const host = hostOf();
    host.answer("datasets.list", () => page(dataset("ds_visits", "visits", "restricted"), dataset("ds_empty", "empty")));
    const el = await shown(host);
    const warning = (): string => labelled(el, "Dataset").closest(".field")!.querySelector(".hint.warns:not([hidden])")?.textContent ?? "";
    await choose(el, "@demo/visits");
    expect(warning()).toContain("not on the service's page");
    await choose(el, "@demo/empty");
    expect(warning()).toBe("");
    await choose(el, "@demo/visits");
    submit(el);
    await eventually(() => host.asks("jobs.submit").length); // it is allowed all the same
  });

  it("finds datasets at the service, the ones that were changed last first", async () => {
    const host = hostOf();
    const el = await shown(host);
    host.answer("datasets.list", ({ search }) => page(dataset("ds_visits", search === "old" ? "old-visits" : "visits")));
    type(el, "Dataset", "old");
    await eventually(() => el.querySelector("[role=option]"));
    expect(host.asks("datasets.list")).toEqual([
      { order: "-changed", limit: 100 },
      { order: "-changed", search: "old", limit: 100 },
    ]);
    el.querySelector<HTMLElement>("[role=option]")!.click();
    await eventually(() => labelled<HTMLInputElement>(el, "Name").value === "old-visits");
    expect(labelled<HTMLInputElement>(el, "Dataset").value).toBe("@demo/old-visits");
  });

  it("says of a base model where it comes from and which weights it has", async () => {
    const el = await shown(hostOf());
    const about = (): string => labelled(el, "Base model").closest(".field")!.textContent!;
    expect(about()).toContain("From this Hub's own disks · no machine has it ready: jobs wait until one has");
    const select = labelled<HTMLSelectElement>(el, "Base model");
    select.value = "small/one";
    select.dispatchEvent(new Event("change"));
    expect(about()).toContain("From Hugging Face, small/one · weights abababababab…");
    expect(about()).not.toContain("bm_");
  });

  it("begins with the version it was opened with, and tells the shell ids only", async () => {
    const host = hostOf({ version: "dv_1" });
    const el = await shown(host);
    expect(labelled<HTMLSelectElement>(el, "Version").value).toBe("dv_1");
    type(el, "Name", "my-own");
    expect(JSON.stringify(host.asks("view.here"))).not.toContain("my-own");
    expect(host.asks("view.here").at(-1)).toEqual({ title: "Train", start: { version: "dv_1" } });
  });

  it("takes over the settings of a job", async () => {
    const host = hostOf({ job: "jb_old" });
    host.answer("jobs.get", () => job("jb_old", { name: "letters", base_model: "small/one", dataset: "@demo/visits@1" }));
    submit(await shown(host));
    await eventually(() => host.asks("jobs.submit").length);
    expect(host.asks("jobs.submit")).toEqual([
      { task: "training-v0", name: "letters", dataset: "dv_1", base_model: "small/one", options: { epochs: 1, learning_rate: 0.001, rank: 4 }, cloned_from: "jb_old", key: expect.any(String) },
    ]);
  });

  it("marks what differs from the job that it is a copy of, until that is not wanted", async () => {
    const host = hostOf({ job: "jb_old" });
    host.answer("jobs.get", () => job("jb_old", { name: "letters" }));
    const el = await shown(host);
    const marks = (): string[] => [...el.querySelectorAll<HTMLElement>(".was:not([hidden])")].map(({ textContent }) => textContent!);
    expect(el.querySelector(".cloned")!.textContent).toContain("A copy of the job letters. Nothing is changed yet");
    type(el, "LoRA rank", "16");
    type(el, "Steps", "7");
    expect(marks()).toEqual(["Was 4", "Was empty"]);
    expect(el.querySelector(".cloned")!.textContent).toContain("2 changes, marked below.");
    type(el, "LoRA rank", "4");
    expect(marks()).toEqual(["Was empty"]);
    press(el, "Forget what the copied job had");
    expect(marks()).toEqual([]);
    submit(el);
    await eventually(() => host.asks("jobs.submit").length);
    expect(host.asks("jobs.submit")[0]).not.toHaveProperty("cloned_from");
  });

  it("takes over the priority of a job, and what is changed of it is never folded away", async () => {
    const host = hostOf({ job: "jb_old" });
    host.answer("jobs.get", () => job("jb_old", { priority: "low" }));
    const el = await shown(host);
    const priority = labelled<HTMLSelectElement>(el, "Priority");
    const more = priority.closest("details")!;
    expect([priority.value, more.open]).toEqual(["low", false]);
    priority.value = "normal";
    priority.dispatchEvent(new Event("change"));
    expect(el.querySelector(".cloned")!.textContent).toContain("1 change, marked below.");
    expect(more.open).toBe(true);
  });

  it("says beside the pre-flight what is wrong with that, until it runs again", async () => {
    const host = hostOf({ version: "dv_1" });
    host.answer("jobs.preflight", () => {
      throw new HostError("unavailable", "No agent has described the base model yet.", "Try again then.", []);
    });
    const el = await shown(host);
    press(el, "Run the pre-flight");
    const said = (): string => el.querySelector(".preflight > [role=alert]")!.textContent!;
    await eventually(() => said().includes("No agent has described"));
    host.answer("jobs.preflight", () => new Promise(() => undefined));
    press(el, "Run the pre-flight");
    expect(said()).toBe("");
  });

  it("says what of a job could not be taken over", async () => {
    const host = hostOf({ job: "jb_old" });
    host.answer("jobs.get", () => job("jb_old", { base_model: "gone/model", dataset: "@other/notes@1" }));
    const el = await shown(host);
    const said = el.querySelector(".ady > [role=alert]")!.textContent;
    expect(said).toContain("gone/model");
    expect(said).toContain("@other/notes@1");
    expect(labelled<HTMLInputElement>(el, "Epochs").value).toBe("1");
  });

  it("is of use though what it was opened with is gone, or is another user's", async () => {
    const gone = (): never => {
      throw new HostError("not_found", "There is no such thing.");
    };
    for (const start of [{ version: "dv_gone" }, { job: "jb_gone" }]) {
      const host = hostOf(start);
      host.answer("versions.get", gone);
      host.answer("jobs.get", gone);
      const el = await shown(host);
      expect(el.querySelector(".ady > [role=alert]")!.textContent).toContain("There is no such thing.");
      await choose(el, "@demo/visits");
      submit(el);
      await eventually(() => el.querySelector(".submitted"));
      unmount();
      unmount = () => undefined;
    }
  });

  it("learns from several versions", async () => {
    const host = hostOf({ version: "dv_2" });
    const el = await shown(host);
    press(el, "Add another version");
    labelled<HTMLInputElement>(el, "Dataset 2").click();
    await eventually(() => el.querySelectorAll("[role=option]").length);
    submit(el);
    expect(host.asks("jobs.submit")).toEqual([]);
    expect(labelled(el, "Dataset 2").getAttribute("aria-invalid")).toBe("true");
    [...labelled(el, "Dataset 2").closest(".picker")!.querySelectorAll<HTMLElement>("[role=option]")][0]!.click();
    await eventually(() => labelled<HTMLSelectElement>(el, "Version 2").value === "dv_2");
    const second = labelled<HTMLSelectElement>(el, "Version 2");
    second.value = "dv_1";
    second.dispatchEvent(new Event("change"));
    host.answer("jobs.submit", () => {
      throw new HostError("spec_invalid", "No.", null, [{ where: "datasets.1", reason: "is withdrawn", remedy: "choose another" }]);
    });
    submit(el);
    await eventually(() => host.asks("jobs.submit").length);
    expect(host.asks("jobs.submit")[0]).toMatchObject({ datasets: ["dv_2", "dv_1"] });
    expect(host.asks("jobs.submit")[0]).not.toHaveProperty("dataset");
    await eventually(() => labelled(el, "Dataset 2").closest(".field")!.textContent!.includes("This is withdrawn. Choose another."));
    el.querySelector<HTMLButtonElement>("[aria-label='Remove dataset 2']")!.click();
    submit(el);
    await eventually(() => host.asks("jobs.submit").length === 2);
    expect(host.asks("jobs.submit")[1]).toMatchObject({ dataset: "dv_2" });
  });

  it("says of a version without the kinds that the task learns from that it does not suit", async () => {
    const host = hostOf({ version: "dv_2" });
    host.answer("tasks.list", () => page({ ...TASK, kinds: ["chat", "text"] }));
    host.answer("versions.list", () => page({ ...version("dv_1", "visits", 1), report: { kinds: { chat: 20 } } }, { ...version("dv_2", "visits", 2), report: { kinds: { preference: 40 } } }));
    const el = await shown(host);
    const said = (): string => labelled(el, "Version").closest(".field")!.textContent!;
    expect(said()).toContain("It holds 40 preference pairs; this task learns from chats or texts.");
    const select = labelled<HTMLSelectElement>(el, "Version");
    select.value = "dv_1";
    select.dispatchEvent(new Event("change"));
    expect(said()).not.toContain("preference");
  });

  it("goes on from an adapter's checkpoint, and takes a reward model, where the task does", async () => {
    const host = hostOf({ version: "dv_2" });
    host.answer("tasks.list", () => page({ ...TASK, takes: { start_from: true, reward: true } }));
    const adapter = (id: string, name: string, base_model = "small/two"): object => ({ id, full_name: `@demo/${name}@1`, base_model, job: `jb_${name}`, rank: 8 });
    host.answer("adapters.list", () => page(adapter("ad_1", "soap"), adapter("ad_2", "judge"), adapter("ad_3", "other", "small/one")));
    const kept = [50, 100].map((step) => ({ id: `ck_${step}`, step, model: `@demo/soap@1-step${step}` }));
    host.answer("jobs.checkpoints", () => page(...kept, { id: "ck_old", step: 10, model: null }));
    const el = await shown(host);
    submit(el);
    expect(labelled(el, "Reward model").closest(".field")!.textContent).toContain("No reward model is chosen.");
    const choose = async (field: string, name: string): Promise<void> => {
      const input = labelled<HTMLInputElement>(el, field);
      input.click();
      await eventually(() => input.closest(".picker")!.querySelectorAll("[role=option]").length === 2); // those of this base model
      [...input.closest(".picker")!.querySelectorAll<HTMLElement>("[role=option]")].find(({ textContent }) => textContent!.startsWith(`@demo/${name}@1`))!.click();
    };
    await choose("Reward model", "judge");
    await choose("Go on from", "soap");
    const step = labelled<HTMLInputElement>(el, "Go on from").closest(".adapter")!.querySelector("select")!;
    await eventually(() => step.options.length === 3);
    step.value = "-step100";
    labelled<HTMLInputElement>(el, "Evaluate on").value = " @demo/exam@1 ";
    submit(el);
    await eventually(() => host.asks("jobs.submit").length);
    expect(host.asks("jobs.submit")[0]).toMatchObject({ start_from: "@demo/soap@1-step100", reward: "@demo/judge@1", validation: "@demo/exam@1" });
  });

  it("offers the base models and options of the task, and a high priority to administrators only", async () => {
    const host = hostOf({ version: "dv_2" });
    host.answer("tasks.list", () => page(TASK, { ...TASK, name: "full", title: "All of it", stage: "dpo", description: "From pairs.", base_models: ["small/one"], schema: {} }));
    const el = await shown(host);
    const task = labelled<HTMLSelectElement>(el, "Task");
    expect([...task.options].map(({ textContent }) => textContent)).toEqual(["Fine-tune an adapter (sft)", "All of it (dpo)"]);
    task.value = "full";
    task.dispatchEvent(new Event("change"));
    expect([...labelled<HTMLSelectElement>(el, "Base model").options].map(({ value }) => value)).toEqual(["small/one"]);
    expect(el.querySelector(".derived")!.textContent).toContain("dpo");
    expect([...labelled<HTMLSelectElement>(el, "Priority").options].map(({ value }) => value)).toEqual(["low", "normal"]);
    labelled<HTMLSelectElement>(el, "Priority").value = "low";
    submit(el);
    await eventually(() => host.asks("jobs.submit").length);
    expect(host.asks("jobs.submit")[0]).toMatchObject({ task: "full", base_model: "small/one", priority: "low", options: {} });
  });

  it("says what to do about a dataset without a version", async () => {
    const host = hostOf();
    const el = await shown(host);
    await choose(el, "@demo/empty");
    expect(el.textContent).toContain("No published version yet.");
    press(el, "Curate one");
    expect(host.asks("view.open")).toEqual([{ view: "curate", start: { dataset: "ds_empty" } }]);
    submit(el);
    expect(document.activeElement).toBe(labelled(el, "Dataset"));
    expect(host.asks("jobs.submit")).toEqual([]);
  });

  it("shows what the service refuses at its fields, and keeps what was typed", async () => {
    const host = hostOf({ version: "dv_2" });
    const refusal = { where: "options.rank", reason: "is not an integer", remedy: "an integer from 1 to 256" };
    host.answer("jobs.submit", () => {
      throw new HostError("spec_invalid", "The options do not fit.", null, [refusal, { where: "elsewhere", reason: "odd", remedy: "" }]);
    });
    const el = await shown(host);
    type(el, "LoRA rank", "many");
    submit(el);
    await eventually(() => labelled(el, "LoRA rank").getAttribute("aria-invalid"));
    expect(host.asks("jobs.submit")[0]!.options).toEqual({ ...USUAL, rank: "many" });
    expect(document.activeElement).toBe(labelled(el, "LoRA rank"));
    expect(labelled<HTMLInputElement>(el, "LoRA rank").value).toBe("many");
    const said = [...labelled(el, "LoRA rank").closest(".field")!.querySelectorAll<HTMLElement>("p:not([hidden])")];
    expect(said.map(({ textContent }) => textContent)).toEqual(["This is not an integer. An integer from 1 to 256."]); // once
    const notice = el.querySelector(".ady > [role=alert]")!.textContent;
    expect(notice).toContain("elsewhere");
    expect(notice).not.toContain("options.rank");
  });

  it("marks all that is wrong at once, and goes to the first", async () => {
    const host = hostOf();
    const el = await shown(host);
    type(el, "Name", "");
    type(el, "LoRA rank", "many");
    type(el, "Epochs", "1000");
    const wrong = (): string[] => [...el.querySelectorAll("[aria-invalid]")].map((one) => one.closest(".field")!.querySelector("label")!.textContent!);
    submit(el);
    expect(wrong()).toEqual(["Dataset", "Name", "Epochs", "LoRA rank"]);
    expect(document.activeElement).toBe(labelled(el, "Dataset"));
    await choose(el, "@demo/visits");
    host.answer("jobs.submit", () => {
      throw new HostError("invalid_input", "No.", null, [{ where: "name", reason: "is taken", remedy: "" }, { where: "options.epochs", reason: "is too many", remedy: "" }]);
    });
    submit(el);
    await eventually(() => wrong().join() === "Name,Epochs,LoRA rank");
    expect(labelled(el, "Epochs").closest(".field")!.textContent).toContain("This is too many.");
  });

  it("comes back with what was typed when it is shown again", async () => {
    const host = hostOf({ version: "dv_1" });
    const el = await shown(host);
    type(el, "Name", "my-own");
    type(el, "Epochs", "7");
    type(el, "LoRA rank", "");
    unmount();
    const again = await shown(host);
    expect(labelled<HTMLInputElement>(again, "Name").value).toBe("my-own");
    submit(again);
    await eventually(() => host.asks("jobs.submit").length);
    expect(host.asks("jobs.submit")[0]).toMatchObject({ name: "my-own", dataset: "dv_1", options: { epochs: 7, learning_rate: 0.0002 } });
  });
});

describe("submitting", () => {
  it("happens once, however often it is asked for", async () => {
    const host = hostOf({ version: "dv_2" });
    const el = await shown(host);
    for (let times = 0; times < 3; times++) submit(el);
    await eventually(() => el.querySelector(".submitted"));
    expect(host.asks("jobs.submit")).toHaveLength(1);
  });

  it("asks again when the answer was lost, also in a view that is shown again", async () => {
    const host = hostOf({ version: "dv_2" });
    const answers: { reject: (error: Error) => void; resolve: (job: unknown) => void }[] = [];
    host.answer("jobs.submit", () => new Promise((resolve, reject) => answers.push({ resolve, reject })));
    submit(await shown(host));
    await eventually(() => answers.length);
    unmount();
    answers[0]!.reject(LOST);
    const again = await shown(host);
    submit(again);
    await eventually(() => answers.length === 2);
    answers[1]!.resolve(job("jb_new"));
    await eventually(() => again.querySelector(".submitted"));
    const [first, second] = host.asks("jobs.submit");
    expect(second).toEqual(first);
    press(again, "Watch it");
    expect(host.asks("view.open")).toEqual([{ view: "watch", start: { job: "jb_new" } }]);
  });
});
