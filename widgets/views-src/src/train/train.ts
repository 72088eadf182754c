// The Train view: a form for one job, drawn from the task's own description of its options.

import { type FieldProblem, type Host, HostError, type Mount } from "../host/host";
import { widget } from "../host/notebook";
import { persist } from "../host/persist";
import type { ViewName } from "../host/shell";
import { ask, type BaseModel, type Job, list, type Page, PAGE_LIMIT, type Task } from "../host/things";
import { control, element } from "../parts/elements";
import { Field, place } from "../parts/field";
import { Form, type Schema } from "../parts/form";
import { FORM_STYLE } from "../parts/form-style";
import { Notices } from "../parts/notice";
import { adopt } from "../parts/style";
import { digestWords } from "../parts/words";
import { type Draft, leaveDraft, type Start, takeDraft } from "./draft";
import { TRAIN_STYLE } from "./style";
import type { Wanted } from "./submission";
import { submittedPanel } from "./submitted";
import { VersionField } from "./version-field";

class Train {
  private readonly ending = new AbortController();
  private readonly notices = new Notices();
  private readonly task = control("select", {});
  private readonly name = control("input", { type: "text", autocomplete: "off", spellcheck: "false" });
  private readonly baseModel = control("select", {});
  private readonly taskField = new Field("task", "Task", this.task);
  private readonly nameField = new Field("name", "Name", this.name, { help: "Its adapter is called so too, with a number." });
  private readonly baseModelField = new Field("base_model", "Base model", this.baseModel);
  private readonly data: VersionField;
  private readonly options = element("div");
  private readonly send = control("button", { type: "submit", class: "main" }, "Start training");
  private readonly form: HTMLFormElement;
  private readonly loading = element("p", { class: "soft" }, "Looking for what you can train on …");
  private readonly done = element("div", { hidden: true });
  /** One form a task: going back to a task brings back what was typed. */
  private readonly forms = new Map<string, Form>();
  private tasks: Task[] = [];
  private baseModels: BaseModel[] = [];
  private draft: Draft | null = null;
  private nameIsOwn = false;
  private sending = false;

  constructor(
    private readonly el: HTMLElement,
    private readonly host: Host,
  ) {
    this.data = new VersionField(host, this.signal, this.notices.trouble, {
      changed: () => this.versionChanged(),
      curate: (dataset) => this.open("curate", dataset === null ? {} : { dataset }),
      failed: (error) => this.problem(error),
    });
    this.taskField.element.classList.add("wide");
    const what = element(
      "div",
      { class: "fields" },
      this.taskField.element,
      ...this.data.elements,
      this.nameField.element,
      this.baseModelField.element,
    );
    this.form = element("form", { novalidate: true, hidden: true }, what, element("hr"), this.options, element("div", { class: "row send" }, this.send));
    const title = element("h2", {}, "Train an adapter");
    const root = element("section", { class: "ady ady-train", "aria-label": "Train" }, title, this.loading, this.form, this.done, this.notices.element);
    this.el.replaceChildren(root);
    adopt(root, FORM_STYLE, TRAIN_STYLE);
    this.listen();
    void this.begin();
  }

  close(): void {
    this.keep();
    if (this.draft) leaveDraft(this.draft);
    this.ending.abort();
    this.el.replaceChildren();
  }

  private get signal(): AbortSignal {
    return this.ending.signal;
  }

