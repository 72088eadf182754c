// The form of a job: what it learns, on which base model and how. The task says which options there are.

import type { FieldProblem, Host } from "../host/host";
import { type Trouble } from "../host/persist";
import { ask, type BaseModel, type Job, list, type Page, PAGE_LIMIT, type Priority, type Task } from "../host/things";
import { control, element } from "../parts/elements";
import { Field } from "../parts/field";
import { Form, type Schema } from "../parts/form";
import { digestWords } from "../parts/words";
import { AdapterField } from "./adapter-field";
import { Derived } from "./derived";
import type { Typed } from "./draft";
import { VersionsField } from "./versions-field";

interface Listener {
  /** Something else is filled in. */
  changed(): void;
  /** Other versions are chosen. */
  chose(): void;
  curate(dataset: string | null): void;
  failed(error: unknown): void;
}

const PRIORITIES: Readonly<Record<Priority, string>> = { low: "Low: after your other jobs", normal: "Normal", high: "High: before other jobs" };
/** What the service takes where no task is named: the short form comes first. */
const USUAL_TASK = "training-v0";
const NO_MODEL = "No base model is registered that suits: ask whoever runs this Hub.";
const NO_TASK = "There is no task for you: ask whoever runs this Hub.";

export class JobForm {
  readonly element: HTMLElement;
  private readonly task = control("select", {});
  private readonly name = control("input", { type: "text", autocomplete: "off", spellcheck: "false" });
  private readonly baseModel = control("select", {});
  private readonly priority = control("select", {});
  private readonly taskField = new Field("task", "Task", this.task);
  private readonly nameField = new Field("name", "Name", this.name, { help: "Its adapter is called so too, with a number." });
  private readonly baseModelField = new Field("base_model", "Base model", this.baseModel);
  private readonly priorityField = new Field("priority", "Priority", this.priority);
  private readonly versions: VersionsField;
  private readonly reward: AdapterField;
  private readonly startFrom: AdapterField;
  private readonly validation = control("input", { type: "text", autocomplete: "off", spellcheck: "false", placeholder: "@demo/exam@1" });
  private readonly validationField = new Field("validation", "Evaluate on", this.validation, {
    help: "A published version that is never learnt from. None: the validation splits of the data.",
  });
  private readonly derived = new Derived();
  private readonly options = element("div");
  private readonly more: HTMLDetailsElement;
  /** One form a task: going back to a task brings back what was typed. */
  private readonly forms = new Map<string, Form>();
  private tasks: Task[] = [];
  private baseModels: BaseModel[] = [];
  private nameIsOwn = false;
  private before: Job | null = null;

  constructor(
    private readonly host: Host,
    signal: AbortSignal,
    trouble: Trouble,
    private readonly tell: Listener,
  ) {
    this.versions = new VersionsField(host, signal, trouble, { changed: () => this.versionsChanged(), curate: tell.curate, failed: tell.failed });
    const adapter = (where: string, title: string, help: string): AdapterField => new AdapterField(host, signal, trouble, { changed: () => this.changed(), failed: tell.failed }, where, title, help);
    this.startFrom = adapter("start_from", "Go on from", "An adapter of the same base model, with a new optimiser. None: a new adapter.");
    this.reward = adapter("reward", "Reward model", "The adapter that judges the answers; a job of the stage rm makes one.");
    this.taskField.element.classList.add("wide");
    const what = element("div", { class: "fields" }, this.taskField.element, this.versions.element, this.nameField.element, this.baseModelField.element, this.reward.field.element);
    this.more = element("details", {}, control("summary", {}, "More about this job"), element("div", { class: "fields" }, this.startFrom.field.element, this.validationField.element, this.priorityField.element), this.derived.element);
    this.element = element("div", { class: "job-form" }, what, element("hr"), this.options, this.more);
    this.listen();
  }

