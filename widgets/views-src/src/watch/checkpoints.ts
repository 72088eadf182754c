// The states of training that are kept: each answers as a model of its own.

import type { Checkpoint } from "../host/things";
import { copyButton } from "../parts/copy";
import { button, element, scrolled } from "../parts/elements";
import { bytesWords, momentWords, nameWords, numberWords } from "../parts/words";

/** What is told of each, where it was measured. */
const METRICS = ["loss", "eval_loss"] as const;
const HEADS = ["Step", ...METRICS.map(nameWords), "Size", "Kept", "Model"];

export class Checkpoints {
  readonly element = element("section", { class: "checkpoints", hidden: true });
  private shown = "";

  constructor(private readonly chat: (model: string) => void) {}

  /** Show them, the last first; `chats` says whether they may be talked to. */
  show(checkpoints: readonly Checkpoint[], chats: boolean): void {
    const signature = JSON.stringify([checkpoints, chats]);
    if (signature === this.shown) return;
    this.shown = signature;
    this.element.hidden = checkpoints.length === 0;
    const rows = [...checkpoints].reverse().map((checkpoint) => this.rowOf(checkpoint, chats));
    const head = element("tr", {}, ...HEADS.map((words) => element("th", { scope: "col" }, words)));
    const table = element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows));
    this.element.replaceChildren(element("h3", {}, "Checkpoints"), scrolled("Checkpoints", "scrolls", table));
  }

  private rowOf({ step, bytes, metrics, model, created_at }: Checkpoint, chats: boolean): HTMLElement {
    const measured = METRICS.map((name) => metrics?.[name] ?? Number.NaN).map((value) => element("td", {}, numberWords(value)));
    const named = model === null ? ["–"] : [element("code", {}, model), copyButton("Copy", `Copy the name ${model}`, () => model)];
    const chat = model !== null && chats ? [button("Chat", () => this.chat(model), "small", `Chat with step ${step}`)] : [];
    return element(
      "tr",
      {},
      element("th", { scope: "row" }, numberWords(step)),
      ...measured,
      element("td", {}, bytesWords(bytes)),
      element("td", {}, momentWords(created_at)),
      element("td", {}, element("div", { class: "row" }, ...named, ...chat)),
    );
  }
}
