// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, it } from "vitest";
import { HostError } from "../../src/host/host";
import { mount } from "../../src/panel/panel";
import { eventually, page, ScriptedHost } from "../support/scripted-host";
import { job } from "./job";

const NOW = new Date().toISOString();
const dataset = (name: string) => ({ id: `ds_${name}`, full_name: `@demo/${name}`, sensitivity: "internal", records: 3, updated_at: NOW });
const adapter = (name: string, sensitivity = "internal") => ({ id: `ad_${name}`, full_name: `@demo/${name}@1`, base_model: "tiny", sensitivity, created_at: NOW, tenant: "@demo", right: name === "soap" ? "manage" : "use" });
const USED = { id: "1", begins_at: null, adapter: "@demo/soap@1", adapter_id: "ad_soap", base_model: "tiny", key: null, key_id: null, requests: 1, errors: 0, cancelled: 0, prompt_tokens: 3, completion_tokens: 4 };

let host: ScriptedHost;
let el: HTMLElement;
let unmount: () => void = () => undefined;

beforeEach(() => {
  el = document.createElement("div");
  document.body.replaceChildren(el);
  host = new ScriptedHost({
    whoami: () => ({ id: "tn_1", scopes: ["read", "write"] }),
    "datasets.list": () => page(dataset("visits"), dataset("letters")),
    "jobs.list": () => page(job("jb_1", "completed"), job("jb_2", "training", { progress: 0.1 })),
    "adapters.list": () => page(adapter("soap"), adapter("secret", "restricted")),
    "usage.list": () => page(USED, { ...USED, id: "2", key: "=cmd", key_id: "ak_2", requests: 3, cancelled: 2, prompt_tokens: 90 }),
    "agents.list": () => page(),
  });
});
afterEach(() => unmount());

async function shown(): Promise<void> {
  unmount = mount(el, host);
  await eventually(() => !el.textContent!.includes("Looking …") && host.asks("whoami").length > 0);
}

function part(name: string): HTMLElement {
  return el.querySelector(`section[aria-label="${name}"]`)!;
}

function button(within: HTMLElement, words: string): HTMLButtonElement {
  return [...within.querySelectorAll("button")].find((found) => found.textContent!.includes(words))!;
}

const titles = (name: string): string[] => [...part(name).querySelectorAll(".title")].map((found) => found.textContent!);
const opened = (): unknown => host.asks("view.open").at(-1);

/** What the timer does every few seconds; here the network comes back, which ends the pause. */
async function lookAgain(): Promise<void> {
  const before = host.asks("jobs.list").length;
  dispatchEvent(new Event("online"));
  await eventually(() => host.asks("jobs.list").length > before);
}

it("shows its sections with counts, each line of which opens its view", async () => {
  await shown();
  expect([...el.querySelectorAll(".part h2")].map((found) => found.textContent)).toEqual(["Datasets2", "Jobs2", "Adapters2", "Usage4 requests", "Agents0"]);
  expect(titles("Jobs")).toEqual(["@demo/jb_2", "@demo/jb_1"]);
  expect(part("Jobs").querySelector("progress")!.value).toBeCloseTo(0.1);
  button(part("Datasets"), "visits").click();
  expect(opened()).toEqual({ view: "curate", start: { dataset: "ds_visits" } });
  button(part("Jobs"), "jb_2").click();
  expect(opened()).toEqual({ view: "watch", start: { job: "jb_2" } });
  button(part("Adapters"), "soap").click();
  expect(opened()).toEqual({ view: "chat", start: { model: "@demo/soap@1" } });
  button(part("Datasets"), "New dataset").click();
  expect(opened()).toEqual({ view: "curate", start: { new: true } });
  button(part("Jobs"), "Train").click();
  expect(opened()).toEqual({ view: "train", start: {} });
  button(part("Jobs"), "All jobs").click();
  expect(opened()).toEqual({ view: "jobs", start: {} });
});

it("leads to the keys, and to those of one adapter", async () => {
  await shown();
  button(part("Adapters"), "Keys").click();
  expect(opened()).toEqual({ view: "keys", start: {} });
  const keys = [...part("Adapters").querySelectorAll<HTMLButtonElement>("li .small")].filter(({ textContent }) => textContent === "Key");
  expect(keys.filter(({ hidden }) => !hidden).map((key) => key.getAttribute("aria-label"))).toContain("Key for @demo/soap@1: use it from outside");
  keys[0]!.click();
  expect(opened()).toEqual({ view: "keys", start: { adapter: "@demo/soap@1" } });
});

