// The form for one record: its messages, its text, or its three parts; or all of it as JSON.

import type { FieldProblem } from "../host/host";
import { control, element } from "../parts/elements";
import { sentence, wordsOf } from "../host/host";
import { type DraftRecord, isWellFormed, KINDS, emptyRecord, type Kind, lacking, type Message, moved, nextRole, recordOf, ROLES, type Role, sameRecord } from "./record";

export class Editor {
  readonly element = element("div", { class: "editor" });
  private readonly fields = element("div", { class: "texts" });
  private readonly problem = element("p", { class: "bad", role: "alert" });
  private readonly mode = control("button", { type: "button", class: "link" });
  /** The record as JSON, while that is how it is edited. */
  private json: HTMLTextAreaElement | null = null;

  constructor(
    private record: DraftRecord,
    /** A new record may become one of another kind. */
    private readonly anyKind: boolean,
  ) {
    this.record = structuredClone(record);
    this.mode.addEventListener("click", () => this.switch());
    this.element.append(this.fields, this.problem, element("div", {}, this.mode));
    if (isWellFormed(this.record)) this.showForm();
    else this.showJson();
  }

  /** The record as it is written now. Throws a HostError if it is no JSON. */
  value(): DraftRecord {
    return this.json ? recordOf(this.json.value) : structuredClone(this.record);
  }

  /** Whether it says anything else than `record`. */
  differs(record: DraftRecord): boolean {
    try {
      return !sameRecord(this.value(), record);
    } catch {
      return true;
    }
  }

  focus(): void {
    this.fields.querySelector<HTMLElement>("textarea")?.focus();
  }

  /** Show what is wrong where it is wrong. */
  show(problems: readonly FieldProblem[], words = ""): void {
    for (const field of this.fields.querySelectorAll<HTMLElement>("[aria-invalid]")) forget(field);
    const elsewhere = problems.flatMap((problem) => this.alike(problem)).filter((problem) => !this.showAt(problem));
    this.problem.textContent = [words, ...elsewhere.map(({ where, reason, remedy }) => `${where} ${sentence(reason)} ${remedy}`)].filter(Boolean).join(" ");
    this.fields.querySelector<HTMLElement>("[aria-invalid]")?.focus();
  }

  /** The service names the first text that is missing; who writes wants to know all of them. */
  private alike(problem: FieldProblem): FieldProblem[] {
    const missing = this.json ? [] : lacking(this.record);
    return missing.includes(placeOf(problem).replace(/\.content$/, "")) ? missing.map((where) => ({ ...problem, where })) : [problem];
  }

  private showAt(problem: FieldProblem): boolean {
    const at = placeOf(problem);
    const field = [...this.fields.querySelectorAll<HTMLElement>("[data-where]")].find(({ dataset }) => at === dataset.where || at.startsWith(`${dataset.where}.`));
    if (!field || this.json) return false;
    field.setAttribute("aria-invalid", "true");
    field.after(element("p", { class: "field-problem bad" }, `${sentence(`This ${problem.reason}`)} ${problem.remedy}`));
    return true;
  }

  private switch(): void {
    this.problem.textContent = "";
    if (!this.json) return this.showJson();
    try {
      const record = recordOf(this.json.value);
      if (!isWellFormed(record)) throw new TypeError();
      this.record = record;
      this.showForm();
    } catch (error) {
      this.problem.textContent = error instanceof TypeError ? "The form cannot show this record. Mend its messages, or save it to hear what is wrong." : wordsOf(error);
    }
  }

  private showJson(): void {
    this.json = control("textarea", { class: "json", rows: "16", spellcheck: "false", "aria-label": "Record as JSON" });
    this.json.value = JSON.stringify(this.record, null, 2);
    this.fields.replaceChildren(this.json);
    this.mode.textContent = "Edit in the form";
  }

