// Sharing one thing: who has it, and a form that gives, changes and takes rights. For who manages it.

import { type Args, type FieldProblem, type Host, HostError } from "../host/host";
import { persist } from "../host/persist";
import { list } from "../host/things";
import { control, element } from "./elements";
import { Field, place, uniqueId } from "./field";
import { Notices } from "./notice";
import { adopt } from "./style";

export type SharedKind = "datasets" | "jobs" | "adapters";
export type Right = "use" | "view" | "edit" | "manage";

export interface Shared {
  kind: SharedKind;
  id: string;
  /** What the reader knows it by. */
  name: string;
  /** `@user` or `group`. */
  owner: string;
}

interface Grant {
  id: string;
  principal: string;
  kind: "user" | "group" | "service";
  right: Right;
  by: string;
}

/** What each right opens, in the words of a reader. What opens nothing more is not offered. */
export const RIGHTS: Readonly<Record<SharedKind, Readonly<Partial<Record<Right, string>>>>> = {
  datasets: {
    use: "May train on its versions, by name, and read nothing.",
    view: "May also read and download the draft and all versions.",
    edit: "May also change the draft.",
    manage: "May also publish it, share it and delete it.",
  },
  jobs: {
    view: "May see its state, numbers and log, and the name of its dataset.",
    manage: "May also cancel and share it.",
  },
  adapters: {
    use: "May ask it. It can repeat what it learnt from.",
    view: "May also download it, for good.",
    manage: "May also share it and delete it.",
  },
};

/** A button that opens the dialog; `shared` is asked when it is pressed. */
export function shareButton(host: Host, shared: () => Shared, signal: AbortSignal, words = "Share", type = ""): HTMLButtonElement {
  const button = control("button", { type: "button", class: type, "aria-haspopup": "dialog" }, words);
  button.addEventListener("click", () => {
    const root = button.closest<HTMLElement>(".ady");
    if (root) openShare(root, host, shared(), signal);
  });
  return button;
}

/** Open the dialog inside `root`, the view; it goes with `signal`, and when it is closed. */
export function openShare(root: HTMLElement, host: Host, shared: Shared, signal: AbortSignal): void {
  adopt(root, SHARE_STYLE);
  const life = new AbortController();
  const dialog = new ShareDialog(host, shared, AbortSignal.any([signal, life.signal]));
  root.append(dialog.element);
  signal.addEventListener("abort", () => dialog.element.close(), { signal: life.signal });
  dialog.element.addEventListener("close", () => {
    life.abort();
    dialog.element.remove();
  });
  dialog.element.showModal();
  void dialog.begin();
}

class ShareDialog {
  readonly element: HTMLDialogElement;
  private readonly notices = new Notices();
  private readonly status = element("p", { role: "status", class: "visually-hidden" });
  private readonly rows = element("tbody");
  private readonly groups = element("datalist", { id: uniqueId() });
  private readonly name = control("input", { type: "text", maxlength: "256", autocomplete: "off", spellcheck: "false", autocapitalize: "off", list: this.groups.id, placeholder: "@user or group" });
  private readonly right = control("select");
  private readonly whom = new Field("principal", "User or group", this.name, { help: "@ and the name of a user, exactly as they log in; or a group of yours." });
  private readonly what: Field;
  private readonly add = control("button", { type: "submit", class: "main" }, "Share");
  private readonly words: Readonly<Partial<Record<Right, string>>>;

