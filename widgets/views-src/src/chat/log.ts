// The turns of a chat on the page: questions on the right, answers on the left or side by side.

import type { Turn } from "./conversation";
import { control, element } from "../parts/elements";

/** Nearer to the end than this, the reader follows what is being written. */
const FOLLOW_PX = 40;

/** The place where one model's answer is written. */
export interface AnswerBox {
  write(text: string): void;
  end(note: string): void;
}

export class ChatLog {
  readonly element = control("div", {
    class: "log",
    role: "log",
    "aria-label": "Conversation",
    tabindex: "0",
  });

  /** Show the whole history, or `advice` if there is none. */
  show(turns: Iterable<Turn>, advice: string, titleOf: (id: string) => string): void {
    this.element.replaceChildren();
    for (const turn of turns) {
      const boxes = this.add(turn.question, [...turn.answers.keys()].map(titleOf));
      [...turn.answers.values()].forEach((answer, index) => {
        boxes[index]?.write(answer.text);
        boxes[index]?.end(answer.note);
      });
    }
    if (this.element.childElementCount === 0) this.element.append(element("p", { class: "empty" }, advice));
    this.toEnd();
  }

  /** Add a question and an empty answer for each model. */
  add(question: string, titles: string[]): AnswerBox[] {
    this.element.querySelector(".empty")?.remove();
    const answers = titles.map((title) => this.answer(title));
    this.element.append(
      element("div", { class: "question" }, question),
      element("div", { class: "answers" }, ...answers.map(({ box }) => box)),
    );
    this.toEnd();
    return answers;
  }

  private answer(title: string): AnswerBox & { box: HTMLElement } {
    const said = element("div", { class: "said" });
    // A screen reader waits until the answer is complete.
    const box = element("div", { class: "answer writing", "aria-busy": "true" }, element("span", { class: "who" }, title), said);
    return {
      box,
      write: (text) => {
        const { scrollHeight, scrollTop, clientHeight } = this.element;
        said.textContent = text;
        if (scrollHeight - scrollTop - clientHeight < FOLLOW_PX) this.toEnd();
      },
      end: (note) => {
        box.classList.remove("writing");
        box.setAttribute("aria-busy", "false");
        if (note) box.append(element("span", { class: "note" }, note));
      },
    };
  }

  private toEnd(): void {
    this.element.scrollTop = this.element.scrollHeight;
  }
}
