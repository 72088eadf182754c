// @vitest-environment happy-dom

import { expect, it } from "vitest";
import type { Mount } from "../../src/host/host";
import { widget } from "../../src/host/notebook";

const model = { send: () => undefined, on: () => undefined, off: () => undefined };

it("keeps from Lab what a key does to a field in a cell", () => {
  const field = document.createElement("textarea");
  const mount: Mount = (el) => {
    el.append(field);
    return () => field.remove();
  };
  const el = document.body.appendChild(document.createElement("div"));
  const close = widget(mount).render({ model, el });
  // What JupyterLab does when a key goes down; it cancels new lines, forms that are sent, and undo.
  field.addEventListener("beforeinput", (event) => event.preventDefault());
  const done = field.dispatchEvent(new InputEvent("beforeinput", { inputType: "insertLineBreak", bubbles: true, cancelable: true }));
  expect(done).toBe(true);
  close();
  expect(el.children.length).toBe(0);
});
