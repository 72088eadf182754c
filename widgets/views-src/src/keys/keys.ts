// The Keys view: the reader's own keys, for programs outside the Hub. They are made, looked after and
// ended here. A secret is shown once, in a dialog that is then gone (see secret.ts).

import { type Args, type Host, HostError, isPassing, type Mount } from "../host/host";
import { widget } from "../host/notebook";
import { persist, repeat } from "../host/persist";
import { ask, list, type Page, PAGE_LIMIT } from "../host/things";
import { confirm } from "../parts/dialog";
import { control, element } from "../parts/elements";
import { uniqueId } from "../parts/field";
import { FORM_STYLE } from "../parts/form-style";
import { guard } from "../parts/leaving";
import { Notices } from "../parts/notice";
import { adopt } from "../parts/style";
import { TABS_STYLE } from "../parts/tabs";
import { CreateDialog } from "./create";
import { asks, endWords, isAlive, isNamed, type Key, type NewKey } from "./key";
import { askToRotate } from "./rotate";
import { type Action, Row } from "./row";
import { SecretDialog } from "./secret";
import { KEYS_STYLE } from "./style";
import { Use } from "./use";

const EVERY_MS = 10_000;
/** The service lets one user have some 100 that have not ended. */
const SIZE = 200;
const ABOUT = "A program outside the Hub, such as a pipeline or a web page, uses a key: it asks the adapters that you choose, does nothing else, and ends when you say so.";
const UNKNOWN = ["It is not known whether the secret was replaced: nobody answered", "Rotate the key again, or revoke it."] as const;

interface Start {
  /** An adapter that is to be used from outside. */
  adapter?: string;
}

interface Whoami {
  scopes: string[];
  url: string;
}

class Keys {
  private readonly life = new AbortController();
  private readonly notices = new Notices();
  private readonly heading = element("h2", {}, "Keys");
  private readonly begin = control("button", { type: "button", class: "main end", "aria-haspopup": "dialog", hidden: true }, "New key");
  private readonly all = control("button", { type: "button", class: "link", hidden: true }, "All keys");
  private readonly empty = element("div", { class: "empty" }, element("p", { role: "status" }, "Looking for your keys …"));
  private readonly body = element("tbody", { role: "rowgroup" });
  private readonly table: HTMLElement;
  private readonly more = control("button", { type: "button", class: "small more", hidden: true }, "Load more");
  private readonly root: HTMLElement;
  private readonly rows = new Map<string, Row>();
  private page: Page<Key> | null = null;
  private wanted = SIZE;
  private adapter: string | null = null;
  /** Whether the reader may use that adapter; asked where no key does. */
  private usable = true;
  private who: Whoami = { scopes: [], url: "" };
  private creating: CreateDialog | null = null;
  private secret: SecretDialog | null = null;
  private turn = 0;

