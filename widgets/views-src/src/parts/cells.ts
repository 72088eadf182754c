// Cells of tables that become cards where there is little room.

import { element } from "./elements";

export function cell(...children: Node[]): HTMLElement {
  return element("td", { role: "cell" }, ...children);
}

/** What a card says before a value; in a table the head of the column says it. */
export function label(words: string): HTMLElement {
  return element("span", { class: "label", "aria-hidden": "true" }, words);
}

/** Leaves what has not changed alone: a selection in it stays. */
export function say(node: HTMLElement, words: string): void {
  if (node.textContent !== words) node.textContent = words;
  node.hidden = words === "";
}
