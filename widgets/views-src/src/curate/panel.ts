// One record beside the table: how it reads, and the editor for it.

import { HostError, isPassing, wordsOf } from "../host/host";
import { newKey } from "../host/key";
import type { Trouble } from "../host/persist";
import { confirm } from "../parts/dialog";
import { control, element } from "../parts/elements";
import { momentWords } from "../parts/words";
import { bubbles } from "./bubbles";
import { recordLineage } from "./lineage/record";
import { Editor } from "./editor";
import { type DraftRecord, emptyRecord, KINDS, lengthOf } from "./record";
import { languageWords, ruleWords } from "./review/things";
import { addRecord, changeRecord, recordAt, removeRecord } from "./saving";
import type { Context, RecordItem } from "./things";

const WAITING = "Not saved yet: the connection is lost. It is tried again by itself; leave this open.";

/** Of a panel that is to be read, at least this much shall be seen. */
const IN_SIGHT_PX = 160;

export interface PanelEvents {
  /** A record was saved, added or removed. */
  onChange(words: string): void;
  onClose(): void;
  /** The near duplicates of a record are wanted. */
  onGroup(group: number): void;
}

export class RecordPanel {
  readonly element = element("section", { class: "panel", "aria-label": "Record", hidden: true });
  private readonly title = element("h3", { tabindex: "-1" });
  private readonly chips = element("span", { class: "row" });
  private readonly body = element("div", { class: "panel-body" });
  private readonly actions = element("div", { class: "row actions" });
  private readonly status = element("p", { role: "status", class: "status" });
  private item: RecordItem | null = null;
  private editor: Editor | null = null;
  /** What the editor began with. */
  private original: DraftRecord | null = null;
  private key = "";
  /** Ends a save that is still being tried. */
  private saving: AbortController | null = null;
  private asked = 0;

  constructor(
    private readonly context: Context,
    private readonly dataset: string,
    private mayEdit: boolean,
    private readonly events: PanelEvents,
  ) {
    const close = button("✕", () => void this.close(), "small");
    close.setAttribute("aria-label", "Close the record");
    this.element.append(element("header", { class: "row" }, this.title, this.chips, element("span", { class: "end" }, close)), this.body, this.status, this.actions);
    this.element.addEventListener("keydown", (event) => this.pressed(event));
  }

  /** The position of the record that is open. */
  get position(): string | null {
    return this.element.hidden ? null : (this.item?.id ?? null);
  }

  /** Whether closing it now would lose something. */
  get dirty(): boolean {
    return this.saving !== null || (this.editor !== null && this.editor.differs(this.original!));
  }

  allow(mayEdit: boolean): void {
    if (mayEdit === this.mayEdit) return;
    this.mayEdit = mayEdit;
    if (this.item && !this.editor) this.read(this.item);
  }

  private pressed(event: KeyboardEvent): void {
    const editing = this.editor?.element.contains(event.target as Node) ?? false;
    const saves = editing && event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing;
    const leaves = event.key === "Escape" && !(event.target instanceof HTMLSelectElement);
    if (!saves && !leaves) return;
    event.stopPropagation();
    if (!saves) return void (this.editor ? this.cancel() : this.close());
    event.preventDefault();
    void this.save();
  }

  /** Show the record at a position. */
  async open(position: string): Promise<void> {
    if (!(await this.left())) return;
    const asked = ++this.asked;
    this.actions.toggleAttribute("inert", true); // they are about the record before
    try {
      const item = await recordAt(this.context, this.dataset, position, this.context.notices.trouble);
      if (asked !== this.asked) return;
      if (item) return this.read(item);
      throw new HostError("not_found", `Record ${position} is not there any more.`);
    } catch (error) {
      if (!this.context.signal.aborted) this.context.notices.problem(error);
    } finally {
      if (asked === this.asked) this.actions.toggleAttribute("inert", false);
    }
  }

  /** Somebody may have changed the record that is being read. */
  async renew(): Promise<void> {
    const { item, asked } = this;
    if (this.element.hidden || !item || this.editor) return;
    const now = await recordAt(this.context, this.dataset, item.id, this.context.notices.trouble).catch(() => item);
    if (this.item !== item || this.asked !== asked || this.editor) return;
    if (now === null) this.hide();
    else if (now.record_id !== item.record_id) this.read(now);
  }