it("says what was used, the most first, and hands it out as a file that no spreadsheet runs", async () => {
  await shown();
  const lines = [...part("Usage").querySelectorAll(".facts")].map(({ textContent }) => textContent);
  expect(lines).toEqual(["94 tokens · 3 requests · by key =cmd · 2 cancelled", "7 tokens · 1 request"]);
  const made: Blob[] = [];
  URL.createObjectURL = (file) => `blob:${made.push(file as Blob)}`;
  button(part("Usage"), "Download").click();
  await eventually(() => made.length > 0);
  expect(host.asks("usage.list").at(-1)).toMatchObject({ by: "day,adapter,base_model,key" });
  const text = await made[0]!.text();
  expect(text.split("\r\n")).toEqual([
    "begins_at,key,key_id,adapter,adapter_id,base_model,requests,errors,cancelled,prompt_tokens,completion_tokens",
    ",,,'@demo/soap@1,ad_soap,tiny,1,0,0,3,4",
    ",'=cmd,ak_2,'@demo/soap@1,ad_soap,tiny,3,0,2,90,4",
    "",
  ]);
});

it("shares an adapter that the reader manages, and no other", async () => {
  host.answer("grants.list", () => page());
  await shown();
  const buttons = [...part("Adapters").querySelectorAll<HTMLButtonElement>("li .small")].filter(({ textContent }) => textContent === "Share");
  expect(buttons.map(({ hidden }) => hidden)).toEqual([false, true]);
  buttons[0]!.click();
  await eventually(() => host.asks("grants.list").length > 0);
  expect(host.asks("grants.list")[0]).toMatchObject({ kind: "adapters", thing: "ad_soap" });
  expect(el.querySelector("dialog h3")!.textContent).toBe("Share @demo/soap@1");
});

it("deletes an adapter that the reader manages, when that is confirmed by its name", async () => {
  let left = [adapter("soap"), adapter("secret", "restricted")];
  host.answer("adapters.list", () => page(...left));
  host.answer("adapters.remove", ({ adapter: id }) => {
    left = left.filter((one) => one.id !== id);
    return null;
  });
  await shown();
  const buttons = [...part("Adapters").querySelectorAll<HTMLButtonElement>("li .small")].filter(({ textContent }) => textContent === "Delete");
  expect(buttons.map(({ hidden }) => hidden)).toEqual([false, true]);
  expect([...part("Datasets").querySelectorAll<HTMLButtonElement>("li .small")].every(({ hidden }) => hidden)).toBe(true);
  buttons[0]!.focus();
  buttons[0]!.click();
  expect(el.querySelector("dialog")!.textContent).toContain("Delete @demo/soap@1?");
  button(el.querySelector("dialog")!, "Cancel").click();
  await eventually(() => el.querySelector("dialog") === null);
  expect(host.asks("adapters.remove")).toEqual([]);
  buttons[0]!.focus();
  buttons[0]!.click();
  button(el.querySelector("dialog")!, "Delete it").click();
  await eventually(() => titles("Adapters").join() === "@demo/secret@1");
  expect(host.asks("adapters.remove")).toEqual([{ adapter: "ad_soap" }]);
});

it("locks what is restricted, by word and not by colour alone", async () => {
  await shown();
  const locks = [...part("Adapters").querySelectorAll<HTMLElement>(".lock")].map((lock) => !lock.hidden);
  expect(locks).toEqual([false, true]);
  expect(part("Adapters").textContent).toContain("restricted");
});

it("changes lines in place and leaves the keyboard where it is", async () => {
  await shown();
  const line = button(part("Jobs"), "jb_1");
  line.focus();
  host.answer("jobs.list", () => page(job("jb_3", "created"), job("jb_1", "completed"), job("jb_2", "completed")));
  await lookAgain();
  await eventually(() => titles("Jobs").length === 3);
  expect(titles("Jobs")).toEqual(["@demo/jb_3", "@demo/jb_2", "@demo/jb_1"]);
  expect(button(part("Jobs"), "jb_1")).toBe(line);
  expect(document.activeElement).toBe(line);
  expect(button(part("Jobs"), "jb_2").querySelector("progress")!.hidden).toBe(true);
});

it("says what to do next where there is nothing, and makes that the main thing to do", async () => {
  for (const verb of ["datasets.list", "jobs.list", "adapters.list"]) host.answer(verb, () => page());
  await shown();
  for (const name of ["Datasets", "Jobs", "Adapters", "Agents"]) expect(part(name).querySelector(".none")!.textContent).not.toBe("");
  expect(button(part("Datasets"), "New dataset").classList).toContain("main");
  expect(button(part("Jobs"), "Train").classList).not.toContain("main");
});

it("offers nothing to make to whoever may only read", async () => {
  host.answer("whoami", () => ({ id: "tn_1", scopes: ["read"] }));
  await shown();
  await eventually(() => button(part("Datasets"), "New dataset").hidden);
  expect(button(part("Jobs"), "Train").hidden).toBe(true);
});

