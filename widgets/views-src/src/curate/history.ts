// Who changed what and when, what stood there before, and what of it can be undone, redone or restored.

import { confirm } from "../parts/dialog";
import { button, control, element } from "../parts/elements";
import { inline, wordDiff } from "../parts/word-diff";
import { agoWords, countWords, momentWords } from "../parts/words";
import { Work } from "../parts/work";
import { textOf } from "./record";
import { ask, attempt, type Context, type Edit, type List, type Operation, type RecordItem, type Whoami } from "./things";

const SHOWN = 20;
const DONE: Readonly<Record<Edit["action"], string>> = { add: "added", replace: "changed", remove: "removed", restore: "restored", split: "split", mixed: "changed" };

export function wordsOfEdit({ action, record, records }: Edit): string {
  return `${DONE[action]} ${record === null ? countWords(records, "record") : `record ${Number(record).toLocaleString()}`}`;
}

/** What somebody may undo and redo: their own edits, newest first; a new one ends what can be redone. */
export function steps(edits: readonly Edit[], mine: string): { undo: Edit | null; redo: Edit | null } {
  const own = edits.filter(({ editor, forgotten }) => editor === mine && !forgotten);
  const standing = own.findIndex(({ undone }) => !undone);
  const undone = standing < 0 ? own : own.slice(0, standing);
  return { undo: own[standing] ?? null, redo: undone.at(-1) ?? null };
}

interface Stepped {
  edit: Edit;
  record: RecordItem | null;
  passed_over?: number;
  /** What does it, where there are many records; it has not ended. */
  operation?: Operation | null;
}

export class History {
  readonly undo = control("button", { type: "button", "aria-disabled": "true", title: "Undo (Ctrl+Z)" }, "Undo");
  readonly redo = control("button", { type: "button", "aria-disabled": "true", title: "Redo (Ctrl+Shift+Z)" }, "Redo");
  readonly list = element("details", { class: "history" });
  readonly work: Work;
  private readonly items = element("ol");
  private readonly more = button("Earlier changes", () => void this.look(this.edits.at(-1)?.id ?? null), "small");
  private edits: Edit[] = [];
  private mine: string | null = null;
  private stepping = false;

  constructor(
    private readonly context: Context,
    private readonly dataset: string,
    private readonly say: (words: string) => void,
    private readonly onStep: (record: RecordItem | null, position: string | null) => void,
  ) {
    this.work = new Work(context);
    this.more.hidden = true;
    this.list.append(control("summary", {}, "History"), this.items, this.more);
    this.list.addEventListener("toggle", () => void this.look());
    this.undo.addEventListener("click", () => void this.step("undo"));
    this.redo.addEventListener("click", () => void this.step("redo"));
  }

  /** See what was edited; `after` goes on behind an edit. */
  async look(after: string | null = null): Promise<void> {
    try {
      this.mine ??= (await ask<Whoami>(this.context, "whoami")).tenant;
      const { items, has_more } = await ask<List<Edit>>(this.context, "edits.list", { dataset: this.dataset, limit: SHOWN, ...(after ? { after } : {}) });
      this.edits = after ? [...this.edits, ...items] : items;
      this.more.hidden = !has_more;
      this.show(this.mine);
    } catch (error) {
      if (!this.context.signal.aborted) this.context.notices.problem(error);
    }
  }

  /** Undo or redo; not tried again by itself, for a second time would be a second step. */
  async step(which: "undo" | "redo", edit: Edit | null = null): Promise<void> {
    if (this.stepping || (edit === null && this[which].getAttribute("aria-disabled") === "true")) return;
    this.stepping = true;
    try {
      const answer = await this.context.host.call(`edits.${which}`, { dataset: this.dataset, ...(edit ? { edit: edit.id } : {}) });
      let stepped = answer as unknown as Stepped;
      if (stepped.operation) {
        const title = `${which === "undo" ? "Undoing" : "Redoing"}: ${wordsOfEdit(stepped.edit)}`;
        const done = await this.work.resume({ title, cancelled: "It was cancelled; nothing was changed." }, stepped.operation.id);
        if (!done) return;
        stepped = { ...stepped, ...(done.result as Partial<Stepped> | null), edit: stepped.edit, record: null };
      }
      const left = stepped.passed_over ? ` ${countWords(stepped.passed_over, "record")} changed since by others ${stepped.passed_over === 1 ? "stays" : "stay"} so.` : "";
      this.say(`${which === "undo" ? "Undid" : "Redid"}: ${wordsOfEdit(stepped.edit)}.${left}`);
      this.onStep(stepped.record, stepped.edit.record);
    } catch (error) {
      if (!this.context.signal.aborted) this.context.notices.problem(error);
    } finally {
      this.stepping = false;
      await this.look();
    }
  }