  /** Show the record as it is now, after an undo. */
  replace(position: string, item: RecordItem | null): void {
    if (this.position !== position || this.editor) return;
    if (item) this.read(item);
    else this.hide();
  }

  async add(): Promise<void> {
    if (!(await this.left())) return;
    this.asked++;
    this.item = null;
    this.key = newKey();
    this.edit(emptyRecord("chat"));
  }

  async close(): Promise<void> {
    if (await this.left()) this.hide();
  }

  private hide(): void {
    this.element.hidden = true;
    this.item = this.editor = null;
    this.events.onClose();
  }

  /** Ask before something is lost. */
  private async left(): Promise<boolean> {
    if (this.dirty && !(await confirm(this.context.root, "Discard your changes?", "This record holds changes of yours that are not saved.", "Discard them"))) return false;
    this.saving?.abort();
    this.editor = null;
    return true;
  }

  private read(item: RecordItem): void {
    this.item = item;
    this.editor = null;
    const kind = KINDS[item.record.kind] ?? "";
    const length = `${(item.length ?? lengthOf(item.record)).toLocaleString()} characters`;
    this.head(`Record ${Number(item.id).toLocaleString()}`, kind, length, ...(item.edited ? ["edited"] : []));
    const changed = item.edited && item.changed_at ? [element("p", { class: "soft" }, `Edited ${momentWords(item.changed_at)}.`)] : [];
    this.body.replaceChildren(bubbles(item.record), this.facts(item), ...changed, this.lineage(item));
    this.act(...(this.mayEdit ? [button("Edit", () => this.edit(item.record), "main"), button("Delete", () => void this.remove(item), "danger")] : []));
    this.appear();
  }

  /** What the review and the splits say of it. */
  private facts({ language, flags = [], group, split }: RecordItem): HTMLElement {
    const chips = [split ? `split: ${split}` : "", language ? languageWords(language) : "", ...flags.map((flag) => ruleWords("quality", flag))].filter(Boolean);
    const alike = typeof group === "number" ? [button("Near duplicates of it", () => this.events.onGroup(group), "link")] : [];
    return element("div", { class: "row facts" }, ...chips.map((words) => element("span", { class: "chip" }, words)), ...alike);
  }

  /** Where it went, once somebody asks. */
  private lineage(item: RecordItem): HTMLElement {
    const box = element("div");
    const details = control("details", { class: "seen" }, control("summary", {}, "Which adapters saw it?"), box);
    details.addEventListener("toggle", () => {
      if (details.open) box.replaceChildren(recordLineage(this.context, item.record_id));
    });
    return details;
  }

  private edit(record: DraftRecord): void {
    this.editor = new Editor(record, this.item === null);
    this.original = record;
    if (this.item) this.head(`Edit record ${Number(this.item.id).toLocaleString()}`);
    else this.head("New record");
    this.body.replaceChildren(this.editor.element);
    this.offerSave();
    this.appear();
    this.editor.focus();
  }

  private offerSave(): void {
    const save = button(this.item ? "Save" : "Add", () => void this.save(), "main");
    save.title = `${save.textContent} (Ctrl+Enter)`;
    this.act(save, button("Cancel", () => void this.cancel()));
  }

  private async cancel(): Promise<void> {
    if (!(await this.left())) return;
    if (this.item) this.read(this.item);
    else this.hide();
  }

  private async save(): Promise<void> {
    const editor = this.editor;
    if (!editor || this.saving) return;
    const saving = (this.saving = new AbortController());
    const place = { host: this.context.host, signal: AbortSignal.any([saving.signal, this.context.signal]) };
    this.lock(true, "Saving …");
    try {
      const record = editor.value();
      const item = this.item;
      if (item === null) return this.done(await addRecord(place, this.dataset, record, this.key, this.trouble), "Added");
      const outcome = await changeRecord(place, this.dataset, item, record, this.trouble);
      if ("saved" in outcome) this.done(outcome.saved, "Saved");
      else this.choose(record, outcome.theirs);
    } catch (error) {
      if (!saving.signal.aborted && !this.context.signal.aborted) this.refused(editor, error);
    } finally {
      if (this.saving === saving) {
        this.saving = null;
        this.lock(false);
      }
    }
  }

