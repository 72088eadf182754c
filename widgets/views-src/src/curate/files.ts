// The Files tab: uploads, and the files that are in the draft.

import { confirm } from "../parts/dialog";
import { fetched } from "../parts/download";
import { button, control, element } from "../parts/elements";
import { agoWords, bytesWords, countWords, momentWords } from "../parts/words";
import { Work } from "../parts/work";
import { askToCollate, COLLATE_STEP, collatedWords } from "./collate";
import { Collated } from "./collated";
import { ask, attempt, type Context, type Dataset, type FileInfo, FORMATS, isCode, type List, mayEdit, type Operation } from "./things";
import { Uploads } from "./uploads";

const PAGE = 100;
/** How soon to look what became of a file that is being read in. */
const READ_MS = 3000;
const STATES: Readonly<Record<FileInfo["state"], string>> = { ready: "", importing: "being read in", receiving: "unfinished upload", received: "not imported yet", refused: "refused" };

export class Files {
  readonly element = element("div", { class: "files" });
  private readonly uploads: Uploads;
  private readonly body = element("tbody");
  private readonly table: HTMLTableElement;
  private readonly empty = element("p", { class: "empty", hidden: true });
  private readonly more = control("button", { type: "button", hidden: true }, "Load more");
  private files: FileInfo[] = [];
  private readonly collate = button("Take records from other datasets …", () => void this.askToCollate());
  private readonly work: Work;
  private readonly collated: Collated;
  private reading: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly context: Context,
    private dataset: Dataset,
    private readonly onChange: () => void,
    private readonly onOperation: (id: string | null) => void = () => undefined,
  ) {
    this.uploads = new Uploads(context, dataset.id, { done: () => this.changed(), operation: (id) => this.onOperation(id) });
    this.work = new Work(context, (id) => {
      this.collate.disabled = id !== null;
      this.onOperation(id);
    });
    this.collated = new Collated(context, dataset.id, () => this.changed());
    const head = element("tr", {}, column("File"), column("Format", "wide"), column("Size", "number wide"), column("Records", "number"), column("Uploaded", "wide"), element("td"));
    this.table = element("table", { "aria-label": "Files", hidden: true }, element("thead", {}, head), this.body);
    this.more.addEventListener("click", () => void this.load(this.files.at(-1)?.id ?? null));
    this.element.append(this.uploads.element, element("div", {}, this.collate), this.work.element, this.table, this.more, this.empty, this.collated.element);
    this.show(dataset);
    void this.load(null);
    context.signal.addEventListener("abort", () => clearTimeout(this.reading), { once: true });
  }

  get busy(): boolean {
    return this.uploads.busy;
  }

  /** Follow a long step that was begun before. */
  async resume(operation: string, kind: string): Promise<void> {
    if (kind === "import") return this.uploads.resume(operation);
    this.taken(await this.work.resume(COLLATE_STEP, operation));
  }

  show(dataset: Dataset): void {
    const changed = dataset.updated_at !== this.dataset.updated_at || mayEdit(dataset) !== mayEdit(this.dataset);
    this.dataset = dataset;
    this.uploads.element.hidden = this.collate.hidden = !mayEdit(dataset);
    this.empty.textContent = mayEdit(dataset) ? "No files yet. Upload one, or add records by hand in the Records tab." : "This dataset has no files.";
    if (changed) void this.load(null);
  }

  private async load(after: string | null): Promise<void> {
    await attempt(this.context, async () => {
      const args = { dataset: this.dataset.id, limit: PAGE, ...(after ? { after } : {}) };
      const { items, has_more } = await ask<List<FileInfo>>(this.context, "files.list", args);
      this.files = after ? [...this.files, ...items] : items;
      this.more.hidden = !has_more;
      this.body.replaceChildren(...this.files.map((file) => this.row(file)));
      this.table.hidden = this.files.length === 0;
      this.empty.hidden = this.files.length > 0;
      this.lookAgain();
    }, true);
    if (!after) await this.collated.look(mayEdit(this.dataset));
  }

  /** Whoever reads a file in, it soon has records, or is refused and gone. */
  private lookAgain(): void {
    clearTimeout(this.reading);
    if (this.context.signal.aborted || !this.files.some(({ state }) => state === "importing")) return;
    this.reading = setTimeout(() => void this.load(null), READ_MS);
  }

  private row(file: FileInfo): HTMLElement {
    const { name, format, state, bytes, records, created_at: at } = file;
    const chip = STATES[state] ? [" ", element("span", { class: "chip" }, STATES[state])] : [];
    const formatWords = FORMATS[format ?? ""] ?? format ?? "–";
    const when = element("time", { datetime: at, title: momentWords(at) }, agoWords(at));
    return element(
      "tr",
      {},
      element("th", { scope: "row", class: "name" }, name, ...chip, element("span", { class: "narrow soft" }, `${formatWords} · ${bytesWords(bytes)}`)),
      element("td", { class: "wide" }, formatWords),
      element("td", { class: "number wide" }, bytesWords(bytes)),
      element("td", { class: "number" }, records.toLocaleString()),
      element("td", { class: "wide" }, when),
      element("td", { class: "number" }, element("div", { class: "row actions" }, ...(mayEdit(this.dataset) ? [...this.goOn(file), ...this.original(file), this.removeButton(file)] : []))),
    );
  }

  /** The file as it came: to be had back, or to be forgotten while its records stay. */
  private original(file: FileInfo): HTMLElement[] {
    const { original, state, name, id } = file;
    if (!original || state !== "ready") return [];
    const get = (): Promise<boolean> => attempt(this.context, async () => void (await fetched(this.context, "files.original", { dataset: this.dataset.id, file: id }, this.context.signal, () => undefined)));
    return [button("Download", () => void get(), "small", `Download ${name}`), button("Forget original", () => void this.forget(file), "small", `Forget original ${name}`)];
  }

  private async forget(file: FileInfo): Promise<void> {
    const words = "The file as it came is deleted, with what you replaced or removed since. Its records stay in the draft, and published versions as they are.";
    if (!(await confirm(this.context.root, `Forget the original of ${file.name}?`, words, "Forget it"))) return;
    await attempt(this.context, async () => {
      await ask(this.context, "files.forget-original", { dataset: this.dataset.id, file: file.id });
      this.changed();
    });
  }

  /** What is left to do with a file that is not, or not all, in the draft. */
  private goOn(file: FileInfo): HTMLElement[] {
    const { state, problems = 0, name } = file;
    const words = state === "received" ? "Import …" : state === "refused" ? "Why?" : state === "ready" && problems > 0 ? countWords(problems, "bad record") : "";
    return words ? [button(words, () => this.uploads.take(file), "small", `${words} ${name}`)] : [];
  }

  private async askToCollate(): Promise<void> {
    if (this.work.busy) return;
    const begun = await askToCollate(this.context, this.dataset);
    if (begun) this.taken(await this.work.run(COLLATE_STEP, () => Promise.resolve(begun)));
  }

  private taken(done: Operation | null): void {
    if (done?.result) this.work.say("Taken in.", true, ...collatedWords(done.result).map((words) => element("p", {}, words)));
    this.changed();
  }

  private removeButton(file: FileInfo): HTMLElement {
    const button = control("button", { type: "button", class: "small", "aria-label": `Remove ${file.name}` }, "Remove");
    button.addEventListener("click", () => void this.remove(file));
    return button;
  }

  private async remove(file: FileInfo): Promise<void> {
    const words = `This takes its ${countWords(file.records, "record")} away, with what you edited in them. It cannot be undone. Published versions stay as they are.`;
    if (!(await confirm(this.context.root, `Remove ${file.name}?`, words, "Remove it"))) return;
    await attempt(this.context, async () => {
      try {
        await ask(this.context, "files.remove", { dataset: this.dataset.id, file: file.id });
      } catch (error) {
        if (!isCode(error, "not_found")) throw error; // gone already: an answer was lost
      }
      this.changed();
    });
  }

  private changed(): void {
    void this.load(null);
    this.onChange();
  }
}

export function column(title: string, style = ""): HTMLElement {
  return element("th", { scope: "col", class: style }, title);
}
