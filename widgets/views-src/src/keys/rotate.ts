// Asking how a secret is replaced: at once, or with time to change it where it is used.

import { control, element } from "../parts/elements";
import { Field, uniqueId } from "../parts/field";
import type { Key } from "./key";

/** In minutes; the service allows a day. */
const OVERLAPS: readonly [string, string][] = [["0", "Not at all: it is dead at once"], ["60", "For an hour more"], ["1440", "For a day more"]];

/** How many minutes the present secret works on; null if the reader thought better of it. */
export function askToRotate(within: HTMLElement, { name, prefix }: Key): Promise<number | null> {
  const title = element("h3", { id: uniqueId() }, `Rotate “${name}”?`);
  const select = control("select", {}, ...OVERLAPS.map(([value, words]) => element("option", { value }, words)));
  const field = new Field("overlap_minutes", "The old secret works", select);
  const no = control("button", { type: "button" }, "Keep it");
  const yes = control("button", { type: "button", class: "main" }, "Make a new secret");
  const words = `You get a new secret, which is shown once. Programs that use ${prefix} need it in the place of the old one.`;
  const dialog = element("dialog", { class: "key", "aria-labelledby": title.id }, title, element("p", {}, words), field.element, element("div", { class: "row" }, element("span", { class: "end" }), no, yes));
  within.append(dialog);
  return new Promise((resolve) => {
    yes.addEventListener("click", () => dialog.close("yes"));
    no.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes" ? Number(select.value) : null);
    });
    dialog.showModal();
  });
}
