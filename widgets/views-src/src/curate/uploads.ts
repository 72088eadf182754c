// The place where files are dropped, and how far each of them is.

import { HostError, wordsOf } from "../host/host";
import { copyButton } from "../parts/copy";
import { control, element } from "../parts/elements";
import { bytesWords, shareWords } from "../parts/words";
import { Work } from "../parts/work";
import { Import, IMPORT_STEP } from "./imports/import";
import { options } from "./records";
import { type Context, type FileInfo, FORMATS, type List } from "./things";

/** Files that are sent at once; the others wait. */
const AT_ONCE = 2;

export class Uploads {
  readonly element = element("div", { class: "uploads" });
  private readonly zone = control("button", { type: "button", class: "drop" });
  private readonly input = element("input", { type: "file", multiple: true, hidden: true, accept: ".json,.jsonl,.csv,.tsv,.parquet,.arrow,.txt,.md,.zip" });
  private readonly format = control("select");
  private readonly list = element("ul", { class: "sending" });
  private readonly waiting: Upload[] = [];
  private readonly running = new Set<Upload>();

  constructor(
    private readonly context: Context,
    private readonly dataset: string,
    /** Hears that there is something new in the list of files, and which import has begun or ended. */
    private readonly tell: { done(): void; operation(id: string | null): void },
  ) {
    options(this.format, { "": "Found out by itself", ...FORMATS });
    this.zone.append(element("strong", {}, "Drop files here, or press to choose them"), element("span", { class: "soft" }, "JSON, JSON Lines, CSV, TSV, Parquet, Arrow, plain text, or a .zip of them"));
    this.element.append(this.zone, this.input, element("label", { class: "format" }, "Format of the files", this.format), this.list);
    this.listen();
  }

  /** Whether leaving would break something off. */
  get busy(): boolean {
    return this.running.size + this.waiting.length > 0; // a file that has come waits in the list of files
  }

  /** Go on with a file that has come before, or failed to become records. */
  take(file: FileInfo): void {
    const item = element("li");
    this.list.prepend(item);
    this.import(file, item);
    item.scrollIntoView({ block: "nearest" });
  }

  /** Follow an import that was begun before, for instance before this page was loaded again. */
  async resume(operation: string): Promise<void> {
    const work = new Work(this.context, (id) => this.tell.operation(id));
    this.element.append(work.element);
    await work.resume(IMPORT_STEP, operation);
    this.tell.done();
  }

  private import(file: FileInfo, item: HTMLElement): void {
    const made = new Import(this.context, this.dataset, file, this.format.value, { onChange: () => this.tell.done(), onOperation: (id) => this.tell.operation(id) });
    item.replaceChildren(made.element);
    void made.begin();
  }

  private listen(): void {
    this.zone.addEventListener("click", () => this.input.click());
    this.input.addEventListener("change", () => {
      this.send([...(this.input.files ?? [])]);
      this.input.value = ""; // the same file may be chosen again once it is mended
    });
    for (const name of ["dragenter", "dragover", "dragleave", "drop"] as const) {
      this.element.addEventListener(name, (event) => {
        if (!event.dataTransfer?.types.includes("Files")) return;
        event.preventDefault();
        event.stopPropagation();
        this.zone.classList.toggle("over", name === "dragenter" || name === "dragover");
        if (name === "drop") this.send([...event.dataTransfer.files]);
      });
    }
  }

  private send(files: File[]): void {
    for (const file of files) this.list.prepend(this.queue(file).element);
    this.pump();
  }

  private queue(file: File): Upload {
    const upload: Upload = new Upload(this.context, this.dataset, file, {
      another: () => this.input.click(),
      sent: (info) => this.import(info, upload.element),
      again: () => {
        upload.element.replaceWith(this.queue(file).element);
        this.pump();
      },
    });
    this.waiting.push(upload);
    return upload;
  }

  private pump(): void {
    while (this.running.size < AT_ONCE) {
      const upload = this.waiting.shift();
      if (!upload) return;
      this.running.add(upload);
      void upload.run().then(() => {
        this.running.delete(upload);
        this.tell.done(); // also if it is not in: the list may hold it as one that is being read
        this.pump();
      });
    }
  }
}

/** What can be done about an upload that ended. */
interface Remedies {
  another(): void;
  again(): void;
  /** It has come whole; what it becomes is decided next. */
  sent(file: FileInfo): void;
}