  private listen(): void {
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.submit();
    });
    this.name.addEventListener("input", () => (this.nameIsOwn = this.name.value !== ""));
    this.task.addEventListener("change", () => this.showTask());
    this.baseModel.addEventListener("change", () => this.showBaseModel());
  }

  // -- beginning ----------------------------------------------------------------------------------

  /** Load what the form is made of and fill it; what failed can be tried again. */
  private async begin(): Promise<void> {
    try {
      const start = await persist(() => this.load(), this.signal, this.notices.trouble);
      this.draft ??= takeDraft(start);
      await this.fill(this.draft);
    } catch (error) {
      return this.problem(error, () => void this.begin());
    }
    this.loading.hidden = true;
    this.form.hidden = false;
    this.tellHere();
    const { submission } = this.draft;
    if (submission.open) await this.sendBy(() => submission.settle(this.host, this.signal, this.notices.trouble));
  }

  private async load(): Promise<Start> {
    const [start, tasks, baseModels] = await Promise.all([
      ask<Start | null>(this.host, "view.start"),
      ask<Page<Task>>(this.host, "tasks.list", { limit: PAGE_LIMIT }),
      list<BaseModel>(this.host, "base-models.list"),
      this.data.loadDatasets(),
    ]);
    this.tasks = tasks.items;
    this.baseModels = baseModels.items;
    this.offerTasks();
    this.offerBaseModels();
    return { ...(start?.version ? { version: start.version } : {}), ...(start?.job ? { job: start.job } : {}) };
  }

  private async fill({ typed, start }: Draft): Promise<void> {
    const version = typed ? typed.version : start.version;
    if (typed) {
      this.task.value = typed.task;
      this.name.value = typed.name;
      this.nameIsOwn = typed.nameIsOwn;
      this.baseModel.value = typed.baseModel;
    } else if (start.job) {
      const { job } = start;
      await this.unlessGone(() => this.copy(job, version === undefined));
    }
    this.showTask();
    this.showBaseModel();
    if (typed) this.shown.values = typed.options;
    if (version) await this.unlessGone(() => this.data.show(version));
  }

  /** What this was opened with may be gone, or no longer for the reader: the form is of use without it. */
  private async unlessGone(act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      if (!(error instanceof HostError) || error.code !== "not_found") throw error;
      this.problem(error);
    }
  }

  /** Take over the settings of a job, and say which could not be taken. */
  private async copy(id: string, withVersion: boolean): Promise<void> {
    const job = await persist(() => ask<Job>(this.host, "jobs.get", { job: id }), this.signal, this.notices.trouble);
    const gone: string[] = [];
    if (this.tasks.some(({ name }) => name === job.task)) this.task.value = job.task;
    else gone.push(`the task ${job.task}`);
    if (this.baseModels.some(({ name }) => name === job.base_model)) this.baseModel.value = job.base_model;
    else gone.push(`the base model ${job.base_model}`);
    this.name.value = job.name;
    this.nameIsOwn = true;
    if (this.task.value === job.task) this.shown.values = job.options;
    if (withVersion && !(await this.data.showNamed(job.dataset))) gone.push(`the data ${job.dataset}`);
    if (gone.length === 0) return;
    this.problem(new HostError("not_found", `Not there any more, or not for you: ${gone.join(", ")}`, "Look through the form before you start."));
  }

  private offerTasks(): void {
    this.task.replaceChildren(...this.tasks.map(({ name, title }) => element("option", { value: name }, title)));
    this.taskField.element.hidden = this.tasks.length < 2;
  }

  private offerBaseModels(): void {
    const chosen = this.baseModels.find((model) => model.default) ?? this.baseModels[0];
    this.baseModel.replaceChildren(...this.baseModels.map(({ name }) => element("option", { value: name }, name)));
    if (chosen) this.baseModel.value = chosen.name;
    else this.baseModelField.hint("No base model is registered: ask whoever runs this Hub.", true);
  }

  // -- what is chosen -----------------------------------------------------------------------------

  private get shown(): Form {
    const name = this.task.value;
    let form = this.forms.get(name);
    if (!form) {
      const schema = this.tasks.find((task) => task.name === name)?.schema ?? {};
      form = new Form(schema as Schema, "options.");
      this.forms.set(name, form);
    }
    return form;
  }

  private get fields(): Field[] {
    return [this.taskField, this.data.dataset, this.data.version, this.nameField, this.baseModelField, ...this.shown.fields];
  }

  private showTask(): void {
    this.options.replaceChildren(this.shown.element);
    this.taskField.hint(this.tasks.find(({ name }) => name === this.task.value)?.description ?? "");
  }

  private showBaseModel(): void {
    const model = this.baseModels.find(({ name }) => name === this.baseModel.value);
    if (model) this.baseModelField.hint(originOf(model));
  }

  private versionChanged(): void {
    if (!this.nameIsOwn) this.name.value = this.data.datasetChosen?.name ?? "";
    this.tellHere();
  }

  /** So that a reload comes back to this version; ids only, nothing that was typed. */
  private tellHere(): void {
    if (!this.draft) return;
    const version = this.data.chosen;
    this.draft.start = { ...(this.draft.start.job ? { job: this.draft.start.job } : {}), ...(version ? { version } : {}) };
    void this.host.call("view.here", { title: "Train", start: { ...this.draft.start } }).catch(() => undefined);
  }

  private keep(): void {
    if (!this.draft || this.form.hidden) return;
    this.draft.typed = {
      task: this.task.value,
      name: this.name.value,
      nameIsOwn: this.nameIsOwn,
      version: this.data.chosen,
      baseModel: this.baseModel.value,
      options: this.shown.values,
    };
  }

  // -- submitting ---------------------------------------------------------------------------------

  private async submit(): Promise<void> {
    const { draft } = this;
    if (this.sending || !draft) return;
    const missing = this.missing();
    place(this.fields, missing);
    if (missing.length > 0) return;
    const wanted: Wanted = {
      task: this.task.value,
      name: this.name.value.trim(),
      dataset: this.data.chosen ?? "",
      base_model: this.baseModel.value || null,
      options: this.shown.values,
    };
    await this.sendBy(() => draft.submission.send(this.host, wanted, this.signal, this.notices.trouble));
  }

  /** What a job cannot do without; of an empty field the service would only say that it is too short. */
  private missing(): FieldProblem[] {
    const problems: FieldProblem[] = [];
    if (this.data.chosen === null) {
      problems.push({ where: "dataset", reason: "No version is chosen", remedy: "Choose a dataset that has a published version." });
    }
    if (this.name.value.trim() === "") problems.push({ where: "name", reason: "A name is missing", remedy: "Its adapter is called so too." });
    return problems;
  }

  private async sendBy(send: () => Promise<Job>): Promise<void> {
    this.busy(true);
    this.notices.clear();
    try {
      this.showDone(await send());
    } catch (error) {
      this.refused(error);
    } finally {
      this.busy(false);
    }
  }

  /** Not `disabled`: that would take the focus away. */
  private busy(sending: boolean): void {
    this.sending = sending;
    this.send.setAttribute("aria-disabled", String(sending));
    this.send.textContent = sending ? "Submitting …" : "Start training";
  }

  private refused(error: unknown): void {
    if (!(error instanceof HostError)) return this.problem(error);
    const rest = place(this.fields, error.fields);
    if (error.fields.length > 0 && rest.length === 0) return;
    this.problem(new HostError(error.code, error.message, error.hint, rest));
  }

  private showDone(job: Job): void {
    if (this.signal.aborted) return;
    const panel = submittedPanel(job, {
      watch: (id) => this.open("watch", { job: id }),
      all: () => this.open("jobs", {}),
      another: () => this.showForm(),
    });
    this.done.replaceChildren(panel);
    this.done.hidden = false;
    this.form.hidden = true;
    this.draft = { start: {}, typed: null, submission: this.draft!.submission };
    panel.focus();
  }

  private showForm(): void {
    this.done.hidden = true;
    this.form.hidden = false;
    this.tellHere();
    this.name.focus();
  }

  private open(view: ViewName, start: { [id: string]: string }): void {
    this.host.call("view.open", { view, start }).catch((error: unknown) => this.problem(error));
  }

  private problem(error: unknown, retry: (() => void) | null = null): void {
    if (this.signal.aborted) return;
    this.notices.problem(error, retry);
  }
}

function originOf({ source, weight_digest: digest }: BaseModel): string {
  const from = source.startsWith("hf:") ? `From Hugging Face, ${source.slice(3)}` : "From this Hub's own disks";
  return `${from} · ${digest ? `weights ${digestWords(digest)}` : "no machine has told its weights yet"}`;
}

export const mount: Mount = (el, host) => {
  const train = new Train(el, host);
  return () => train.close();
};

export default widget(mount);
