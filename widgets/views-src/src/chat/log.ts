// The turns of a chat on the page, one below the other; who reads along stays at the end.

import { control, element } from "../parts/elements";
import { TurnBox } from "./turn-box";

/** Nearer to the end than this, the reader follows what is being written. */
const FOLLOW_PX = 40;

export class ChatLog {
  readonly element = control("div", { class: "log", role: "log", "aria-label": "Conversation", tabindex: "0" });

  /** Say what to do while nothing is said. */
  advise(advice: string): void {
    if (this.element.querySelector(".turn:not([hidden])")) return;
    this.element.querySelector(".empty")?.remove();
    this.element.append(element("p", { class: "empty" }, advice));
  }

  /** Add a question and an empty answer for each title. */
  add(question: string, titles: readonly string[]): TurnBox {
    this.element.querySelector(".empty")?.remove();
    const box = new TurnBox(question, titles, this.follow);
    this.element.append(box.element);
    this.toEnd();
    return box;
  }

  clear(): void {
    this.element.replaceChildren();
  }

  /** Change something; if the reader was at the end, that stays in sight. */
  readonly follow = (change: () => void): void => {
    const { scrollHeight, scrollTop, clientHeight } = this.element;
    change();
    if (scrollHeight - scrollTop - clientHeight < FOLLOW_PX) this.toEnd();
  };

  private toEnd(): void {
    this.element.scrollTop = this.element.scrollHeight;
  }
}
