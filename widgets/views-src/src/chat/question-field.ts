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
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  });
  return field;
}
