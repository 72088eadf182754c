// What changed between two versions: how much, and each record with its words.

import { button, control, element, scrolled } from "../parts/elements";
import { countWords } from "../parts/words";
import { inline, wordDiff } from "../parts/word-diff";
import { bubbles } from "./bubbles";
import type { DiffItem, VersionDiff } from "./lineage/things";
import { textOf } from "./record";
import { options } from "./records";
import { ask, attempt, type Context, type Version } from "./things";

const PAGE = 20;
const CHANGES: Readonly<Record<DiffItem["change"], string>> = { added: "+ added", removed: "− removed", changed: "✎ changed" };

export class Diff {
  readonly element = element("div", { class: "diff" });
  private readonly from = control("select");
  private readonly counts = element("p", { role: "status" });
  private readonly list = element("ol", { class: "findings" });
  private readonly more = button("Load more", () => void this.load(this.last));
  private last: string | null = null;
  private turn = 0;

  constructor(
    private readonly context: Context,
    private readonly version: Version,
    others: readonly Version[],
  ) {
    const before = others.filter(({ number }) => number < version.number);
    options(this.from, Object.fromEntries([...before, ...others.filter(({ number }) => number > version.number)].map(({ id, name }) => [id, name])));
    this.from.addEventListener("change", () => void this.load(null));
    this.more.hidden = true;
    if (this.from.options.length === 0) this.element.append(element("p", { class: "empty" }, "There is no other version to compare it with. Publish the draft once more after you have changed it."));
    else this.element.append(element("div", { class: "row filters" }, element("label", {}, "What changed since", this.from)), this.counts, this.list, this.more);
  }

  /** Look, once it is wanted. */
  begin(): void {
    if (this.turn === 0 && this.from.options.length > 0) void this.load(null);
  }

  private async load(after: string | null): Promise<void> {
    const turn = ++this.turn;
    if (!after) this.counts.textContent = "Comparing …";
    await attempt(this.context, async () => {
      const args = { version: this.version.id, from: this.from.value, limit: PAGE, ...(after ? { after } : {}) };
      const diff = await ask<VersionDiff>(this.context, "versions.diff", args);
      if (turn !== this.turn) return;
      this.last = diff.items.at(-1)?.id ?? null;
      this.more.hidden = !diff.has_more;
      this.counts.textContent = countsWords(diff);
      const items = diff.items.map((item) => itemOf(item));
      if (after) this.list.append(...items);
      else this.list.replaceChildren(...items);
    }, true);
  }
}

function countsWords({ before, counts: { added, removed, changed, same } }: VersionDiff): string {
  if (added + removed + changed === 0) return `The same ${countWords(same, "record")} as in ${before}.`;
  return `Since ${before}: ${added.toLocaleString()} added, ${removed.toLocaleString()} removed, ${changed.toLocaleString()} changed, ${same.toLocaleString()} as before.`;
}

function itemOf(item: DiffItem): HTMLElement {
  const { change, before_position: from, after_position: to } = item;
  const place = from === to && to !== null ? `record ${to.toLocaleString()}` : [from === null ? "" : `was record ${from.toLocaleString()}`, to === null ? "" : `record ${to.toLocaleString()}`].filter(Boolean).join(", ");
  return element("li", { class: `finding ${change}` }, element("header", { class: "row" }, element("strong", {}, CHANGES[change]), element("span", { class: "soft" }, place)), contentOf(item));
}

function contentOf({ before, after, words }: DiffItem): HTMLElement {
  if (before && after) {
    if (!words) return inline(wordDiff(textOf(before), textOf(after)));
    const fields = words.map(({ where, pieces }) => element("div", {}, element("h4", {}, fieldWords(where)), inline(pieces.map(({ change, text }) => ({ kind: change, text })))));
    return element("div", { class: "fields" }, ...fields);
  }
  const only = after ?? before;
  return only ? scrolled("Record", "beginning", bubbles(only)) : element("p", { class: "soft" }, "It is too long to be shown here.");
}

/** A place in a record as words: `messages[1].content` is "Message 2". */
export function fieldWords(where: string): string {
  const message = /^messages\[(\d+)\](?:\.(\w+))?$/.exec(where);
  if (!message) return where.replace(/\.content$/, "").replace(/^\w/, (letter) => letter.toUpperCase());
  return `Message ${Number(message[1]) + 1}${message[2] && message[2] !== "content" ? `, ${message[2].replace(/_/g, " ")}` : ""}`;
}
