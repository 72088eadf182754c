// The field that a question is written in: Enter sends, Shift+Enter starts a new line.

import { control } from "../parts/elements";

export function questionField(name: string, send: () => void): HTMLTextAreaElement {
  const field = control("textarea", {
    "aria-label": name,
    placeholder: "Write a message",
    title: "Enter sends, Shift+Enter starts a new line",
    rows: "2",
  });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    if (event.shiftKey) breakLine(field);
    else send();
  });
  return field;
}

/** Lab keeps the browser from doing it anywhere in a cell. */
function breakLine(field: HTMLTextAreaElement): void {
  field.setRangeText("\n", field.selectionStart, field.selectionEnd, "end");
  field.scrollTop = field.scrollHeight;
}