class Upload {
  readonly element = element("li", { class: "upload" });
  private readonly words = element("span", { class: "soft", role: "status" }, "waiting");
  private readonly bar = element("progress", { max: "1", value: "0" });
  private readonly controller = new AbortController();
  private readonly signal: AbortSignal;
  private readonly cancel = control("button", { type: "button", class: "small" }, "Cancel");

  constructor(
    private readonly context: Context,
    private readonly dataset: string,
    private readonly file: File,
    private readonly remedies: Remedies,
  ) {
    this.signal = AbortSignal.any([this.controller.signal, context.signal]);
    this.bar.setAttribute("aria-label", `Upload of ${file.name}`);
    this.cancel.setAttribute("aria-label", `Cancel the upload of ${file.name}`);
    this.cancel.addEventListener("click", () => this.controller.abort());
    this.element.append(element("div", { class: "row" }, element("strong", {}, file.name), this.words, element("span", { class: "end" }, this.cancel)), this.bar);
  }

  /** Send it and say what came of it. */
  async run(): Promise<void> {
    try {
      const file = this.signal.aborted ? null : await this.send();
      if (file) this.remedies.sent(file);
      else if (!this.context.signal.aborted) await this.stopped();
    } catch (error) {
      if (!this.context.signal.aborted) this.failed(error);
    }
  }

  private async send(): Promise<FileInfo | null> {
    const args = { dataset: this.dataset, file: this.file.name, content: this.file, import: "later" };
    for await (const event of this.context.host.stream("files.put", args, this.signal)) {
      const { sent, total } = event as { sent?: number; total?: number };
      if (sent === undefined || total === undefined) return event as unknown as FileInfo;
      this.progress(sent, total);
    }
    return null;
  }

  private progress(sent: number, total: number): void {
    this.bar.value = sent / total;
    this.words.textContent = `${bytesWords(sent)} of ${bytesWords(total)} · ${shareWords(sent / total)}`;
  }

  private failed(error: unknown): void {
    const problems = error instanceof HostError ? error.fields : [];
    const lines = problems.map(({ where, reason, remedy }) => `${where}: ${reason} ${remedy}`.trim());
    const parts: Node[] = [element("p", {}, element("strong", {}, `✗ ${this.file.name}`), ` · ${wordsOf(error)}`)];
    if (problems.length > 0) parts.push(tableOf(problems));
    const again = control("button", { type: "button", class: "small" }, "Try another file");
    again.addEventListener("click", () => this.remedies.another());
    const retry = control("button", { type: "button", class: "small" }, "Retry");
    retry.addEventListener("click", () => this.remedies.again());
    const copy = copyButton("Copy the list", `Copy the list of what is wrong with ${this.file.name}`, () => lines.join("\n"));
    this.end("bad", ...parts, element("div", { class: "row" }, again, retry, ...(lines.length > 0 ? [copy] : [])));
  }

  /** What was sent so far is not kept for a resumption that nobody wants. */
  private async stopped(): Promise<void> {
    this.end("", element("p", {}, element("strong", {}, this.file.name), " · cancelled"));
    const { host } = this.context;
    try {
      const { items } = (await host.call("files.list", { dataset: this.dataset, limit: 200 })) as unknown as List<FileInfo>;
      const part = items.find(({ name, state }) => name === this.file.name && state === "receiving");
      if (part) await host.call("files.remove", { dataset: this.dataset, file: part.id });
    } catch {
      // What is left of it goes by itself after a while.
    }
  }

  private end(style: string, ...parts: Node[]): void {
    const dismiss = control("button", { type: "button", class: "small dismiss", "aria-label": `Dismiss ${this.file.name}` }, "✕");
    dismiss.addEventListener("click", () => this.element.remove());
    const role = style === "bad" ? "alert" : "status";
    this.element.replaceChildren(element("div", { class: `notice ${style}`, role }, element("div", { class: "grow" }, ...parts), dismiss));
  }
}

function tableOf(problems: HostError["fields"]): HTMLElement {
  const head = element("tr", {}, ...["Where", "What is wrong", "How to mend it"].map((title) => element("th", { scope: "col" }, title)));
  const rows = problems.map(({ where, reason, remedy }) => element("tr", {}, element("td", {}, where), element("td", {}, reason), element("td", {}, remedy)));
  return control("div", { class: "problems", role: "region", tabindex: "0", "aria-label": "What is wrong" }, element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)));
}
