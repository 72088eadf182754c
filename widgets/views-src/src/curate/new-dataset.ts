// The form for a new dataset.

import { HostError } from "../host/host";
import { control, element } from "../parts/elements";
import { options } from "./records";
import { ask, type Context, type Dataset, SENSITIVITIES, type Whoami } from "./things";

let made = 0;

export class NewDataset {
  readonly element = control("form", { class: "card new", "aria-label": "New dataset", novalidate: true });
  private readonly name = control("input", { type: "text", maxlength: "64", required: true, autocomplete: "off", spellcheck: "false", autocapitalize: "off" });
  private readonly description = control("textarea", { rows: "2", maxlength: "4000" });
  private readonly owner = control("select");
  private readonly owners = element("label", { hidden: true }, "Owner", this.owner);
  private readonly create = control("button", { type: "submit", class: "main" }, "Create");
  private readonly choices: HTMLElement;
  private readonly id = `ady-new-${++made}`;

  constructor(
    private readonly context: Context,
    private readonly onDone: (dataset: Dataset | null) => void,
  ) {
    this.choices = this.sensitivities();
    const cancel = control("button", { type: "button" }, "Cancel");
    cancel.addEventListener("click", () => onDone(null));
    this.element.append(
      element("h3", {}, "New dataset"),
      element("label", { "data-field": "name" }, "Name", this.name, element("span", { class: "hint" }, "Small letters and digits, with . _ - between them, such as clinic-visits")),
      element("label", { "data-field": "description" }, "Description", this.description),
      this.choices,
      this.owners,
      element("div", { class: "row" }, this.create, cancel),
    );
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.submit();
    });
    this.element.addEventListener("keydown", (event) => {
      if (event.key === "Escape") onDone(null);
    });
    void this.offerOwners();
  }

  focus(): void {
    this.name.focus();
  }

  private sensitivities(): HTMLElement {
    const choice = ([name, help]: [string, string]): HTMLElement =>
      element(
        "label",
        { class: "choice" },
        control("input", { type: "radio", name: `${this.id}-sensitivity`, value: name, checked: name === "internal" }),
        element("span", {}, element("strong", {}, name), element("span", { class: "hint" }, help)),
      );
    return element("fieldset", { "data-field": "sensitivity" }, element("legend", {}, "Sensitivity"), ...Object.entries(SENSITIVITIES).map(choice));
  }

  /** Me, or one of my groups. */
  private async offerOwners(): Promise<void> {
    try {
      const { tenant, groups } = await ask<Whoami>(this.context, "whoami");
      options(this.owner, { [tenant]: `${tenant} (you)`, ...Object.fromEntries(groups.map((group) => [group, `${group} (your group)`])) });
      this.owners.hidden = groups.length === 0;
    } catch {
      // Without a choice it is the caller's own.
    }
  }

  private async submit(): Promise<void> {
    this.complain([]);
    const name = this.name.value.trim();
    if (!name) return void this.complain([{ where: "name", reason: "is missing.", remedy: "Give the dataset a name." }]);
    const sensitivity = this.choices.querySelector<HTMLInputElement>("input:checked")!.value;
    const tenant = this.owner.value;
    this.create.disabled = true;
    try {
      const args = { name, description: this.description.value, sensitivity, ...(tenant ? { tenant } : {}) };
      // Not tried again by itself: if only the answer was lost, a second one would be refused.
      this.onDone((await this.context.host.call("datasets.create", args)) as unknown as Dataset);
    } catch (error) {
      if (!this.context.signal.aborted) this.refused(error);
    } finally {
      this.create.disabled = false;
    }
  }

  private refused(error: unknown): void {
    const fields = error instanceof HostError ? error.fields : [];
    const elsewhere = this.complain(fields);
    if (fields.length > 0 && elsewhere.length === 0) return;
    if (error instanceof HostError && error.code === "conflict") this.complain([{ where: "name", reason: error.message, remedy: error.hint ?? "" }]);
    else this.context.notices.problem(error, () => void this.submit());
  }

  /** Show each problem at its field; the ones of no field are returned. */
  private complain(problems: HostError["fields"]): HostError["fields"] {
    for (const note of this.element.querySelectorAll(".field-problem")) note.remove();
    for (const field of this.element.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
    const elsewhere = problems.filter((problem) => !this.complainAt(problem));
    this.element.querySelector<HTMLElement>("[aria-invalid]")?.focus();
    return elsewhere;
  }

  private complainAt({ where, reason, remedy }: HostError["fields"][number]): boolean {
    const field = this.element.querySelector(`[data-field="${CSS.escape(where)}"]`);
    if (!field) return false;
    const id = `${this.id}-${where}-problem`;
    const input = field.querySelector("input, textarea, select")!;
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", id);
    const words = /^[a-z]/.test(reason) ? `This ${reason}` : reason;
    field.append(element("span", { class: "field-problem bad", id }, `${words} ${remedy}`.trim()));
    return true;
  }
}
