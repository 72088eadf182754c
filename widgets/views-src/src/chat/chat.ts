// The Chat view: ask one adapter, or an adapter and its base side by side, and watch them answer.

import { type AnswerBox, ChatLog } from "./log";
import { CHAT_STYLE } from "./style";
import { type Answer, Conversation, type Turn } from "./conversation";
import { control, element } from "../parts/elements";
import { type Host, type Json, type Mount, wordsOf } from "../host/host";
import { widget } from "../host/notebook";
import { type Limits, within } from "./limits";
import { type Model, Models } from "./models";

const TOKENS: Limits = { least: 1, most: 4096, step: 1, start: 256 };
/** Small models soon talk nonsense when they are warm. */
const TEMPERATURE: Limits = { least: 0, most: 2, step: 0.1, start: 0.2 };
const ADVICE = {
  looking: "Looking for the models that you may use …",
  failed: "The models that you may use could not be listed.",
  none: "There is no model that you may use yet. Ask whoever runs this Hub for a base model.",
  begin: "Choose a model and write to it. A new adapter is in the list as soon as its job is completed.",
};
/** Why an exchange was ended from here. */
type Ending = "stopped" | "cleared" | "closed" | "failed";

class Chat {
  private readonly conversation = new Conversation();
  private readonly models = new Models();
  private readonly model = control("select", { "aria-label": "Model" });
  private readonly beside = control("input", { type: "checkbox", disabled: true });
  private readonly maxTokens = numberField(TOKENS);
  private readonly temperature = numberField(TEMPERATURE);
  private readonly log = new ChatLog();
  private readonly trouble = element("div", { role: "alert" });
  private readonly text = control("textarea", {
    "aria-label": "Message",
    placeholder: "Write a message",
    title: "Enter sends, Shift+Enter starts a new line",
    rows: "2",
  });
  private readonly send = control("button", { type: "submit", class: "main" }, "Send");
  private readonly stop = control("button", { type: "button", hidden: true }, "Stop");
  private readonly clear = control("button", { type: "button" }, "New chat");
  private running: AbortController | null = null;
  private advice = ADVICE.looking;

  constructor(
    private readonly el: HTMLElement,
    private readonly host: Host,
  ) {
    const bar = element(
      "div",
      { class: "bar" },
      element("label", { class: "model" }, "Model", this.model),
      element("label", {}, "Longest answer (tokens)", this.maxTokens),
      element("label", {}, "Temperature", this.temperature),
      element("label", { class: "beside" }, this.beside, "Base model beside it"),
      this.clear,
    );
    const form = element("form", {}, this.text, this.send, this.stop);
    this.el.replaceChildren(
      element("style", {}, CHAT_STYLE),
      element("section", { class: "ady-chat", "aria-label": "Chat" }, bar, this.log.element, this.trouble, form),
    );
    this.listen(form);
    this.showHistory();
    void this.loadModels();
  }

  close(): void {
    this.abort("closed");
    this.el.replaceChildren();
  }

