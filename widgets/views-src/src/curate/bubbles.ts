// A record as a conversation: who says what, in order. Text stays text, with its line breaks.

import { element } from "../parts/elements";
import type { DraftRecord, Message } from "./record";

/** Longer texts are cut here: a megabyte in one element would hold the page up. */
const SHOWN = 20_000;

export function bubbles(record: DraftRecord): HTMLElement {
  const box = element("div", { class: "bubbles" });
  if (record.kind === "text") box.append(said(record.text ?? ""));
  else box.append(...(record.messages ?? []).map((message) => bubble(message, message.role)));
  if (record.kind === "preference") {
    const [chosen, rejected] = [record.chosen, record.rejected].map((message) => message ?? { role: "assistant" as const, content: "" });
    box.append(element("div", { class: "answers" }, bubble(chosen!, "✓ chosen answer"), bubble(rejected!, "✗ rejected answer")));
  }
  if (record.kind === "kto") box.append(element("p", { class: `label ${record.label ? "good" : "bad"}` }, record.label ? "✓ labelled a good answer" : "✗ labelled a bad answer"));
  if (record.tools) box.append(bubbleOf("tools", JSON.stringify(record.tools, null, 2), "system"));
  return box;
}

function bubble(message: Message, who: string): HTMLElement {
  const calls = message.tool_calls ? `calls ${JSON.stringify(message.tool_calls, null, 2)}` : "";
  const weight = typeof message.weight === "number" ? ` · weight ${message.weight}` : "";
  return bubbleOf(who + weight, [message.content, calls].filter(Boolean).join("\n"), message.role);
}

function bubbleOf(who: string, text: string, role: string): HTMLElement {
  return element("div", { class: `bubble ${role}` }, element("span", { class: "who" }, who), said(text));
}

function said(text: string): HTMLElement {
  const rest = text.length - SHOWN;
  const box = element("div", { class: "said", dir: "auto" }, text.slice(0, SHOWN));
  if (rest > 0) box.append(element("p", { class: "soft" }, `… and ${rest.toLocaleString()} characters more; edit the record to see all.`));
  return box;
}
