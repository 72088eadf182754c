// A file that has come becomes records: how it would be read, shown as conversations, confirmed once; what
// is bad in it, and whether to go on without that.

import { HostError, wordsOf } from "../../host/host";
import { confirm } from "../../parts/dialog";
import { button, control, element } from "../../parts/elements";
import { countWords } from "../../parts/words";
import { type Step, Work } from "../../parts/work";
import { bubbles } from "../bubbles";
import { ask, attempt, type Context, type FileInfo, FORMATS, isCode, type Operation } from "../things";
import { MappingForm } from "./mapping-form";
import { Problems } from "./problems";
import { type FilePreview, lackingFields, type Mapping, placeOf, type PreviewItem, type Suggestion } from "./things";

/** A pause after which a changed mapping is tried. */
const CHANGING_MS = 200;
export const IMPORT_STEP: Step = { title: "Reading in", cancelled: "Reading was cancelled. The file is still here." };

export interface ImportEvents {
  /** The file is in, gone, or in another state. */
  onChange(): void;
  onOperation(id: string | null): void;
}

export class Import {
  readonly element: HTMLElement;
  private readonly body = element("div", { class: "grow" });
  private readonly work: Work;
  private mapping: Mapping | null = null;
  private turn = 0;
  private changing: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly context: Context,
    private readonly dataset: string,
    private file: FileInfo,
    /** A format that was chosen; empty if it shall be found out. */
    private readonly format: string,
    private readonly events: ImportEvents,
  ) {
    this.element = element("div", { class: "notice import", role: "group", "aria-label": `Import of ${file.name}` }, this.body);
    this.work = new Work(context, (id) => events.onOperation(id));
    context.signal.addEventListener("abort", () => clearTimeout(this.changing), { once: true });
  }

  /** Go on from where the file is. */
  async begin(): Promise<void> {
    const { state } = this.file;
    if (state === "refused") return this.refused();
    if (state === "ready") return this.done();
    await this.suggest();
  }

  /** What is certain goes in at once; what is not is asked about. */
  private async suggest(): Promise<void> {
    this.say(element("p", { role: "status" }, element("strong", {}, this.file.name), " · looking into it …"));
    try {
      const suggestion = await ask<Suggestion>(this.context, "files.suggestion", { dataset: this.dataset, file: this.file.id });
      const fits = !this.format || suggestion.mapping?.format === this.format;
      if (suggestion.confident && fits && suggestion.mapping) return await this.read(suggestion.mapping, "refuse");
      this.ask(suggestion);
    } catch (error) {
      if (!this.context.signal.aborted) this.failed(error);
    }
  }

  private ask(suggestion: Suggestion): void {
    const { why, columns, members, container } = suggestion;
    this.mapping = suggestion.mapping ?? { format: (this.format || "prompt") as Mapping["format"], container, columns: {}, constants: {} };
    const preview = control("div", { class: "preview", role: "region", tabindex: "0", "aria-label": "Preview" });
    const go = button("Import", () => void this.read(this.mapping!, "refuse"), "main", `Import ${this.file.name}`);
    const show = (shown: FilePreview | null, words = ""): void => {
      const lacking = lackingFields(this.mapping!);
      go.disabled = lacking.length > 0;
      preview.replaceChildren(...(lacking.length > 0 ? [element("p", { class: "soft" }, `Choose what holds the ${lacking.join(" and the ")}.`)] : shown ? previewOf(shown) : [element("p", { class: "soft" }, words)]));
    };
    const changed = (mapping: Mapping): void => {
      this.mapping = mapping;
      clearTimeout(this.changing);
      this.changing = setTimeout(() => void this.try(show), CHANGING_MS);
    };
    const form = members.length > 0 ? this.members(suggestion, changed) : new MappingForm(structuredClone(this.mapping), columns, changed).element;
    this.say(
      element("p", { role: "status" }, element("strong", {}, this.file.name), ` · ${suggestion.mapping ? "is this right?" : "which column is what?"}`),
      element("p", { class: "soft" }, why),
      form,
      element("h3", {}, "So the first records would read"),
      preview,
      element("div", { class: "row" }, go, button("Not now", () => this.later()), button("Remove the file", () => void this.remove(), "danger")),
    );
    show(suggestion);
  }

  /** The files of an archive: which of them, and how each is read. */
  private members({ members, mapping }: Suggestion, changed: (mapping: Mapping) => void): HTMLElement {
    const base = mapping ?? { format: "alpaca" as const, container: "zip", columns: {}, constants: {} };
    const parts = new Map(members.filter((member) => member.mapping).map((member) => [member.name, member.mapping!]));
    const left = new Set<string>();
    const tell = (): void => {
      const chosen = [...parts].filter(([name]) => !left.has(name)).map(([, part]) => part);
      changed({ ...structuredClone(base), parts: chosen, format: chosen[0]?.format ?? base.format });
    };
    const rows = members.map((member) => {
      if (!member.mapping) return element("li", { class: "soft" }, `${member.name}: left out. ${member.why}`);
      const tick = control("input", { type: "checkbox", checked: true });
      tick.addEventListener("change", () => {
        if (tick.checked) left.delete(member.name);
        else left.add(member.name);
        tell();
      });
      const form = new MappingForm(structuredClone(member.mapping), member.columns, (part) => {
        parts.set(member.name, part);
        tell();
      });
      return element("li", {}, element("label", { class: "check" }, tick, `${member.name}: ${FORMATS[member.mapping.format] ?? member.mapping.format}`), control("details", {}, control("summary", {}, "How it is read"), form.element));
    });
    return element("ul", { class: "members" }, ...rows);
  }

  private async try(show: (preview: FilePreview | null, words?: string) => void): Promise<void> {
    const turn = ++this.turn;
    if (lackingFields(this.mapping!).length > 0) return show(null);
    try {
      const preview = await ask<FilePreview>(this.context, "files.preview", { dataset: this.dataset, file: this.file.id, mapping: this.mapping as never });
      if (turn === this.turn) show(preview);
    } catch (error) {
      if (turn === this.turn && !this.context.signal.aborted) show(null, fieldsWords(error));
    }
  }

  /** Read it in. */
  private async read(mapping: Mapping | null, bad: "refuse" | "skip"): Promise<void> {
    const name = element("p", {}, element("strong", {}, this.file.name));
    this.say(name, this.work.element);
    const args = { dataset: this.dataset, file: this.file.id, bad_records: bad, ...(mapping ? { mapping: mapping as never } : {}) };
    let done: Operation | null = null;
    try {
      done = await this.work.run(IMPORT_STEP, () => this.context.host.call("files.import", args) as never);
    } catch (error) {
      if (!this.context.signal.aborted) this.failed(error);
      return;
    }
    if (this.context.signal.aborted) return;
    await this.settle(done);
  }

  /** See what became of it: the file says it, whatever was heard of the operation. */
  private async settle(done: Operation | null): Promise<void> {
    try {
      this.file = await ask<FileInfo>(this.context, "files.get", { dataset: this.dataset, file: this.file.id });
    } catch (error) {
      if (isCode(error, "not_found")) this.element.remove();
      else if (!this.context.signal.aborted) this.failed(error);
      return;
    } finally {
      this.events.onChange();
    }
    if (this.file.state === "ready") return this.done();
    this.context.notices.clear(); // it is said here, with what can be done
    if (this.file.state === "refused") return this.refused();
    if (!done) await this.suggest();
  }

  private done(): void {
    const { name, format, records, problems = 0 } = this.file;
    const words = [FORMATS[format ?? ""] ?? format ?? "", countWords(records, "record")].filter(Boolean).join(", ");
    const bad = problems > 0 ? [new Problems(this.context, { dataset: this.dataset, file: this.file.id, count: problems }).element] : [];
    this.element.classList.add("good");
    this.say(element("p", { role: "status" }, element("strong", {}, `✓ ${name}`), ` · ${words}${problems > 0 ? `; ${countWords(problems, "bad record")} left out` : ""}`), ...bad, element("div", { class: "row" }, button("Close", () => this.element.remove(), "small", `Dismiss ${name}`)));
  }

  /** It has bad records: go on without them, or without the file. */
  private refused(): void {
    const { name, reason, problems = 0 } = this.file;
    this.element.classList.add("bad");
    const bad = problems > 0 ? [new Problems(this.context, { dataset: this.dataset, file: this.file.id, count: problems }).element] : [];
    const skip = problems > 0 ? [button(`Go on without ${problems === 1 ? "it" : "them"}`, () => void this.again("skip"), "main")] : [];
    this.say(
      element("p", { role: "alert" }, element("strong", {}, `✗ ${name}`), ` · ${reason ? (problems > 0 ? firstSentence(reason) : reason) : "It cannot be imported."}`),
      ...bad,
      element("div", { class: "row" }, ...skip, button("Read it otherwise …", () => void this.otherwise()), button("Refuse the file", () => void this.remove(false), "danger"), button("Not now", () => this.later())),
    );
  }

  private async again(bad: "refuse" | "skip"): Promise<void> {
    this.element.classList.remove("bad");
    await this.read(this.mapping ?? (this.file.mapping as Mapping | null | undefined) ?? null, bad);
  }

  private async otherwise(): Promise<void> {
    this.element.classList.remove("bad");
    this.say(element("p", { role: "status" }, "Looking into it …"));
    try {
      this.ask(await ask<Suggestion>(this.context, "files.suggestion", { dataset: this.dataset, file: this.file.id }));
    } catch (error) {
      if (!this.context.signal.aborted) this.failed(error);
    }
  }

  private failed(error: unknown): void {
    this.element.classList.add("bad");
    const fields = error instanceof HostError ? error.fields : [];
    const lines = fields.map(({ where, reason, remedy }) => element("li", {}, `${where}: ${reason} ${remedy}`));
    this.say(
      element("p", { role: "alert" }, element("strong", {}, `✗ ${this.file.name}`), ` · ${wordsOf(error)}`),
      ...(lines.length > 0 ? [element("ul", {}, ...lines)] : []),
      element("div", { class: "row" }, button("Retry", () => {
        this.element.classList.remove("bad");
        void this.begin();
      }, "small"), button("Remove the file", () => void this.remove(), "small danger")),
    );
  }

  /** It stays as it came, in the list of files. */
  private later(): void {
    this.element.remove();
    this.events.onChange();
  }

  private async remove(sure = true): Promise<void> {
    if (sure && !(await confirm(this.context.root, `Remove ${this.file.name}?`, "What was sent is deleted. Nothing of it is in the draft yet.", "Remove it"))) return;
    await attempt(this.context, async () => {
      try {
        await ask(this.context, "files.remove", { dataset: this.dataset, file: this.file.id });
      } catch (error) {
        if (!isCode(error, "not_found")) throw error;
      }
      this.later();
    });
  }

  private say(...parts: Node[]): void {
    this.body.replaceChildren(...parts);
  }
}

function previewOf({ preview, problems_in_preview: bad }: FilePreview): HTMLElement[] {
  if (preview.length === 0) return [element("p", { class: "soft" }, "There is no record in it.")];
  const warn = bad > 0 ? [element("p", { class: "notice warn" }, element("span", {}, `${countWords(bad, "record")} of these cannot be read so.`))] : [];
  return [...warn, element("ol", { class: "previews" }, ...preview.map((item) => element("li", {}, itemOf(item))))];
}

function itemOf({ number, record, problem }: PreviewItem): HTMLElement {
  if (record) return bubbles(record);
  const where = [`Record ${number.toLocaleString()}`, problem ? placeOf(problem) : ""].filter(Boolean).join(", ");
  return element("p", { class: "bad" }, `${where}: ${problem ? `${problem.reason} ${problem.remedy}` : "it cannot be read."}`);
}

function fieldsWords(error: unknown): string {
  const fields = error instanceof HostError ? error.fields : [];
  return [wordsOf(error), ...fields.map(({ where, reason, remedy }) => `${where}: ${reason} ${remedy}`)].join(" ");
}

/** Where a table lists the rest. */
function firstSentence(words: string): string {
  return /^.*?\.(?=\s|$)/s.exec(words)?.[0] ?? words;
}