  constructor(
    private readonly host: Host,
    private readonly shared: Shared,
    private readonly signal: AbortSignal,
  ) {
    this.words = RIGHTS[shared.kind];
    this.right.append(...this.options(null));
    this.what = new Field("right", "Right", this.right);
    this.right.addEventListener("change", () => this.advise());
    this.advise();
    const title = element("h3", { id: uniqueId() }, `Share ${shared.name}`);
    const close = control("button", { type: "button" }, "Close");
    close.addEventListener("click", () => this.element.close());
    const form = control("form", { class: "give", "aria-label": "Share with somebody", novalidate: true }, this.whom.element, this.what.element, this.add, this.groups);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.give();
    });
    const head = element("tr", {}, ...["Who", "Right"].map((words) => element("th", { scope: "col" }, words)), element("th", { scope: "col" }, element("span", { class: "visually-hidden" }, "Remove")));
    const table = element("table", {}, element("caption", {}, "Who has access"), element("thead", {}, head), this.rows);
    this.element = element("dialog", { class: "share", "aria-labelledby": title.id }, title, this.notices.element, form, element("div", { class: "who" }, table), this.status, element("div", { class: "row" }, element("span", { class: "end" }), close));
    this.draw([]);
  }

  async begin(): Promise<void> {
    this.name.focus();
    await Promise.all([this.look(), this.offerGroups()]);
  }

  /** My groups, to choose from; without them, names are typed. */
  private async offerGroups(): Promise<void> {
    try {
      const { groups } = (await this.ask("whoami", {})) as { groups: string[] };
      this.groups.replaceChildren(...groups.map((group) => element("option", { value: group })));
    } catch {
      // It is only an offer.
    }
  }

  private async look(): Promise<void> {
    await this.orNotice(async () => {
      const args = { kind: this.shared.kind, thing: this.shared.id };
      const { items } = await persist(() => list<Grant>(this.host, "grants.list", args), this.signal, this.notices.trouble);
      this.draw(items);
    }, () => void this.look());
  }

  private async give(): Promise<void> {
    const principal = this.name.value.trim();
    if (!principal) return void this.refuse([{ where: "principal", reason: "is missing.", remedy: "Name a user or a group." }]);
    const right = this.right.value as Right;
    this.add.disabled = true;
    const given = await this.put(principal, right, (problems) => this.refuse(problems));
    this.add.disabled = false;
    if (!given || this.signal.aborted) return;
    this.name.value = "";
    this.name.focus();
  }

  /** Show what is wrong at its field; answers what fits none. */
  private refuse(problems: readonly FieldProblem[]): readonly FieldProblem[] {
    return place([this.whom, this.what], problems);
  }

  /** Said twice it is the same right, so it is tried until it is there. */
  private put(principal: string, right: Right, refuse: (problems: readonly FieldProblem[]) => readonly FieldProblem[]): Promise<boolean> {
    refuse([]);
    return this.change("grants.put", { principal, right }, `${principal}: ${right}`, refuse);
  }

  private remove(principal: string): Promise<boolean> {
    return this.change("grants.remove", { principal }, `Removed ${principal}`);
  }

  private async change(verb: string, args: Args, done: string, refuse?: (problems: readonly FieldProblem[]) => readonly FieldProblem[]): Promise<boolean> {
    this.notices.clear();
    try {
      await this.ask(verb, { kind: this.shared.kind, thing: this.shared.id, ...args });
    } catch (error) {
      if (this.signal.aborted) return false;
      const gone = verb === "grants.remove" && error instanceof HostError && error.code === "not_found";
      if (!gone) {
        const fields = error instanceof HostError ? error.fields : [];
        const elsewhere = refuse ? refuse(fields) : fields;
        if (fields.length === 0 || elsewhere.length > 0) this.notices.problem(error);
        await this.look(); // what was chosen is not what is
        return false;
      }
    }
    this.status.textContent = done;
    await this.look();
    return true;
  }

  private draw(grants: readonly Grant[]): void {
    const focused = (document.activeElement as HTMLElement | null)?.dataset.grant;
    const owner = this.shared.owner;
    const owns = owner.startsWith("@") ? "owns it" : "owns it: its members may edit, and who made it manages";
    const first = element("tr", {}, element("th", { scope: "row" }, owner), element("td", { colspan: "2" }, owns));
    this.rows.replaceChildren(first, ...grants.map((grant) => this.row(grant)));
    if (focused) this.rows.querySelector<HTMLElement>(`[data-grant="${CSS.escape(focused)}"]`)?.focus();
  }

  private row({ id, principal, kind, right, by }: Grant): HTMLTableRowElement {
    const select = control("select", { "aria-label": `Right of ${principal}`, "data-grant": id }, ...this.options(right));
    select.value = right;
    select.addEventListener("change", () => void this.put(principal, select.value as Right, (problems) => problems));
    const remove = control("button", { type: "button", class: "small", "aria-label": `Remove ${principal}` }, "Remove");
    remove.addEventListener("click", () => {
      remove.disabled = true;
      void this.remove(principal).then(() => this.name.focus());
    });
    const note = element("span", { class: "soft note" }, kind === "group" ? `group · by ${by}` : `by ${by}`);
    return element("tr", {}, element("th", { scope: "row" }, principal, note), element("td", {}, select), element("td", {}, remove));
  }

  /** The rights that mean something, and the one that somebody has. */
  private options(has: Right | null): HTMLOptionElement[] {
    const offered = Object.keys(this.words) as Right[];
    const all = has === null || offered.includes(has) ? offered : [has, ...offered];
    return all.map((right) => element("option", { value: right }, right));
  }

  private advise(): void {
    this.what.hint(this.words[this.right.value as Right] ?? "");
  }

  private ask(verb: string, args: Args): Promise<unknown> {
    return persist(() => this.host.call(verb, args), this.signal, this.notices.trouble);
  }

  private async orNotice(work: () => Promise<void>, retry: () => void): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!this.signal.aborted) this.notices.problem(error, retry);
    }
  }
}

const SHARE_STYLE = `
.ady dialog.share { width: min(92vw, 38em); }
.ady dialog.share > * + * { margin-top: 12px; }
.ady .share [role=alert]:empty { display: none; }
.ady .share .give { display: grid; grid-template-columns: minmax(0, 1fr) 9em auto; gap: 4px 12px; align-items: start; }
.ady .share .give input, .ady .share .give select { width: 100%; }
.ady .share .give > button { margin-top: 20px; }
.ady .share .field { display: flex; flex-direction: column; gap: 2px; min-width: 0; }
.ady .share .field p { margin: 0; font-size: 12px; color: var(--soft); }
.ady .share .field .error { color: var(--bad); }
.ady .share .who { display: block; align-self: stretch; width: 100%; max-height: 40vh; overflow: auto; }
.ady .share .who > table { width: 100%; font-size: 13px; }
.ady .share caption { padding: 0 0 4px; text-align: left; font-weight: 600; color: var(--ink); }
.ady .share td { vertical-align: middle; }
.ady .share tbody th { color: var(--ink); white-space: normal; overflow-wrap: anywhere; }
.ady .share .note { display: block; font-size: 12px; font-weight: 400; }
.ady .share td:last-child { text-align: right; }
.ady .share td[colspan] { text-align: left; color: var(--soft); }
@media (max-width: 520px) { .ady .share .give { grid-template-columns: minmax(0, 1fr); } .ady .share .give > button { margin-top: 4px; justify-self: start; }
  .ady .share .who { max-height: none; } .ady .share thead { display: none; }
  .ady .share tbody tr { display: grid; grid-template-columns: minmax(0, 1fr) auto; align-items: center; border-bottom: 1px solid var(--edge); }
  .ady .share tbody th, .ady .share td { padding: 4px 0; border: 0; } .ady .share tbody th, .ady .share td[colspan] { grid-column: 1 / -1; } }
`;
