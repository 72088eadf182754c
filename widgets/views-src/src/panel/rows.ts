// The lines of one list. A line stays the same element for as long as its thing is shown, so that
// looking again takes neither the keyboard's place nor what a finger is about to press.

import type { Row } from "./things";
import { control, element } from "../parts/elements";

/** What can be done with a line. */
export interface LineActions {
  open(row: Row): void;
  share(row: Row): void;
  key(row: Row): void;
  remove(row: Row): void;
}

class Line {
  readonly element: HTMLLIElement;
  readonly target: HTMLElement;
  private readonly title = element("span", { class: "title" });
  private readonly lock = lock();
  private readonly badge = element("span", { class: "chip" });
  private readonly facts = element("span", { class: "facts" });
  private readonly progress = element("progress", { max: "1" });
  private readonly share = control("button", { type: "button", class: "small", "aria-haspopup": "dialog" }, "Share");
  private readonly key = control("button", { type: "button", class: "small" }, "Key");
  private readonly remove = control("button", { type: "button", class: "small", "aria-haspopup": "dialog" }, "Delete");
  row: Row;

  constructor(row: Row, { open, share, key, remove }: LineActions) {
    this.row = row;
    const parts = [element("span", { class: "first" }, this.title, this.lock, this.badge), this.progress, this.facts];
    if (row.opens) {
      this.target = control("button", { type: "button", class: "line" }, ...parts);
      this.target.addEventListener("click", () => open(this.row));
    } else {
      this.target = element("div", { class: "line" }, ...parts);
    }
    this.share.addEventListener("click", () => share(this.row));
    this.key.addEventListener("click", () => key(this.row));
    this.remove.addEventListener("click", () => remove(this.row));
    this.element = element("li", {}, this.target, element("span", { class: "acts" }, this.key, this.share, this.remove));
    this.update(row);
  }

  update(row: Row): void {
    this.row = row;
    write(this.title, row.title);
    write(this.facts, row.facts.join(" · "));
    write(this.badge, row.badge?.words ?? "");
    this.badge.className = `chip ${row.badge?.mood ?? ""}`.trim();
    this.badge.hidden = row.badge === null;
    this.lock.hidden = !row.restricted;
    this.facts.title = row.at ?? "";
    this.share.hidden = row.shares === null;
    this.share.setAttribute("aria-label", `Share ${row.title}`);
    this.remove.hidden = !row.deletes;
    this.remove.setAttribute("aria-label", `Delete ${row.title}`);
    this.key.hidden = row.asked === null;
    this.key.title = "Use it from outside, with a key";
    this.key.setAttribute("aria-label", `Key for ${row.title}: use it from outside`);
    this.progress.hidden = row.progress === null;
    this.progress.value = row.progress ?? 0;
    this.progress.setAttribute("aria-label", `Progress of ${row.title}`);
  }
}

export class Rows {
  readonly element = element("ul");
  private readonly lines = new Map<string, Line>();

  constructor(private readonly actions: LineActions) {}

  /** Show these rows in this order. */
  show(rows: Row[]): void {
    const focused = this.focused();
    const active = activeIn(this.element);
    const at = focused ? [...this.element.children].indexOf(focused.element) : 0;
    const wanted = new Set(rows.map(({ id }) => id));
    for (const [id, line] of this.lines) if (!wanted.has(id)) this.remove(id, line);
    rows.forEach((row, index) => {
      const line = this.lines.get(row.id);
      if (line) line.update(row);
      else this.lines.set(row.id, new Line(row, this.actions));
      const { element } = this.lines.get(row.id)!;
      const here = this.element.children[index];
      if (here !== element) this.element.insertBefore(element, here ?? null);
    });
    // A line that was moved has lost the keyboard.
    if (focused?.element.isConnected && this.focused() !== focused) (active as HTMLElement).focus({ preventScroll: true });
    // One that is gone leaves it to the line in its place.
    if (focused?.element.isConnected === false) this.lines.get(rows[Math.min(at, rows.length - 1)]?.id ?? "")?.target.focus({ preventScroll: true });
  }

  private remove(id: string, line: Line): void {
    line.element.remove();
    this.lines.delete(id);
  }

  private focused(): Line | null {
    const active = activeIn(this.element);
    return [...this.lines.values()].find((line) => line.element.contains(active)) ?? null;
  }
}

function activeIn(node: Node): Element | null {
  return (node.getRootNode() as Document | ShadowRoot).activeElement;
}

/** Text that is the same already is left alone. */
function write(node: HTMLElement, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

const SVG = "http://www.w3.org/2000/svg";

function lock(): HTMLElement {
  const picture = document.createElementNS(SVG, "svg");
  picture.setAttribute("viewBox", "0 0 16 16");
  picture.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", "M4.5 7V5a3.5 3.5 0 0 1 7 0v2h.5a1 1 0 0 1 1 1v5a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V8a1 1 0 0 1 1-1zM6 7h4V5a2 2 0 0 0-4 0z");
  picture.append(path);
  return element("span", { class: "lock", title: "Restricted: it answers only over the sealed channel" }, picture, "restricted");
}