  /** Says in the panel itself that a save has not arrived. */
  private readonly trouble: Trouble = (error) => {
    if (error === null) this.status.textContent = "Saving …";
    else if (isPassing(error)) this.status.textContent = WAITING;
    this.status.classList.toggle("warn", error !== null);
  };

  private refused(editor: Editor, error: unknown): void {
    const fields = error instanceof HostError ? error.fields : [];
    editor.show(fields, fields.length > 0 ? "" : wordsOf(error));
  }

  private done(item: RecordItem, word: string): void {
    this.saving = null;
    this.lock(false);
    this.read(item);
    this.title.focus();
    this.events.onChange(`${word} record ${Number(item.id).toLocaleString()}.`);
  }

  /** Somebody else changed the record: both versions, and the reader decides. */
  private choose(mine: DraftRecord, theirs: RecordItem | null): void {
    const words = theirs ? "Somebody changed this record while you edited it. Which one shall stay?" : "Somebody removed this record while you edited it.";
    const columns = [element("div", {}, element("h4", {}, "Yours"), bubbles(mine)), ...(theirs ? [element("div", {}, element("h4", {}, "Theirs"), bubbles(theirs.record))] : [])];
    this.body.replaceChildren(element("p", { class: "notice warn", role: "alert" }, words), element("div", { class: "both" }, ...columns), element("div", { hidden: true }, this.editor!.element));
    const back = button("Edit mine", () => this.again(theirs));
    if (theirs) this.act(button("Keep mine", () => void this.keep(theirs), "main"), button("Take theirs", () => this.read(theirs)), back);
    else this.act(button("Add mine as a new record", () => void this.keep(null), "main"), button("Discard mine", () => this.hide()));
  }

  /** Go on editing, on top of what is there now. */
  private again(theirs: RecordItem | null): void {
    this.item = theirs;
    this.body.replaceChildren(this.editor!.element);
    this.offerSave();
  }

  private async keep(theirs: RecordItem | null): Promise<void> {
    if (!theirs) this.key = newKey();
    this.again(theirs);
    await this.save();
  }

  private async remove(item: RecordItem): Promise<void> {
    const number = Number(item.id).toLocaleString();
    const trouble = this.context.notices.trouble;
    try {
      const theirs = await removeRecord(this.context, this.dataset, item, trouble);
      if (theirs) {
        this.read(theirs);
        this.status.textContent = "Somebody changed this record just now. Look at it before you delete it.";
        return;
      }
      if (this.item === item) this.hide();
      this.events.onChange(`Deleted record ${number}. Undo brings it back.`);
    } catch (error) {
      if (!this.context.signal.aborted) this.context.notices.problem(error);
    }
  }

  private head(title: string, ...chips: string[]): void {
    this.title.textContent = title;
    this.chips.replaceChildren(...chips.filter(Boolean).map((words) => element("span", { class: "chip" }, words)));
    this.status.textContent = "";
    this.status.classList.remove("warn");
  }

  private act(...buttons: HTMLElement[]): void {
    this.actions.replaceChildren(...buttons);
    this.actions.toggleAttribute("inert", false);
    this.actions.hidden = buttons.length === 0;
  }

  /** While a save is tried, nothing may change under it; it can still be given up. */
  private lock(locked: boolean, words = ""): void {
    this.status.textContent = words;
    this.status.classList.remove("warn");
    this.editor?.element.toggleAttribute("inert", locked);
    const save = this.actions.querySelector<HTMLButtonElement>(".main");
    if (save) save.disabled = locked;
  }

  private appear(): void {
    this.element.hidden = false;
    // Below a table in a narrow place it may be out of sight.
    if (this.element.getBoundingClientRect().top > innerHeight - IN_SIGHT_PX) this.element.scrollIntoView({ block: "nearest" });
  }
}

function button(words: string, act: () => void, style = ""): HTMLButtonElement {
  const made = control("button", { type: "button", class: style }, words);
  made.addEventListener("click", act);
  return made;
}