  constructor(
    private readonly el: HTMLElement,
    private readonly host: Host,
  ) {
    const heads = ["Key", "Asks", "Use", "State"].map((words) => element("th", { scope: "col", role: "columnheader" }, words));
    const actions = element("th", { scope: "col", role: "columnheader" }, element("span", { class: "visually-hidden" }, "Actions"));
    this.table = element("table", { role: "table", "aria-label": "Keys", hidden: true }, element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...heads, actions)), this.body);
    this.root = element(
      "section",
      { class: "ady ady-keys", "aria-label": "Keys", tabindex: "-1" },
      element("div", { class: "row" }, this.heading, this.all, this.begin),
      element("p", { class: "soft about" }, ABOUT),
      ...[this.notices.element, this.table, this.more, this.empty],
    );
    this.el.replaceChildren(this.root);
    adopt(this.root, FORM_STYLE, TABS_STYLE, KEYS_STYLE);
    this.listen();
    void this.open();
  }

  close(): void {
    globalThis.removeEventListener("beforeunload", this.beforeUnload);
    this.life.abort();
    this.secret?.end();
    this.el.replaceChildren();
  }

  private listen(): void {
    globalThis.addEventListener("beforeunload", this.beforeUnload);
    guard(this.root, () => this.busy);
    this.begin.addEventListener("click", () => this.create());
    this.all.addEventListener("click", () => this.showAll());
    this.more.addEventListener("click", () => {
      this.wanted += SIZE;
      void this.lookNow();
    });
  }

  private get busy(): boolean {
    return (this.secret?.untaken ?? false) || (this.creating?.busy ?? false);
  }

  private readonly beforeUnload = (event: Event): void => {
    if (this.busy) event.preventDefault();
  };

  // -- looking ------------------------------------------------------------------------------------

  private async open(): Promise<void> {
    try {
      const start = await this.persist(() => ask<Start | null>(this.host, "view.start"));
      this.adapter = typeof start?.adapter === "string" && start.adapter !== "" ? start.adapter : null;
      this.tellHere();
      this.who = await this.persist(() => ask<Whoami>(this.host, "whoami"));
      this.begin.hidden = !this.writes;
      await repeat(() => this.look(), EVERY_MS, this.life.signal, this.notices.trouble);
    } catch (error) {
      this.problem(error, () => void this.open());
    }
  }

  private async look(): Promise<void> {
    const turn = ++this.turn;
    const page = await list<Key>(this.host, "keys.list", {}, this.wanted);
    const { adapter } = this;
    const usable = adapter === null || page.items.some((key) => asks(key, adapter)) || (await this.mayUse(adapter));
    if (turn !== this.turn || this.life.signal.aborted) return; // another look began meanwhile
    this.page = page;
    this.usable = usable;
    this.show();
  }

  private async mayUse(adapter: string): Promise<boolean> {
    const { items } = await list<{ id: string; full_name: string }>(this.host, "adapters.list", { search: adapter }, PAGE_LIMIT);
    return items.some(({ full_name }) => isNamed(full_name, adapter));
  }

  private async lookNow(): Promise<void> {
    try {
      await this.persist(() => this.look());
    } catch (error) {
      this.problem(error, () => void this.lookNow());
    }
  }

  private get writes(): boolean {
    return this.who.scopes.includes("write");
  }

  // -- showing ------------------------------------------------------------------------------------

  private show(): void {
    const now = Date.now();
    const keys = this.keysToShow(now);
    const rows = keys.map((key) => {
      const row = this.rows.get(key.id) ?? new Row(key, (action, of) => void this.act(action, of));
      this.rows.set(key.id, row);
      row.update(key, now, this.writes);
      return row.element;
    });
    for (const stale of [...this.body.children]) if (!rows.includes(stale as HTMLElement)) stale.remove();
    rows.forEach((row, at) => this.body.children[at] !== row && this.body.insertBefore(row, this.body.children[at] ?? null));
    this.table.hidden = keys.length === 0;
    this.more.hidden = !(this.page?.has_more ?? false);
    this.heading.textContent = this.adapter === null ? "Keys" : `Use ${this.adapter} from outside`;
    this.all.hidden = this.adapter === null;
    this.showEmpty(keys.length === 0);
  }

  /** Those in force first, each the newest first. */
  private keysToShow(now: number): Key[] {
    const { adapter } = this;
    const keys = (this.page?.items ?? []).filter((key) => adapter === null || asks(key, adapter));
    return keys.sort((one, other) => Number(isAlive(other, now)) - Number(isAlive(one, now)));
  }

  private showEmpty(empty: boolean): void {
    this.empty.hidden = !empty;
    const words = this.emptyWords();
    if (empty && this.empty.textContent !== words) this.empty.replaceChildren(element("p", { role: "status" }, words));
  }

  private emptyWords(): string {
    if (!this.usable) return `You may not use ${this.adapter} any more, or there is no such adapter.`;
    const what = this.adapter === null ? "You have no key yet." : `None of your keys asks ${this.adapter} yet.`;
    return this.writes ? `${what} “New key” makes one; its secret is shown once.` : `${what} Your role does not let you make one.`;
  }

  private showAll(): void {
    this.adapter = null;
    this.usable = true;
    this.tellHere();
    this.show();
    this.root.focus({ preventScroll: true });
  }

  // -- what the reader does -----------------------------------------------------------------------

  private create(): void {
    const tell = { made: (key: NewKey) => this.made(key, false), uncertain: () => void this.lookNow() };
    this.creating = new CreateDialog(this.host, this.life.signal, tell, this.usable ? this.adapter : null);
    this.put(this.creating.element, () => (this.creating = null));
  }

  /** Show the secret of a key, once; `key` is what was answered, and is kept nowhere. */
  private made(key: NewKey, rotated: boolean): void {
    const secret = (this.secret = new SecretDialog(key, this.who.url, this.seals(key), rotated));
    this.put(secret.element, () => {
      secret.end();
      this.secret = null;
    });
    void this.lookNow();
  }

  /** Whether an adapter of a key is restricted. What is not known is taken for it: a client that seals can ask everything. */
  private async seals({ adapters }: Key): Promise<boolean> {
    const usable = adapters.filter(({ name }) => name !== null);
    try {
      const cards = await Promise.all(usable.map(({ id }) => ask<{ sensitivity: string }>(this.host, "adapters.get", { adapter: id })));
      return cards.some(({ sensitivity }) => sensitivity === "restricted");
    } catch {
      return true;
    }
  }

  private async act(action: Action, key: Key): Promise<void> {
    if (action === "use") this.showUse(key);
    else if (action === "rotate") await this.rotate(key);
    else await this.revoke(key);
  }

  private showUse(key: Key): void {
    const title = element("h3", { id: uniqueId() }, `Use “${key.name}”`);
    const close = control("button", { type: "button" }, "Close");
    const words = "In these lines, put the secret in the place of “ak-...”. It was shown when the key was made; if it is lost, rotate the key.";
    const dialog = element("dialog", { class: "key", "aria-labelledby": title.id }, title, element("p", {}, words), new Use(key, this.who.url, this.seals(key)).element, element("div", { class: "row" }, element("span", { class: "end" }), close));
    close.addEventListener("click", () => dialog.close());
    this.put(dialog, () => undefined);
  }

  private async rotate(key: Key): Promise<void> {
    const minutes = await askToRotate(this.root, key);
    if (minutes === null) return;
    try {
      // Asked once: a second time would end the secret that this one lets work on.
      const made = await ask<NewKey>(this.host, "keys.rotate", { key: key.id, overlap_minutes: minutes });
      if (!this.life.signal.aborted) this.made(made, true);
    } catch (error) {
      this.problem(isPassing(error) ? new HostError(error.code, ...UNKNOWN) : error);
      await this.lookNow();
    }
  }

  private async revoke(key: Key): Promise<void> {
    if (!(await confirm(this.root, `Revoke “${key.name}”?`, endWords(key), "Revoke the key", "Keep it"))) return;
    const args: Args = { key: key.id };
    try {
      await this.persist(() => this.host.call("keys.revoke", args)); // said twice it is the same
    } catch (error) {
      this.problem(error);
    }
    await this.lookNow();
    if (!this.root.contains((this.root.getRootNode() as Document | ShadowRoot).activeElement)) this.root.focus({ preventScroll: true });
  }

  private put(dialog: HTMLDialogElement, closed: () => void): void {
    this.root.append(dialog);
    dialog.addEventListener("close", () => {
      dialog.remove();
      closed();
    });
    dialog.showModal();
  }

  private tellHere(): void {
    const start = this.adapter === null ? {} : { adapter: this.adapter };
    void this.host.call("view.here", { title: this.adapter === null ? "Keys" : `Keys: ${this.adapter}`, start }).catch(() => undefined);
  }

  private persist<T>(work: () => Promise<T>): Promise<T> {
    return persist(work, this.life.signal, this.notices.trouble);
  }

  private problem(error: unknown, retry: (() => void) | null = null): void {
    if (!this.life.signal.aborted) this.notices.problem(error, retry);
  }
}

export const mount: Mount = (el, host) => {
  const keys = new Keys(el, host);
  return () => keys.close();
};

export default widget(mount);