  /** Bring back a record that somebody removed. */
  private async restore(position: string): Promise<void> {
    await attempt(this.context, async () => {
      await this.context.host.call("records.restore", { dataset: this.dataset, position });
      this.say(`Restored record ${Number(position).toLocaleString()}.`);
      this.onStep(null, null);
      await this.look();
    });
  }

  private show(mine: string): void {
    const { undo, redo } = steps(this.edits, mine);
    offer(this.undo, "Undo", undo);
    offer(this.redo, "Redo", redo);
    const none = element("li", { class: "soft" }, "Nothing was edited by hand yet.");
    this.items.replaceChildren(...(this.edits.length > 0 ? this.edits.map((edit) => this.line(edit, mine)) : [none]));
  }

  private line(edit: Edit, mine: string): HTMLElement {
    const { editor, at, undone, batch, forgotten } = edit;
    const when = element("time", { datetime: at, title: momentWords(at), class: "soft" }, agoWords(at));
    const chips = [undone ? "undone" : "", batch ?? "", forgotten ? "contents forgotten" : ""].filter(Boolean).map((words) => element("span", { class: "chip" }, words));
    return element("li", {}, element("span", {}, `${editor} ${wordsOfEdit(edit)}`), ...chips, ...this.acts(edit, mine), when, ...changeOf(edit));
  }

  private acts(edit: Edit, mine: string): HTMLElement[] {
    const { editor, undone, action, record, forgotten } = edit;
    if (this.undo.hidden || forgotten) return [];
    const forget = action === "add" || action === "split" ? [] : [button("Forget", () => void this.forget(edit), "small", `Forget what stood there: ${wordsOfEdit(edit)}`)];
    if (undone) return forget;
    if (editor === mine) return [button("Undo", () => void this.step("undo", edit), "small", `Undo: ${wordsOfEdit(edit)}`), ...forget];
    return action === "remove" && record ? [button("Restore", () => void this.restore(record), "small", `Restore record ${record}`), ...forget] : forget;
  }

  /** Drop what an edit replaced or removed from the log as well. */
  private async forget(edit: Edit): Promise<void> {
    const words = "What stood there before is dropped from the history, too: nobody can read it or bring it back. Published versions stay as they are.";
    if (!(await confirm(this.context.root, "Forget what stood there?", words, "Forget it"))) return;
    await attempt(this.context, async () => {
      await this.context.host.call("edits.forget", { dataset: this.dataset, edit: edit.id });
      this.say("Forgotten.");
      await this.look();
    });
  }
}

/** What stood there before and what stands there since, word by word. */
function changeOf({ before, after }: Edit): HTMLElement[] {
  if (!before && !after) return [];
  const box = element("div", { class: "change" });
  const details = control("details", {}, control("summary", {}, before && after ? "What changed" : before ? "What it said" : "What it says"), box);
  details.addEventListener("toggle", () => {
    if (details.open && box.childElementCount === 0) box.append(inline(wordDiff(before ? textOf(before) : "", after ? textOf(after) : "")));
  });
  return [details];
}

function offer(button: HTMLButtonElement, word: string, edit: Edit | null): void {
  // Not `disabled`: that would take the focus from whoever presses it again and again.
  button.setAttribute("aria-disabled", String(edit === null));
  button.setAttribute("aria-label", edit ? `${word}: ${wordsOfEdit(edit)}` : word);
}
