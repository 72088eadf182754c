// What went wrong, in words, with what can be done about it.

import { type HostError, isPassing, wordsOf } from "../host/host";
import { control, element } from "./elements";

/** A place for one notice at a time; a screen reader reads it out. */
export class Notices {
  readonly element = element("div", { role: "alert" });
  private shown: "trouble" | "problem" | null = null;

  /** Show an error, and a button that tries again if `retry` is given. */
  problem(error: unknown, retry: (() => void) | null = null): void {
    this.shown = "problem";
    const parts: Node[] = [element("span", {}, wordsOf(error))];
    if (retry) parts.push(this.button("Retry", retry));
    parts.push(this.button("Dismiss", () => undefined));
    const fields = (error as HostError).fields ?? [];
    const list = element("ul", {}, ...fields.map(({ where, reason, remedy }) => element("li", {}, `${where}: ${reason} ${remedy}`)));
    this.element.replaceChildren(element("div", { class: "notice bad" }, ...parts, ...(fields.length > 0 ? [list] : [])));
  }

  /** Show that something is being tried again by itself; null takes that away. Fits `Trouble`. */
  readonly trouble = (error: unknown | null): void => {
    if (error === null) {
      if (this.shown === "trouble") this.clear();
      return;
    }
    if (!isPassing(error) || this.shown === "problem") return;
    if (this.shown === "trouble") return; // said once is enough for who listens
    this.shown = "trouble";
    this.element.replaceChildren(
      element("div", { class: "notice warn" }, element("span", {}, "The connection is lost. It is tried again by itself; nothing you typed is lost.")),
    );
  };

  clear(): void {
    this.shown = null;
    this.element.replaceChildren();
  }

  private button(words: string, act: () => void): HTMLButtonElement {
    const button = control("button", { type: "button", class: "small" }, words);
    button.addEventListener("click", () => {
      this.clear();
      act();
    });
    return button;
  }
}