  private listen(form: HTMLFormElement): void {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    this.text.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.isComposing) return;
      event.preventDefault();
      if (event.shiftKey) this.breakLine();
      else this.submit();
    });
    this.stop.addEventListener("click", () => this.abort("stopped"));
    this.model.addEventListener("focus", () => void this.loadModels());
    this.model.addEventListener("change", () => this.offerBase());
    this.clear.addEventListener("click", () => {
      this.abort("cleared");
      this.conversation.clear();
      this.trouble.replaceChildren();
      this.showHistory();
    });
  }

  private async loadModels(): Promise<void> {
    try {
      const answer = (await this.host.call("models")) as unknown as { models: Model[]; start: string | null };
      const chosen = this.models.length > 0 ? this.model.value : answer.start;
      if (this.models.replace(answer.models)) this.offer(chosen);
      this.advise(this.models.length > 0 ? ADVICE.begin : ADVICE.none);
    } catch (error) {
      if (this.models.length === 0) this.advise(ADVICE.failed);
      this.showProblem(error, () => void this.loadModels());
    }
  }

  private offer(chosen: string | null): void {
    const options = [...this.models].map(({ id, title }) => element("option", { value: id }, title));
    this.model.replaceChildren(...options);
    if (chosen !== null && this.models.find(chosen)) this.model.value = chosen;
    this.offerBase();
  }

  private advise(advice: string): void {
    this.advice = advice;
    if (this.conversation.length === 0 && this.running === null) this.showHistory();
  }

  private offerBase(): void {
    this.beside.disabled = this.models.baseOf(this.model.value) === null;
    if (this.beside.disabled) this.beside.checked = false;
  }

  private asked(): Model[] {
    const base = this.beside.checked ? this.models.baseOf(this.model.value) : null;
    return [this.models.find(this.model.value), base].filter((model) => model !== null);
  }

  private submit(): void {
    const question = this.text.value.trim();
    if (!question || this.running || this.asked().length === 0) return;
    this.text.value = "";
    void this.ask(question, this.asked());
  }

  /** Lab keeps the browser from doing it anywhere in a cell. */
  private breakLine(): void {
    this.text.setRangeText("\n", this.text.selectionStart, this.text.selectionEnd, "end");
    this.text.scrollTop = this.text.scrollHeight;
  }

  private async ask(question: string, models: Model[]): Promise<void> {
    const answers = new Map(models.map((model) => [model.id, { text: "", note: "" }]));
    const controller = this.begin();
    const boxes = this.log.add(question, models.map((model) => model.title));
    try {
      await Promise.all(
        [...answers].map(([model, answer], index) =>
          this.answer(model, question, answer, boxes[index] as AnswerBox, controller.signal),
        ),
      );
      this.finish({ question, answers }, controller.signal.reason as Ending | undefined);
    } catch (error) {
      // A failed turn leaves no message in the history; the question goes back to the reader.
      controller.abort("failed");
      this.showHistory();
      this.showProblem(error, () => void this.ask(question, models), question);
    } finally {
      this.end(controller);
    }
  }

  private finish(turn: Turn, ending: Ending | undefined): void {
    if (ending === "cleared" || ending === "closed") return;
    const said = [...turn.answers.values()].some((answer) => answer.text);
    if (said || ending === undefined) this.conversation.keep(turn);
    else if (!this.text.value) this.text.value = turn.question;
    this.showHistory();
  }

  private async answer(
    model: string,
    question: string,
    answer: Answer,
    box: AnswerBox,
    signal: AbortSignal,
  ): Promise<void> {
    const messages = this.conversation.messages(model, question) as unknown as Json;
    const limit = settled(this.maxTokens, TOKENS);
    const temperature = settled(this.temperature, TEMPERATURE);
    const args: Json = { model, messages, max_tokens: limit, temperature };
    for await (const event of this.host.stream("chat", args, signal)) {
      const { text, reason } = event as { text?: string; reason?: string | null };
      answer.text += text ?? "";
      if (reason === "length") answer.note = `ends here: the longest answer is ${limit} tokens`;
      box.write(answer.text);
    }
    if (signal.aborted) answer.note = "stopped";
    else if (!answer.text) answer.note = "said nothing";
    box.end(answer.note);
  }

  private begin(): AbortController {
    const controller = (this.running = new AbortController());
    this.trouble.replaceChildren();
    this.swap(this.send, this.stop);
    return controller;
  }

  private abort(ending: Ending): void {
    this.running?.abort(ending);
  }

  private end(controller: AbortController): void {
    if (this.running !== controller) return;
    this.running = null;
    this.swap(this.stop, this.send);
  }

  /** Hide one button and show another; whoever was at the first one goes back to writing. */
  private swap(from: HTMLElement, to: HTMLElement): void {
    const wasHere = document.activeElement === from;
    from.hidden = true;
    to.hidden = false;
    if (wasHere) this.text.focus();
  }

  private showHistory(): void {
    this.log.show(this.conversation, this.advice, (id) => this.models.title(id));
  }

  private showProblem(error: unknown, retry: () => void, question: string | null = null): void {
    const again = control("button", { type: "button" }, "Retry");
    again.addEventListener("click", () => {
      this.trouble.replaceChildren();
      if (question !== null && this.text.value === question) this.text.value = "";
      this.text.focus();
      retry();
    });
    if (question !== null && !this.text.value) this.text.value = question;
    this.trouble.replaceChildren(element("div", { class: "problem" }, element("span", {}, wordsOf(error)), again));
  }
}

function numberField({ least, most, step, start }: Limits): HTMLInputElement {
  const [min, max, by, value] = [least, most, step, start].map(String) as [string, string, string, string];
  return control("input", { type: "number", min, max, step: by, value });
}

/** What a field means; it shows that from then on. */
function settled(field: HTMLInputElement, limits: Limits): number {
  const kept = within(limits, field.value);
  field.value = String(kept);
  return kept;
}

export const mount: Mount = (el, host) => {
  const chat = new Chat(el, host);
  return () => chat.close();
};

export default widget(mount);
