// One of the lists: heading with a count, what can be begun, the first few, and more if wanted.

import type { Page } from "../host/things";
import { type LineActions, Rows } from "./rows";
import { matching, type Row } from "./things";
import { control, element } from "../parts/elements";
import { countWords } from "../parts/words";

/** More than this is never loaded into the overview; the views of their own page through everything. */
const MOST = 1000;
/** So many are loaded at least: a count of them says more than of those shown. */
const FIRST = 50;
const EVERY_MS = 5000;
const FEW = 5;
const MANY = 50;

/** What makes a section this one. */
export interface Kind {
  title: string;
  /** What one of it, and many, are called. */
  one: string;
  many: string;
  /** What is counted, if that is not its lines. */
  counts?: string;
  /** The first `wanted` of those that may hold what was typed. */
  load(wanted: number, typed: string): Promise<Page<Row>>;
  /** How often it is looked at; every five seconds if it does not say. */
  everyMs?: number;
  /** What to do next, when there is none. */
  empty: string;
  /** A button in the heading, and one below the list, which is handed what was typed. */
  action?: { words: string; act(): void };
  all?: { words(typed: string): string; act(typed: string): void };
}

export class Section {
  readonly element: HTMLElement;
  private readonly heading = control("button", { type: "button", class: "fold", "aria-expanded": "true" });
  private readonly count = element("span", { class: "count" });
  private readonly action = control("button", { type: "button", class: "small end" });
  private readonly body = element("div", { class: "body" });
  private readonly rows: Rows;
  private readonly empty = element("p", { class: "none" }, "Looking …");
  private readonly more = control("button", { type: "button", class: "link", hidden: true });
  private readonly fewer = control("button", { type: "button", class: "link", hidden: true }, "Show fewer");
  private readonly all = control("button", { type: "button", class: "link", hidden: true });
  private listed: Page<Row> | null = null;
  private shown = FEW;
  private turn = 0;
  private typed = "";

  constructor(
    private readonly kind: Kind,
    actions: LineActions,
    private readonly lookAgain: () => void,
  ) {
    this.rows = new Rows(actions);
    this.action.textContent = kind.action?.words ?? "";
    this.allow(true);
    this.heading.append(element("span", {}, kind.title), this.count);
    const foot = element("div", { class: "row foot" }, this.more, this.fewer, this.all);
    this.body.append(this.rows.element, this.empty, foot);
    this.element = element(
      "section",
      { class: "part", "aria-label": kind.title },
      element("div", { class: "head" }, element("h2", {}, this.heading), this.action),
      this.body,
    );
    this.listen();
  }

  get everyMs(): number {
    return this.kind.everyMs ?? EVERY_MS;
  }

  /** Ask for what is shown; a failure is the caller's to tell. */
  async look(): Promise<void> {
    const turn = ++this.turn;
    const listed = await this.kind.load(Math.min(MOST, Math.max(FIRST, this.shown)), this.typed);
    if (turn !== this.turn) return; // another look began meanwhile, and knows better
    this.listed = listed;
    this.draw();
  }

  search(typed: string): void {
    if (typed === this.typed) return;
    this.typed = typed;
    this.shown = FEW;
    this.draw();
    this.lookAgain();
  }

  /** Offer to begin something only to who may. */
  allow(write: boolean): void {
    this.action.hidden = !write || !this.kind.action;
  }

  /** Make what can be begun here the main thing to do, or not. */
  stress(main: boolean): void {
    this.action.classList.toggle("main", main);
  }

  private listen(): void {
    this.heading.addEventListener("click", () => {
      this.body.hidden = !this.body.hidden;
      this.heading.setAttribute("aria-expanded", String(!this.body.hidden));
    });
    this.action.addEventListener("click", () => this.kind.action?.act());
    this.more.addEventListener("click", () => {
      this.shown = this.shown === FEW ? MANY : this.shown + MANY;
      this.draw();
      this.lookAgain();
    });
    this.fewer.addEventListener("click", () => {
      this.shown = FEW;
      this.draw();
      this.heading.focus();
    });
    this.all.addEventListener("click", () => this.kind.all?.act(this.typed));
  }

  private draw(): void {
    if (!this.listed) return;
    const { items, has_more: more } = this.listed;
    const found = matching(items, this.typed);
    const count = found.reduce((sum, { weight }) => sum + weight, 0);
    this.count.textContent = `${this.kind.counts ? countWords(count, this.kind.counts) : count.toLocaleString()}${more ? "+" : ""}`;
    this.rows.show(found.slice(0, this.shown));
    this.empty.hidden = found.length > 0;
    this.empty.textContent = this.typed ? `No ${this.kind.one} has “${this.typed}” in its name.` : this.kind.empty;
    this.drawFoot(found.length, more);
  }

  private drawFoot(found: number, more: boolean): void {
    const loadable = more && found < MOST;
    const rest = found - this.shown;
    const wasHere = [this.more, this.fewer].find((button) => button === (button.getRootNode() as Document).activeElement);
    this.more.hidden = rest <= 0 && !(loadable && this.shown < MOST && found > FEW);
    this.more.textContent = this.shown === FEW && found <= MANY && !more ? `Show all ${found}` : "Show more";
    this.more.setAttribute("aria-label", `${this.more.textContent} ${this.kind.many}`);
    this.fewer.setAttribute("aria-label", `Show fewer ${this.kind.many}`);
    this.fewer.hidden = this.shown === FEW || found <= FEW;
    if (wasHere?.hidden) (wasHere === this.more ? this.fewer : this.heading).focus();
    const { all } = this.kind;
    this.all.hidden = !all || (found === 0 && !this.typed);
    if (all) this.all.textContent = all.words(this.typed);
  }
}
