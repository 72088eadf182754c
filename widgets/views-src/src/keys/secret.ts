// The one time that a secret is shown. It lives in this dialog and nowhere else: no address, no trait and
// nothing that is remembered holds it, and it is in the page only while the reader wants to see it.

import { copyButton } from "../parts/copy";
import { control, element } from "../parts/elements";
import { uniqueId } from "../parts/field";
import { momentWords } from "../parts/words";
import type { NewKey } from "./key";
import { Use } from "./use";

const DOTS = "•".repeat(12);
const ONCE = "It is shown only here and only now: the service keeps a hash of it, from which nobody can make it again.";
const UNTAKEN = "It is not copied yet, and nothing shows it again. Close anyway?";

export class SecretDialog {
  readonly element: HTMLDialogElement;
  private readonly shown = element("code", { class: "secret" });
  private readonly show = control("button", { type: "button", class: "small" }, "Show");
  private readonly close = control("button", { type: "button" }, "Close");
  private readonly warning = element("p", { role: "alert", class: "warning" });
  private readonly use: Use;
  private secret: string;
  private visible = false;
  private taken = false;

  /** `sealed`: whether an adapter of the key is restricted; `rotated`: the key had another secret before. */
  constructor(
    private readonly key: NewKey,
    url: string,
    sealed: Promise<boolean>,
    rotated: boolean,
  ) {
    this.secret = key.secret;
    this.use = new Use({ ...key }, url, sealed);
    const title = element("h3", { id: uniqueId() }, `The secret of “${key.name}”`);
    const copy = copyButton("Copy", "Copy the secret", () => this.secret, () => (this.taken = true));
    copy.classList.add("main");
    copy.autofocus = true;
    const old = rotated ? [element("p", {}, key.overlap_until === null ? "The old secret works no more." : `The old secret works until ${momentWords(key.overlap_until)}.`)] : [];
    this.element = element(
      "dialog",
      { class: "key", "aria-labelledby": title.id },
      title,
      element("p", {}, ONCE),
      ...old,
      element("div", { class: "row once" }, this.shown, this.show, copy),
      this.use.element,
      this.warning,
      element("div", { class: "row" }, element("span", { class: "end" }), this.close),
    );
    this.draw();
    this.listen();
  }

  /** Whether closing it now would lose the secret. */
  get untaken(): boolean {
    return this.element.open && !this.taken;
  }

  /** Forget it. */
  end(): void {
    this.secret = this.key.secret = "";
    this.use.show(null);
    this.shown.textContent = "";
  }

  private listen(): void {
    this.show.addEventListener("click", () => {
      this.visible = !this.visible;
      this.taken = true;
      this.draw();
    });
    this.close.addEventListener("click", () => this.leave() && this.element.close());
    this.element.addEventListener("cancel", (event) => {
      if (!this.leave()) event.preventDefault();
    });
  }

  /** Whether it may be closed, and the secret forgotten at once; asks once if nobody took it. */
  private leave(): boolean {
    if (this.taken || this.warning.textContent !== "") {
      this.end(); // a closed dialog is in the page until it has told so
      return true;
    }
    this.warning.textContent = UNTAKEN;
    this.close.textContent = "Close without it";
    this.close.classList.add("danger");
    return false;
  }

  private draw(): void {
    this.shown.textContent = this.visible ? this.secret : `${this.key.prefix.replace(/…$/, "")}${DOTS}`;
    this.show.textContent = this.visible ? "Hide" : "Show";
    this.show.setAttribute("aria-label", this.visible ? "Hide the secret" : "Show the secret");
    this.use.show(this.visible ? this.secret : null);
  }
}
