// A question that must be answered before something is lost.

import { control, element } from "./elements";

/** Ask; `true` if the reader chose `action`. Escape and `keep` mean no. */
export function confirm(within: HTMLElement, title: string, words: string, action: string, keep = "Cancel"): Promise<boolean> {
  const dialog = element("dialog", { "aria-label": title });
  const yes = control("button", { type: "button", class: "danger" }, action);
  const no = control("button", { type: "button", autofocus: true }, keep);
  dialog.append(element("h3", {}, title), element("p", {}, words), element("div", { class: "row" }, no, yes));
  within.append(dialog);
  return new Promise((resolve) => {
    yes.addEventListener("click", () => dialog.close("yes"));
    no.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    dialog.showModal();
  });
}
