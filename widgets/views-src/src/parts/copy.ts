// Copying to the clipboard.

import { control } from "./elements";

const SAID_MS = 2000;

/** Copy; says whether it worked. A page that is not secure has no clipboard. */
export async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** A button that copies what `text` gives, and says so. `name` holds its words: whoever speaks to it says those. `done` hears that it worked. */
export function copyButton(words: string, name: string, text: () => string, done: () => void = () => undefined): HTMLButtonElement {
  const button = control("button", { type: "button", class: "small", "aria-label": name, title: name }, words);
  button.addEventListener("click", () => {
    void copy(text()).then((copied) => {
      if (copied) done();
      const said = copied ? "Copied" : "Not allowed here";
      show(said, said);
      setTimeout(() => show(words, name), SAID_MS);
    });
  });
  return button;

  function show(shown: string, read: string): void {
    button.textContent = shown;
    button.setAttribute("aria-label", read);
  }
}
