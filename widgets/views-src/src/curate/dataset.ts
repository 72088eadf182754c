// One dataset: what it is, and its records, files and versions.

import { repeat } from "../host/persist";
import { confirm } from "../parts/dialog";
import { control, element } from "../parts/elements";
import { type Shared, shareButton } from "../parts/share";
import { Tabs } from "../parts/tabs";
import { agoWords, countWords } from "../parts/words";
import { Work } from "../parts/work";
import { askToErase, ERASE_STEP, type Erasure, erasureOf } from "./erase";
import { Files } from "./files";
import { Publish } from "./publish";
import { options, Records } from "./records";
import { askToRemove } from "./remove-dataset";
import { Review } from "./review/review";
import type { Queue } from "./review/things";
import { Splits } from "./splits";
import { ask, attempt, type Context, type Dataset, isCode, mayEdit, type Operation, SENSITIVITIES } from "./things";
import { Versions } from "./versions";

/** How often to look whether somebody else changed the dataset. */
const LOOK_MS = 20_000;
const PARTS: ReadonlySet<string> = new Set(["records", "files", "review", "splits", "versions"]);
const PUBLISHED_BY = "Publishing takes the right to manage. Whoever manages the dataset can share it with you, or with your group.";

/** Where each kind of long step is shown; what is not here is about all of it. */
const PART_OF: Readonly<Record<string, string>> = {
  import: "files",
  collate: "files",
  review: "review",
  decide: "review",
  split: "splits",
  leaks: "splits",
  merge: "versions",
  bulk: "records",
  undo: "records",
  redo: "records",
};

/** What of a dataset is shown. */
export interface Place {
  tab?: string;
  queue?: string;
  version?: string;
}

export interface PageEvents {
  onBack(): void;
  onOperation(id: string | null): void;
  /** Another part of it is shown. */
  onPlace(place: Place): void;
  /** It is gone, or the reader's right to see it. */
  onMissing(): void;
  /** It was erased: there is nothing to look after any more. */
  onErased(): void;
}

/** What was under way, or wanted, when the page was opened. */
export interface Began {
  operation?: string | null;
  version?: string | null;
  /** The tab, and the queue of the review, that were shown. */
  tab?: string | null;
  queue?: string | null;
  /** Ask at once whether to erase it. */
  erase?: boolean;
}

export class DatasetPage {
  readonly element = element("div", { class: "dataset" });
  private readonly head = element("header", { class: "head" });
  private readonly records: Records;
  private readonly files: Files;
  private readonly review: Review;
  private readonly splits: Splits;
  private readonly versions: Versions;
  /** Of what concerns the dataset as a whole. */
  private readonly work: Work;
  private readonly publish: Publish;
  private readonly tabs: Tabs;
  private readonly share: HTMLButtonElement;
  private changing: Changing | null = null;
  /** The tab that is shown. */
  private shown = "";
  /** Ends the looks for what was erased. */
  private readonly gone = new AbortController();

  constructor(
    private readonly context: Context,
    private dataset: Dataset,
    { operation = null, version = null, tab = null, queue = null, erase = false }: Began,
    private readonly events: PageEvents,
  ) {
    const changed = (): void => void this.look();
    const begun = (id: string | null): void => events.onOperation(id);
    const openRecord = (position: string): void => {
      this.tabs.show("records");
      this.records.open(position);
    };
    this.records = new Records(context, dataset, changed, begun);
    this.files = new Files(context, dataset, changed, begun);
    this.review = new Review(context, dataset, { onOperation: begun, onChange: changed, openRecord, onQueue: () => this.tell() });
    this.splits = new Splits(context, dataset, { onOperation: begun, onChange: changed, openRecord });
    this.versions = new Versions(context, dataset, begun, () => this.tell());
    this.work = new Work(context, begun);
    this.publish = new Publish(context, () => this.dataset, {
      onOperation: begun,
      onPublished: () => this.versions.refresh(),
      open: () => this.review.openWords(),
      licence: () => this.versions.licence(),
      onReview: () => this.tabs.show("review"),
    });
    this.tabs = new Tabs(`Parts of ${dataset.name}`, [
      { name: "records", title: "Records", panel: this.records.element },
      { name: "files", title: "Files", panel: this.files.element },
      { name: "review", title: "Review", panel: this.review.element },
      { name: "splits", title: "Splits", panel: this.splits.element },
      { name: "versions", title: "Versions", panel: this.versions.element },
    ], (name) => {
      if (name === "review") void this.review.refresh();
      if (name === "splits") this.splits.refresh();
      this.shown = name;
      this.tell();
    });
    this.share = shareButton(context.host, () => this.shared(), context.signal);
    this.element.append(this.head, this.publish.element, this.work.element, this.tabs.element);
    this.show();
    if (queue) this.review.choose(queue as Queue);
    this.tabs.show(PARTS.has(tab ?? "") ? tab! : dataset.records === 0 && mayEdit(dataset) ? "files" : "records");
    this.versions.refresh();
    if (operation) void this.resume(operation);
    if (erase) void this.erase();
    if (version) {
      this.tabs.show("versions");
      void this.versions.show(version);
    }
    void repeat(() => this.see(), LOOK_MS, AbortSignal.any([context.signal, this.gone.signal]), context.notices.trouble).catch((error: unknown) => context.notices.problem(error, () => void this.look()));
  }

