// Making a key: a form in a dialog. The service decides what is valid and says it of each field.

import { type Args, type FieldProblem, type Host, HostError, isPassing } from "../host/host";
import { ask } from "../host/things";
import { control, element } from "../parts/elements";
import { Field, place, uniqueId } from "../parts/field";
import { Form, type Schema } from "../parts/form";
import { Notices } from "../parts/notice";
import { AdaptersField } from "./adapters-field";
import type { NewKey } from "./key";

/** In days; the longest is what the administrator allows. */
const TERMS: readonly [string, string][] = [["1", "1 day"], ["7", "7 days"], ["30", "30 days"], ["90", "90 days"], ["", "The longest that is allowed"]];
const TERM = "30";
const VERBS: readonly [string, string][] = [["infer read", "Ask, and list its adapters"], ["infer read embed", "Also make vectors of texts"], ["infer", "Only ask"], ["read", "Only list its adapters"]];
/** Source: adaptery.schemas.keys. */
const LIMITS: Schema = {
  properties: {
    tokens_per_day: { type: "integer", title: "Tokens per day", description: "Prompts and answers together, each day in UTC. No limit if empty.", minimum: 1, maximum: 1_000_000_000 },
    requests_per_minute: { type: "integer", title: "Requests per minute", description: "Evenly, with as many at once. No limit if empty.", minimum: 1, maximum: 100_000 },
  },
};
const NAME_CHARACTERS = "80";
const UNKNOWN = ["It is not known whether the key was made: nobody answered", "Look at the list before you try again, and revoke a key whose secret you have not seen."] as const;

export class CreateDialog {
  readonly element: HTMLDialogElement;
  private readonly notices = new Notices();
  private readonly name = control("input", { type: "text", maxlength: NAME_CHARACTERS, autocomplete: "off", placeholder: "triage pipeline" });
  private readonly called = new Field("name", "Name", this.name, { help: "What you will know it by: the program that has it." });
  private readonly adapters: AdaptersField;
  private readonly term = choice(TERMS, TERM);
  private readonly ends = new Field("expires_in_days", "Works for", this.term, { help: "Then it ends by itself." });
  private readonly verbs = choice(VERBS, VERBS[0]![0]);
  private readonly may = new Field("verbs", "It may", this.verbs);
  private readonly limits = new Form(LIMITS);
  private readonly submit = control("button", { type: "submit", class: "main" }, "Create key");

  constructor(
    private readonly host: Host,
    private readonly signal: AbortSignal,
    private readonly tell: { made(key: NewKey): void; uncertain(): void },
    adapter: string | null,
  ) {
    this.adapters = new AdaptersField(host, signal, this.notices.trouble, (error) => this.notices.problem(error));
    if (adapter !== null) this.adapters.add(adapter);
    const title = element("h3", { id: uniqueId() }, "New key");
    const cancel = control("button", { type: "button" }, "Cancel");
    cancel.addEventListener("click", () => this.element.close());
    const [tokens, requests] = this.limits.fields;
    const fields = element("div", { class: "fields" }, ...[this.called, this.adapters.field, this.ends, this.may, tokens!, requests!].map(({ element: one }) => one));
    this.called.element.classList.add("wide");
    const form = control("form", { class: "form", "aria-labelledby": title.id, novalidate: true }, fields, element("div", { class: "row" }, element("span", { class: "end" }), cancel, this.submit));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.create();
    });
    this.element = element("dialog", { class: "key", "aria-labelledby": title.id }, title, this.notices.element, form);
    this.name.autofocus = true;
  }

  /** Whether something was typed that would be lost. */
  get busy(): boolean {
    return this.element.open && this.name.value.trim() !== "";
  }

  private get fields(): Field[] {
    return [this.called, this.adapters.field, this.ends, this.may, ...this.limits.fields];
  }

  private async create(): Promise<void> {
    const missing = this.missing();
    place(this.fields, missing);
    if (missing.length > 0 || this.submit.disabled) return;
    this.submit.disabled = true;
    this.notices.clear();
    try {
      // Asked once: if only the answer is lost, a second key would be made, and the first one stay unseen.
      const key = await ask<NewKey>(this.host, "keys.create", this.args());
      this.element.close();
      if (!this.signal.aborted) this.tell.made(key);
    } catch (error) {
      if (!this.signal.aborted) this.refuse(error);
    } finally {
      this.submit.disabled = false;
    }
  }

  private args(): Args {
    const days = this.term.value === "" ? {} : { expires_in_days: Number(this.term.value) };
    return { name: this.name.value.trim(), adapters: [...this.adapters.value], verbs: this.verbs.value.split(" "), ...days, ...this.limits.values };
  }

  private missing(): FieldProblem[] {
    const name = this.name.value.trim() === "" ? [{ where: "name", reason: "is missing.", remedy: "Say what the key is for." }] : [];
    const adapters = this.adapters.value.length === 0 ? [{ where: "adapters", reason: "is missing.", remedy: "Choose what the key may ask." }] : [];
    return [...name, ...adapters];
  }

  private refuse(error: unknown): void {
    if (isPassing(error)) {
      this.notices.problem(new HostError(error.code, ...UNKNOWN));
      return this.tell.uncertain();
    }
    const problems = error instanceof HostError ? error.fields : [];
    if (problems.length === 0 || place(this.fields, problems).length > 0) this.notices.problem(error);
  }
}

function choice(choices: readonly [string, string][], chosen: string): HTMLSelectElement {
  const select = control("select", {}, ...choices.map(([value, words]) => element("option", { value }, words)));
  select.value = chosen;
  return select;
}
