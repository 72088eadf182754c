// The Curate view on a scripted host, as its tests show it.

import { afterEach } from "vitest";
import { mount } from "../../src/curate/curate";
import type { Json } from "../../src/host/host";
import { type Answer, eventually, page, ScriptedHost } from "../support/scripted-host";

export const NOW = "2026-01-02T03:04:05Z";
export const DATASET = { id: "ds_1", name: "visits", full_name: "@demo/visits", tenant: "@demo", sensitivity: "internal", description: "", records: 300, right: "manage", updated_at: NOW };
export const VERSION = { id: "dv_1", number: 1, name: "@demo/visits@1", content_digest: `sha256:${"ab".repeat(32)}`, records: 290, duplicates_dropped: 10, state: "completed", created_at: NOW, report: null };

export function item(position: number, answer = `answer ${position}`): Record<string, unknown> {
  const messages = [{ role: "user", content: `question ${position}` }, { role: "assistant", content: answer }];
  return { id: String(position), record_id: `sha256:${answer}`, record: { kind: "chat", messages }, kind: "chat", length: 20, edited: false, changed_at: NOW, created_at: NOW, file: null };
}

export function records({ offset, limit, search }: Record<string, unknown>): unknown {
  const total = search ? 3 : 300;
  const count = Math.max(0, Math.min(Number(limit), total - Number(offset)));
  return { items: Array.from({ length: count }, (_, index) => item(Number(offset) + index + 1)), has_more: false, total };
}

const unmounts: (() => void)[] = [];

export function shown(script: Record<string, Answer> = {}, start: Json = { dataset: "ds_1" }): { el: HTMLElement; host: ScriptedHost; unmount: () => void } {
  const host = new ScriptedHost({
    "view.start": () => start,
    whoami: () => ({ tenant: "@demo", groups: ["radiology"] }),
    "datasets.list": () => page(DATASET, { ...DATASET, id: "ds_2", name: "soap", full_name: "radiology/soap", right: "view" }),
    "datasets.get": () => DATASET,
    "files.list": () => page({ id: "fi_1", name: "a.json", bytes: 1000, format: "alpaca", records: 300, state: "ready", created_at: NOW }),
    "records.list": records,
    "records.get": ({ position }) => item(Number(position)),
    "edits.list": () => page(),
    "versions.list": () => page(),
    "sources.list": () => page(),
    "review.get": () => ({ queues: [] }),
    "splits.get": () => ({ splits: [], recipe: null, groups: null }),
    "leaks.list": () => ({ ...(page() as object), report: null }),
    ...script,
  });
  const el = document.createElement("div");
  document.body.append(el);
  const unmount = mount(el, host);
  unmounts.push(unmount);
  return { el, host, unmount };
}

export function button(el: HTMLElement, name: string): HTMLButtonElement {
  const all = [...el.querySelectorAll("button")].filter((one) => !one.closest("[hidden]"));
  const found = all.find((one) => (one.getAttribute("aria-label") ?? one.textContent) === name);
  if (!found) throw new Error(`no button ${name}`);
  return found;
}

export async function press(el: HTMLElement, name: string): Promise<void> {
  await eventually(() => button(el, name));
  button(el, name).click();
}

afterEach(() => {
  for (const unmount of unmounts.splice(0)) unmount();
  document.body.replaceChildren();
});