it("shows the first few, and all when asked to", async () => {
  const all = Array.from({ length: 60 }, (_, at) => dataset(`n${at}`));
  host.answer("datasets.list", ({ limit }) => ({ items: all.slice(0, Number(limit)), has_more: Number(limit) < all.length }));
  await shown();
  expect(titles("Datasets")).toHaveLength(5);
  expect(host.asks("datasets.list")).toEqual([{ order: "-changed", limit: 50 }]);
  button(part("Datasets"), "Show more").click();
  expect(titles("Datasets")).toHaveLength(50);
  button(part("Datasets"), "Show more").click();
  await eventually(() => titles("Datasets").length === 60);
  button(part("Datasets"), "Show fewer").click();
  expect(titles("Datasets")).toHaveLength(5);
});

it("asks for the next page only of what is looked at", async () => {
  const all = Array.from({ length: 230 }, (_, at) => job(`jb_${String(900 - at)}`, "completed"));
  host.answer("jobs.list", ({ after, limit, state }) => {
    if (state) return page();
    const from = after ? all.findIndex(({ id }) => id === after) + 1 : 0;
    return { items: all.slice(from, from + Number(limit)), has_more: from + Number(limit) < all.length };
  });
  await shown();
  expect(part("Jobs").querySelector(".count")!.textContent).toBe("50+");
  for (const wanted of [50, 100, 150, 200, 230]) {
    button(part("Jobs"), "Show more").click();
    await eventually(() => titles("Jobs").length === wanted);
  }
  expect(part("Jobs").querySelector(".count")!.textContent).toBe("230");
  expect(host.asks("jobs.list").every(({ limit }) => Number(limit) <= 200)).toBe(true);
});

it("finds by name in all sections, and hands what was typed to the view of all jobs", async () => {
  await shown();
  const find = el.querySelector("input")!;
  find.value = "soap";
  find.dispatchEvent(new Event("input"));
  await eventually(() => titles("Adapters").length === 1);
  expect(titles("Adapters")).toEqual(["@demo/soap@1"]);
  expect(titles("Datasets")).toEqual([]);
  expect(part("Datasets").textContent).toContain("No dataset has “soap” in its name.");
  button(part("Jobs"), "in all jobs").click();
  expect(opened()).toEqual({ view: "jobs", start: { search: "soap" } });
});

it("has the service look for datasets and adapters", async () => {
  host.answer("datasets.list", ({ search }) => (search === "@demo/old" ? page(dataset("old")) : page()));
  await shown();
  expect(button(part("Datasets"), "New dataset").classList).toContain("main");
  const find = el.querySelector("input")!;
  find.value = "@demo/old";
  find.dispatchEvent(new Event("input"));
  await eventually(() => titles("Datasets").join() === "@demo/old");
  expect(host.asks("datasets.list").at(-1)).toEqual({ order: "-changed", search: "@demo/old", limit: 50 });
  expect(host.asks("adapters.list").at(-1)).toEqual({ search: "@demo/old", limit: 50 });
  expect(button(part("Datasets"), "New dataset").classList).toContain("main"); // still none of those that were there
});

it("finds jobs that are older than those shown", async () => {
  host.answer("jobs.list", ({ search }) => (search === "jb_old" ? page(job("jb_old", "completed")) : page(job("jb_new", "completed"))));
  await shown();
  const find = el.querySelector("input")!;
  find.value = "@demo/jb_old";
  find.dispatchEvent(new Event("input"));
  await eventually(() => titles("Jobs").join() === "@demo/jb_old");
});

it("shows jobs under way however old they are", async () => {
  host.answer("jobs.list", ({ state }) => (state ? page(job("jb_0", "training")) : page(job("jb_9", "completed"))));
  await shown();
  expect(titles("Jobs")).toEqual(["@demo/jb_0", "@demo/jb_9"]);
});

it("stays folded while it looks again", async () => {
  await shown();
  const fold = part("Jobs").querySelector<HTMLButtonElement>(".fold")!;
  fold.click();
  await lookAgain();
  expect(fold.getAttribute("aria-expanded")).toBe("false");
  expect(part("Jobs").querySelector<HTMLElement>(".body")!.hidden).toBe(true);
});

it("one list that fails takes no other with it, and is tried again when asked to", async () => {
  host.answer("agents.list", () => {
    throw new HostError("not_allowed", "You may not see agents.");
  });
  unmount = mount(el, host);
  await eventually(() => el.querySelector("[role=alert]")!.textContent!.includes("You may not see agents."));
  await eventually(() => titles("Jobs").length === 2);
  host.answer("agents.list", () => page());
  button(el, "Retry").click();
  await eventually(() => part("Agents").textContent!.includes("No machine has joined yet"));
});

it("asks no more once it is gone", async () => {
  await shown();
  unmount();
  const before = host.asked.length;
  dispatchEvent(new Event("online"));
  await new Promise((resolve) => setTimeout(resolve));
  expect(host.asked.length).toBe(before);
  expect(el.childElementCount).toBe(0);
});
