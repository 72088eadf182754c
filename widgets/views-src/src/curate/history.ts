// What was edited by hand, and what of it the reader can undo and redo.

import { control, element } from "../parts/elements";
import { agoWords, momentWords } from "../parts/words";
import { ask, type Context, type Edit, type List, type RecordItem, type Whoami } from "./things";

const SHOWN = 20;
const DONE: Readonly<Record<Edit["action"], string>> = { add: "added", replace: "changed", remove: "removed" };

export function wordsOfEdit({ action, record }: Edit): string {
  return `${DONE[action]} record ${Number(record).toLocaleString()}`;
}

/** What somebody may undo and redo: their own edits, newest first; a new one ends what can be redone. */
export function steps(edits: readonly Edit[], mine: string): { undo: Edit | null; redo: Edit | null } {
  const own = edits.filter(({ editor }) => editor === mine);
  const standing = own.findIndex(({ undone }) => !undone);
  const undone = standing < 0 ? own : own.slice(0, standing);
  return { undo: own[standing] ?? null, redo: undone.at(-1) ?? null };
}

export class History {
  readonly undo = control("button", { type: "button", "aria-disabled": "true", title: "Undo (Ctrl+Z)" }, "Undo");
  readonly redo = control("button", { type: "button", "aria-disabled": "true", title: "Redo (Ctrl+Shift+Z)" }, "Redo");
  readonly list = element("details", { class: "history" });
  private readonly items = element("ol");
  private mine: string | null = null;
  private stepping = false;

  constructor(
    private readonly context: Context,
    private readonly dataset: string,
    private readonly say: (words: string) => void,
    private readonly onStep: (record: RecordItem | null, position: string) => void,
  ) {
    this.list.append(control("summary", {}, "History"), this.items);
    this.list.addEventListener("toggle", () => void this.look());
    this.undo.addEventListener("click", () => void this.step("undo"));
    this.redo.addEventListener("click", () => void this.step("redo"));
  }

  /** See what was edited. */
  async look(): Promise<void> {
    try {
      this.mine ??= (await ask<Whoami>(this.context, "whoami")).tenant;
      const { items } = await ask<List<Edit>>(this.context, "edits.list", { dataset: this.dataset, limit: SHOWN });
      this.show(items, this.mine);
    } catch (error) {
      if (!this.context.signal.aborted) this.context.notices.problem(error);
    }
  }

  /** Undo or redo; not tried again by itself, for a second time would be a second step. */
  async step(which: "undo" | "redo"): Promise<void> {
    if (this.stepping || this[which].getAttribute("aria-disabled") === "true") return;
    this.stepping = true;
    try {
      const answer = await this.context.host.call(`edits.${which}`, { dataset: this.dataset });
      const { edit, record } = answer as unknown as { edit: Edit; record: RecordItem | null };
      this.say(`${which === "undo" ? "Undid" : "Redid"}: ${wordsOfEdit(edit)}.`);
      this.onStep(record, edit.record);
    } catch (error) {
      if (!this.context.signal.aborted) this.context.notices.problem(error);
    } finally {
      this.stepping = false;
      await this.look();
    }
  }

  private show(edits: Edit[], mine: string): void {
    const { undo, redo } = steps(edits, mine);
    offer(this.undo, "Undo", undo);
    offer(this.redo, "Redo", redo);
    const none = element("li", { class: "soft" }, "Nothing was edited by hand yet.");
    this.items.replaceChildren(...(edits.length > 0 ? edits.map(line) : [none]));
  }
}

function offer(button: HTMLButtonElement, word: string, edit: Edit | null): void {
  // Not `disabled`: that would take the focus from whoever presses it again and again.
  button.setAttribute("aria-disabled", String(edit === null));
  button.setAttribute("aria-label", edit ? `${word}: ${wordsOfEdit(edit)}` : word);
}

function line(edit: Edit): HTMLElement {
  const when = element("time", { datetime: edit.at, title: momentWords(edit.at), class: "soft" }, agoWords(edit.at));
  const undone = edit.undone ? [element("span", { class: "chip" }, "undone")] : [];
  return element("li", {}, element("span", {}, `${edit.editor} ${wordsOfEdit(edit)}`), ...undone, when);
}