  /** Say what is shown, so that a reload comes back to it. */
  private tell(): void {
    const queue = this.shown === "review" ? this.review.queue : null;
    const version = this.shown === "versions" ? this.versions.shown : null;
    this.events.onPlace({ ...(this.shown ? { tab: this.shown } : {}), ...(queue ? { queue } : {}), ...(version ? { version } : {}) });
  }

  /** Whether leaving would lose something. */
  get busy(): boolean {
    return this.records.busy || this.files.busy || this.changing !== null;
  }

  /** Go on to watch what was begun before this page was loaded again. */
  private async resume(operation: string): Promise<void> {
    try {
      const { kind } = await ask<Operation>(this.context, "operations.get", { operation });
      this.tabs.show(PART_OF[kind] ?? "records");
      await this.follow(operation, kind);
    } catch (error) {
      if (this.context.signal.aborted) return;
      this.events.onOperation(null);
      if (!isCode(error, "not_found")) this.context.notices.problem(error);
    }
  }

  private async follow(operation: string, kind: string): Promise<void> {
    if (kind === "erase") return this.erased(await this.work.resume(ERASE_STEP, operation));
    if (kind === "merge") return this.versions.resume(operation);
    const part = PART_OF[kind];
    if (part === "files") await this.files.resume(operation, kind);
    else if (part === "review") await this.review.resume(operation, kind);
    else if (part === "splits") await this.splits.resume(operation, kind);
    else if (part === "records") await this.records.resume(operation);
    else await this.publish.resume(operation);
  }

  private shared(): Shared {
    const { id, full_name, tenant } = this.dataset;
    return { kind: "datasets", id, name: full_name, owner: tenant };
  }

  private look(): Promise<boolean> {
    return attempt(this.context, () => this.see(), true);
  }

  private async see(): Promise<void> {
    try {
      this.take(await ask<Dataset>(this.context, "datasets.get", { dataset: this.dataset.id }));
    } catch (error) {
      if (isCode(error, "not_found") && !this.context.signal.aborted) this.events.onMissing();
      else throw error;
    }
  }

  private take(dataset: Dataset): void {
    this.dataset = dataset;
    this.records.show(dataset);
    this.files.show(dataset);
    this.review.show(dataset);
    this.splits.show(dataset);
    if (!this.changing) this.show();
  }

