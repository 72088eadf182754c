// One turn on the page: the question on the right, its answers on the left or side by side.

import { copyButton } from "../parts/copy";
import { control, element } from "../parts/elements";
import { Growing } from "../parts/growing";
import { questionField } from "./question-field";

/** The place where one model's answer is written. */
export class AnswerBox {
  readonly element: HTMLElement;
  private readonly foot = element("div", { class: "foot" });
  private readonly growing: Growing;
  private text = "";

  constructor(title: string, private readonly follow: (change: () => void) => void) {
    const said = element("div", { class: "said prose" });
    this.growing = new Growing(said, follow);
    // A screen reader waits until the answer is complete.
    this.element = element("div", { class: "answer writing", "aria-busy": "true" }, element("span", { class: "who" }, title), said, this.foot);
  }

  write(text: string): void {
    this.text = text;
    this.growing.write(text);
  }

  end(note: string): void {
    this.growing.end();
    this.element.classList.remove("writing");
    this.element.setAttribute("aria-busy", "false");
    this.follow(() => {
      if (note) this.foot.append(element("span", { class: "note" }, note));
      if (this.text) this.foot.append(copyButton("Copy", "Copy answer", () => this.text));
    });
  }
}

export class TurnBox {
  readonly element: HTMLElement;
  readonly answers: readonly AnswerBox[];
  private readonly bubble: HTMLElement;
  private readonly actions = element("div", { class: "row actions" });
  private editor: HTMLElement | null = null;

  constructor(readonly question: string, titles: readonly string[], private readonly follow: (change: () => void) => void) {
    this.answers = titles.map((title) => new AnswerBox(title, follow));
    this.bubble = element("div", { class: "question" }, question);
    const side = element("div", { class: "answers" }, ...this.answers.map((answer) => answer.element));
    this.element = element("div", { class: "turn" }, this.bubble, side, this.actions);
  }

  /** Say that this was cut off, and is no part of the history. */
  cut(): void {
    this.element.classList.add("cut");
  }

  /** Offer to ask the same question once more, or another in its place. */
  offer(ask: (question: string) => void): void {
    const again = control("button", { type: "button", class: "link" }, "Regenerate");
    const edit = control("button", { type: "button", class: "link" }, "Edit question");
    again.addEventListener("click", () => ask(this.question));
    edit.addEventListener("click", () => this.edit(ask));
    this.follow(() => this.actions.replaceChildren(again, edit));
  }

  /** Offer nothing any more: there is a later turn. */
  settle(): void {
    this.stopEditing();
    this.actions.replaceChildren();
  }

  stopEditing(): void {
    if (!this.editor) return;
    this.editor.replaceWith(this.bubble);
    this.editor = null;
    this.actions.hidden = false;
  }

  private edit(ask: (question: string) => void): void {
    const send = (): void => {
      const question = field.value.trim();
      if (question) ask(question);
    };
    const cancel = (): void => {
      this.stopEditing();
      this.actions.querySelector<HTMLElement>("button:last-child")?.focus();
    };
    const field = questionField("Edited question", send);
    const yes = control("button", { type: "button", class: "main" }, "Ask again");
    const no = control("button", { type: "button" }, "Cancel");
    yes.addEventListener("click", send);
    no.addEventListener("click", cancel);
    field.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.isComposing) cancel();
    });
    field.value = this.question;
    this.editor = element("div", { class: "editor" }, field, element("div", { class: "row" }, no, yes));
    this.bubble.replaceWith(this.editor);
    this.actions.hidden = true;
    field.focus();
  }
}