  /** Load what can be chosen. */
  async load(): Promise<void> {
    const [tasks, baseModels, mine] = await Promise.all([
      ask<Page<Task>>(this.host, "tasks.list", { limit: PAGE_LIMIT }),
      list<BaseModel>(this.host, "base-models.list"),
      ask<{ scopes?: string[] }>(this.host, "whoami"),
      this.versions.load(),
    ]);
    this.tasks = [...tasks.items].sort((one, other) => Number(other.name === USUAL_TASK) - Number(one.name === USUAL_TASK));
    this.baseModels = baseModels.items;
    this.task.replaceChildren(...this.tasks.map((task) => element("option", { value: task.name }, titleOf(task))));
    this.taskField.element.hidden = this.tasks.length === 1;
    const words = Object.entries(PRIORITIES).filter(([value]) => value !== "high" || mine.scopes?.includes("admin"));
    this.priority.replaceChildren(...words.map(([value, words]) => element("option", { value }, words)));
    this.priority.value = "normal";
    this.showTask();
  }

  get fields(): Field[] {
    return [this.taskField, ...this.versions.fields, this.nameField, this.baseModelField, this.reward.field, ...this.shown.fields, this.startFrom.field, this.validationField, this.priorityField];
  }

  /** The ids of the chosen versions. */
  get chosen(): string[] {
    return this.versions.chosen;
  }

  get filled(): Typed {
    const task = this.taskChosen;
    return {
      task: this.task.value,
      name: this.name.value,
      nameIsOwn: this.nameIsOwn,
      versions: this.versions.chosen,
      baseModel: this.baseModel.value,
      validation: this.validation.value.trim() || null,
      startFrom: task?.takes?.start_from ? this.startFrom.chosen : null,
      reward: task?.takes?.reward ? this.reward.chosen : null,
      priority: this.priority.value as Priority,
      clonedFrom: this.before?.id ?? null,
      options: this.shown.values,
    };
  }

  /** Fill in what was typed before. */
  async fill(typed: Typed): Promise<void> {
    this.task.value = typed.task;
    this.name.value = typed.name;
    this.nameIsOwn = typed.nameIsOwn;
    this.priority.value = typed.priority;
    this.validation.value = typed.validation ?? "";
    this.showTask();
    this.chooseBaseModel(typed.baseModel);
    this.shown.values = typed.options;
    await Promise.all([this.startFrom.choose(typed.startFrom), this.reward.choose(typed.reward)]);
    if (typed.versions.length > 0) await this.versions.show(typed.versions);
  }

  /** Take over the settings of a job; answers what could not be taken. From here on, what differs from it is marked. */
  async copy(job: Job): Promise<string[]> {
    const gone: string[] = [];
    if (this.tasks.some(({ name }) => name === job.task)) this.task.value = job.task;
    else gone.push(`the task ${job.task}`);
    this.showTask();
    if (!this.chooseBaseModel(job.base_model)) gone.push(`the base model ${job.base_model}`);
    this.name.value = job.name;
    this.nameIsOwn = true;
    if ([...this.priority.options].some(({ value }) => value === job.priority)) this.priority.value = job.priority;
    if (this.task.value === job.task) this.shown.values = job.options;
    this.validation.value = job.validation ?? "";
    await Promise.all([this.startFrom.choose(job.start_from), this.reward.choose(job.reward)]);
    gone.push(...(await this.versions.showNamed(job.datasets)).map((name) => `the data ${name}`));
    this.compareTo(job);
    return gone;
  }

  /** Mark what differs from a job; null marks nothing any more. */
  compareTo(job: Job | null): void {
    this.before = job;
    for (const form of this.forms.values()) form.compareTo(null);
    if (job && this.task.value === job.task) this.shown.compareTo(job.options);
    this.mark();
  }

  show(versions: readonly string[]): Promise<void> {
    return this.versions.show(versions);
  }

  /** What a job cannot do without; of an empty field the service would only say that it is too short. */
  missing(): FieldProblem[] {
    const problems: FieldProblem[] = [];
    const lacking = this.versions.lacking;
    if (lacking !== null) problems.push({ where: `datasets.${lacking}`, reason: "No version is chosen", remedy: "Choose a dataset that has a published version." });
    if (this.name.value.trim() === "") problems.push({ where: "name", reason: "A name is missing", remedy: "Its adapter is called so too." });
    if (this.taskChosen?.takes?.reward && this.reward.chosen === null) problems.push({ where: "reward", reason: "No reward model is chosen", remedy: "Choose the adapter that judges the answers." });
    return problems;
  }

  /** What of the options looks wrong from here. */
  get doubts(): FieldProblem[] {
    return this.shown.doubts;
  }