  private show(): void {
    const { name, full_name, sensitivity, records, description, right, updated_at } = this.dataset;
    const before = this.focusedIndex(); // some of the buttons move, and lose the focus by that
    const back = control("button", { type: "button", class: "link back" }, "← All datasets");
    back.addEventListener("click", () => void this.leave());
    const chips = [element("span", { class: `chip ${sensitivity}`, title: SENSITIVITIES[sensitivity] ?? "" }, sensitivity)];
    if (!mayEdit(this.dataset)) chips.push(element("span", { class: "chip" }, "you may read it"));
    else if (right !== "manage") chips.push(element("span", { class: "chip", title: PUBLISHED_BY }, "you may edit it, not publish"));
    const facts = `${full_name} · ${countWords(records, "record")} · changed ${agoWords(updated_at)}`;
    const title = element("div", { class: "row title" }, element("h2", {}, name), ...chips, element("span", { class: "row end" }, ...(right === "manage" ? [this.share, this.publish.button] : [])));
    const about = element("div", { class: "row about" }, element("p", { class: description ? "grow text" : "grow soft" }, description || (mayEdit(this.dataset) ? "No description yet." : "")));
    if (mayEdit(this.dataset)) {
      const change = control("button", { type: "button", class: "small", "aria-label": "Edit description and sensitivity" }, "Edit");
      change.addEventListener("click", () => this.change());
      about.append(change);
    }
    if (right === "manage") {
      const remove = control("button", { type: "button", class: "small", "aria-label": `Remove ${name}` }, "Remove");
      remove.addEventListener("click", () => void this.remove());
      about.append(remove);
    }
    this.head.replaceChildren(back, title, element("p", { class: "soft" }, facts), about);
    if (before >= 0) this.head.querySelectorAll("button")[before]?.focus();
  }

  private async remove(): Promise<void> {
    if (this.work.busy) return;
    const answer = await askToRemove(this.context, this.dataset);
    if (answer === "removed") return this.events.onBack();
    if (answer === "published") await this.erase();
  }

  private async erase(): Promise<void> {
    const begun = await askToErase(this.context, this.dataset);
    if (begun) this.erased(await this.work.run(ERASE_STEP, () => Promise.resolve(begun)));
  }

  /** Nothing of it is left to show, but what remains elsewhere. */
  private erased(done: Operation | null): void {
    if (!done?.result) return;
    const back = control("button", { type: "button", class: "main" }, "All datasets");
    back.addEventListener("click", () => this.events.onBack());
    this.gone.abort();
    this.events.onErased();
    this.element.replaceChildren(erasureOf((done.result.erasure ?? done.result) as Erasure), element("div", { class: "row" }, back));
  }

  /** Which of the buttons of the heading has the focus, -1 if none. */
  private focusedIndex(): number {
    return [...this.head.querySelectorAll("button")].indexOf(document.activeElement as HTMLButtonElement);
  }

  private change(): void {
    this.changing = new Changing(this.context, this.dataset, (dataset) => {
      this.changing = null;
      if (dataset) this.take(dataset);
      else this.show();
      this.head.querySelector<HTMLElement>(".about button")?.focus();
    });
    this.head.querySelector(".about")!.replaceWith(this.changing.element);
    this.changing.focus();
  }

  private async leave(): Promise<void> {
    const words = "Something here is not finished: an upload, or a change that is not saved. It is lost when you leave.";
    if (this.busy && !(await confirm(this.context.root, "Leave this dataset?", words, "Leave"))) return;
    this.events.onBack();
  }
}

/** Description and sensitivity, in place. */
class Changing {
  readonly element = control("form", { class: "about changing" });
  private readonly text = control("textarea", { rows: "3", maxlength: "4000" });
  private readonly sensitivity = control("select");

  constructor(
    private readonly context: Context,
    private readonly dataset: Dataset,
    private readonly onDone: (dataset: Dataset | null) => void,
  ) {
    options(this.sensitivity, Object.fromEntries(Object.entries(SENSITIVITIES).map(([name, words]) => [name, `${name}: ${words}`])));
    this.sensitivity.value = dataset.sensitivity;
    this.text.value = dataset.description;
    const cancel = control("button", { type: "button" }, "Cancel");
    cancel.addEventListener("click", () => onDone(null));
    const save = control("button", { type: "submit", class: "main" }, "Save");
    this.element.append(element("label", {}, "Description", this.text), element("label", {}, "Sensitivity", this.sensitivity), element("div", { class: "row" }, save, cancel));
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      save.disabled = true;
      void this.save().then(() => (save.disabled = false));
    });
    this.element.addEventListener("keydown", (event) => {
      if (event.key === "Escape") onDone(null);
    });
  }

  focus(): void {
    this.text.focus();
  }

  /** Said twice it is the same change, so it is tried until it is there. */
  private async save(): Promise<void> {
    await attempt(this.context, async () => {
      const args = { dataset: this.dataset.id, description: this.text.value, sensitivity: this.sensitivity.value };
      this.onDone(await ask<Dataset>(this.context, "datasets.change", args));
    });
  }
}