  private showForm(): void {
    this.json = null;
    this.mode.textContent = "Edit as JSON";
    const { record } = this;
    const parts = this.anyKind ? [this.kindField()] : [];
    if (record.kind === "text") parts.push(textField("Text", "text", record.text ?? "", (text) => (record.text = text)));
    else parts.push(...this.messageFields(record));
    if (record.kind === "preference") {
      for (const [name, title] of [["chosen", "Chosen answer"], ["rejected", "Rejected answer"]] as const) {
        const message = record[name]!;
        parts.push(textField(title, name, message.content, (text) => (message.content = text)));
      }
    }
    if (record.kind === "kto") parts.push(labelField(record));
    this.fields.replaceChildren(...parts);
  }

  private kindField(): HTMLElement {
    const select = control("select", {}, ...Object.entries(KINDS).map(([value, words]) => element("option", { value }, words)));
    select.value = this.record.kind;
    select.addEventListener("change", () => {
      this.record = emptyRecord(select.value as Kind);
      this.showForm();
      this.fields.querySelector("select")?.focus();
    });
    return element("label", {}, "Kind", select);
  }

  private messageFields(record: DraftRecord): HTMLElement[] {
    const messages = record.messages!;
    const add = control("button", { type: "button", class: "small" }, "Add a message");
    add.addEventListener("click", () => this.put([...messages, { role: nextRole(messages), content: "" }], messages.length));
    return [...messages.map((message, index) => this.messageField(message, index)), element("div", {}, add)];
  }

  private messageField(message: Message, index: number): HTMLElement {
    const messages = this.record.messages!;
    const role = control("select", { "aria-label": `Role of message ${index + 1}`, "data-where": `messages[${index}].role` }, ...ROLES.map((value) => element("option", { value }, value)));
    role.value = message.role;
    role.addEventListener("change", () => {
      forget(role);
      message.role = role.value as Role;
    });
    const tools = [
      this.tool("↑", `Move message ${index + 1} up`, index === 0, () => this.put(moved(messages, index, -1), index - 1)),
      this.tool("↓", `Move message ${index + 1} down`, index === messages.length - 1, () => this.put(moved(messages, index, 1), index + 1)),
      this.tool("✕", `Remove message ${index + 1}`, messages.length === 1, () => this.put(messages.filter((_, at) => at !== index), Math.max(0, index - 1))),
    ];
    const text = area(message.content, `messages[${index}]`, (value) => (message.content = value));
    text.setAttribute("aria-label", `Message ${index + 1}`);
    return element("div", { class: "message", role: "group", "aria-label": `Message ${index + 1}` }, element("div", { class: "row" }, role, element("span", { class: "end row tools" }, ...tools)), text);
  }

  private tool(sign: string, name: string, disabled: boolean, act: () => void): HTMLButtonElement {
    const button = control("button", { type: "button", class: "small", "aria-label": name, title: name, disabled }, sign);
    button.addEventListener("click", act);
    return button;
  }

  private put(messages: Message[], focus: number): void {
    this.record.messages = messages;
    this.showForm();
    this.fields.querySelectorAll<HTMLElement>(".message textarea")[focus]?.focus();
  }
}

function placeOf({ where }: FieldProblem): string {
  return where.replace(/^record\.?/, "");
}

/** What was wrong with a field is no longer so once it was changed. */
function forget(field: HTMLElement): void {
  field.removeAttribute("aria-invalid");
  if (field.nextElementSibling?.matches(".field-problem")) field.nextElementSibling.remove();
}

function labelField(record: DraftRecord): HTMLElement {
  const good = control("input", { type: "checkbox", checked: record.label === true, "data-where": "label" });
  good.addEventListener("change", () => (record.label = good.checked));
  return element("label", { class: "check" }, good, "A good answer");
}

function textField(title: string, where: string, text: string, onInput: (text: string) => void): HTMLElement {
  return element("label", {}, title, area(text, where, onInput));
}

function area(text: string, where: string, onInput: (text: string) => void): HTMLTextAreaElement {
  const field = control("textarea", { rows: "3", "data-where": where, dir: "auto" });
  field.value = text;
  field.addEventListener("input", () => {
    forget(field);
    onInput(field.value);
  });
  return field;
}