  /** In how many ways it differs from the job that it began with. */
  get differing(): number {
    return this.fields.filter(({ differs }) => differs).length;
  }

  focus(): void {
    this.name.focus();
  }

  private listen(): void {
    this.name.addEventListener("input", () => {
      this.nameIsOwn = this.name.value !== "";
      this.changed();
    });
    this.task.addEventListener("change", () => {
      this.showTask();
      this.compareTo(this.before);
      this.changed();
    });
    this.baseModel.addEventListener("change", () => {
      this.showBaseModel();
      this.changed();
    });
    this.priority.addEventListener("change", () => this.changed());
    this.validation.addEventListener("input", () => this.changed());
  }

  private get taskChosen(): Task | undefined {
    return this.tasks.find(({ name }) => name === this.task.value);
  }

  private get shown(): Form {
    const name = this.task.value;
    let form = this.forms.get(name);
    if (!form) {
      form = new Form((this.taskChosen?.schema ?? {}) as Schema, "options.", () => this.changed());
      this.forms.set(name, form);
    }
    return form;
  }

  private showTask(): void {
    const task = this.taskChosen;
    this.options.replaceChildren(this.shown.element);
    this.taskField.hint(task?.description ?? NO_TASK, task === undefined);
    this.versions.suit(task?.kinds ?? []);
    this.startFrom.field.element.hidden = !task?.takes?.start_from;
    this.reward.field.element.hidden = !task?.takes?.reward;
    this.offerBaseModels();
  }

  private offerBaseModels(): void {
    const names = this.taskChosen?.base_models;
    const offered = this.baseModels.filter(({ name }) => names?.includes(name) ?? true);
    const wanted = offered.find(({ name }) => name === this.baseModel.value) ?? offered.find((model) => model.default) ?? offered[0];
    this.baseModel.replaceChildren(...offered.map(({ name }) => element("option", { value: name }, name)));
    if (wanted) this.baseModel.value = wanted.name;
    this.showBaseModel();
  }

  private chooseBaseModel(name: string): boolean {
    const offered = [...this.baseModel.options].some(({ value }) => value === name);
    if (offered) this.baseModel.value = name;
    this.showBaseModel();
    return offered;
  }

  private showBaseModel(): void {
    const model = this.baseModels.find(({ name }) => name === this.baseModel.value);
    this.baseModelField.hint(model ? originOf(model) : NO_MODEL, !model?.weight_digest);
    this.startFrom.of(this.baseModel.value);
    this.reward.of(this.baseModel.value);
  }

  private versionsChanged(): void {
    if (!this.nameIsOwn) this.name.value = this.versions.datasetChosen?.name ?? "";
    this.changed();
    this.tell.chose();
  }

  private changed(): void {
    this.mark();
    this.tell.changed();
  }

  /** What the form does not ask for, and what is no longer as in the job that it began with. */
  private mark(): void {
    const stage = this.taskChosen?.stage ?? "";
    this.derived.show(stage, this.baseModel.value, this.versions.names);
    const job = this.before;
    const was = (field: Field, before: string | undefined, now: string): void => field.was(job && before !== now ? `Was ${before || "none"}` : "");
    was(this.baseModelField, job?.base_model, this.baseModel.value);
    was(this.taskField, job?.task, this.task.value);
    was(this.priorityField, job?.priority, this.priority.value);
    was(this.validationField, job?.validation ?? "", this.validation.value.trim());
    was(this.startFrom.field, job?.start_from ?? "", this.startFrom.chosen ?? "");
    was(this.reward.field, job?.reward ?? "", this.reward.chosen ?? "");
    if ([this.startFrom.field, this.validationField, this.priorityField].some(({ differs }) => differs)) this.more.open = true;
    was(this.versions.fields[0]!, job?.datasets.join(", "), this.versions.names.join(", "));
  }
}

/** With its stage, unless the title says it. */
function titleOf({ title, stage }: Task): string {
  return !stage || title.toLowerCase().includes(stage) ? title : `${title} (${stage})`;
}

function originOf({ source, weight_digest: digest }: BaseModel): string {
  const from = source.startsWith("hf:") ? `From Hugging Face, ${source.slice(3)}` : "From this Hub's own disks";
  return `${from} · ${digest ? `weights ${digestWords(digest)}` : "no machine has it ready: jobs wait until one has"}`;
}
