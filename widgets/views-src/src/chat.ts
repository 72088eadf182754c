// The Chat view: ask one adapter, or an adapter and its base side by side, and watch them answer.

import { CHAT_STYLE } from "./chat-style";
import { Conversation, type Turn } from "./conversation";
import { element } from "./elements";
import { type Host, HostError, type Json, type Mount } from "./host";
import { widget } from "./kernel-host";

/** Without a word for this long, an answer has failed. */
const SILENCE_MS = 90_000;
const MAX_TOKENS = { least: 1, most: 4096, start: 256 };

interface Model {
  id: string;
  title: string;
  base: string | null;
}

class Chat {
  private readonly conversation = new Conversation();
  private readonly model = element("select", { "aria-label": "Model" });
  private readonly beside = element("input", { type: "checkbox" });
  private readonly maxTokens = element("input", {
    type: "number",
    min: String(MAX_TOKENS.least),
    max: String(MAX_TOKENS.most),
    value: String(MAX_TOKENS.start),
  });
  private readonly log = element("div", { class: "log", role: "log", "aria-live": "polite", tabindex: "0" });
  private readonly trouble = element("div");
  private readonly text = element("textarea", {
    "aria-label": "Message",
    placeholder: "Write a message. Enter sends, Shift+Enter starts a new line.",
    rows: "2",
  });
  private readonly send = element("button", { type: "submit", class: "main" }, "Send");
  private readonly stop = element("button", { type: "button", hidden: true }, "Stop");
  private readonly clear = element("button", { type: "button" }, "New chat");
  private models: Model[] = [];
  private running: AbortController | null = null;

  constructor(
    private readonly el: HTMLElement,
    private readonly host: Host,
  ) {
    const form = element("form", {}, this.text, this.send, this.stop);
    const besideLabel = element("label", {}, "Base model beside it", this.beside);
    this.el.replaceChildren(
      element("style", {}, CHAT_STYLE),
      element(
        "section",
        { class: "ady-chat", "aria-label": "Chat" },
        element(
          "div",
          { class: "bar" },
          element("label", {}, "Model", this.model),
          element("label", {}, "Longest answer (tokens)", this.maxTokens),
          besideLabel,
          this.clear,
        ),
        this.log,
        this.trouble,
        form,
      ),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    this.text.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.submit();
    });
    this.stop.addEventListener("click", () => this.running?.abort("stopped"));
    this.model.addEventListener("change", () => this.offerBase());
    this.clear.addEventListener("click", () => {
      this.running?.abort("cleared");
      this.conversation.clear();
      this.trouble.replaceChildren();
      this.showHistory();
    });
    this.showHistory();
    void this.loadModels();
  }

  close(): void {
    this.running?.abort("closed");
    this.el.replaceChildren();
  }

  private async loadModels(): Promise<void> {
    try {
      const answer = (await this.host.call("models")) as unknown as { models: Model[]; start: string | null };
      this.models = answer.models;
      this.model.replaceChildren(
        ...this.models.map((model) => element("option", { value: model.id }, model.title)),
      );
      if (answer.start) this.model.value = answer.start;
      this.offerBase();
      this.showHistory();
    } catch (error) {
      this.showProblem(error, () => void this.loadModels());
    }
  }

  private offerBase(): void {
    const base = this.chosen()?.base ?? null;
    this.beside.disabled = base === null;
    if (base === null) this.beside.checked = false;
  }

  private chosen(): Model | undefined {
    return this.models.find((model) => model.id === this.model.value);
  }

  private asked(): Model[] {
    const chosen = this.chosen();
    if (!chosen) return [];
    const base = this.models.find((model) => model.id === chosen.base);
    return this.beside.checked && base ? [chosen, base] : [chosen];
  }

  private limit(): number {
    const wanted = Math.round(Number(this.maxTokens.value)) || MAX_TOKENS.start;
    const kept = Math.min(MAX_TOKENS.most, Math.max(MAX_TOKENS.least, wanted));
    this.maxTokens.value = String(kept);
    return kept;
  }

  private submit(): void {
    const question = this.text.value.trim();
    if (!question || this.running || this.asked().length === 0) return;
    this.text.value = "";
    void this.ask(question, this.asked());
  }

  private async ask(question: string, models: Model[]): Promise<void> {
    const turn: Turn = { question, answers: new Map(), stopped: false };
    const controller = new AbortController();
    this.begin(controller);
    const boxes = this.showTurn(turn, models);
    try {
      await Promise.all(
        models.map((model, index) => this.answer(model, turn, boxes[index] as HTMLElement, controller)),
      );
      this.finish(turn, controller.signal);
    } catch (error) {
      // A failed turn leaves no message in the history; the question goes back to the reader.
      controller.abort("failed");
      this.showHistory();
      this.showProblem(error, () => void this.ask(question, models), question);
    } finally {
      this.end(controller);
    }
  }

  private finish(turn: Turn, signal: AbortSignal): void {
    turn.stopped = signal.aborted;
    if (turn.answers.size > 0 && signal.reason !== "cleared") this.conversation.keep(turn);
    else if (signal.reason === "stopped" && !this.text.value) this.text.value = turn.question;
    this.showHistory();
  }

  private async answer(model: Model, turn: Turn, box: HTMLElement, controller: AbortController): Promise<void> {
    const watch = new Silence(controller);
    const args: Json = {
      model: model.id,
      messages: this.conversation.messages(model.id, turn.question) as unknown as Json,
      max_tokens: this.limit(),
    };
    box.classList.add("writing");
    try {
      for await (const event of this.host.stream("chat", args, controller.signal)) {
        watch.heard();
        const said = (turn.answers.get(model.id) ?? "") + ((event as { text?: string }).text ?? "");
        turn.answers.set(model.id, said);
        box.textContent = said;
        this.follow();
      }
    } finally {
      watch.end();
      box.classList.remove("writing");
    }
    if (controller.signal.reason === "silent")
      throw new HostError("timeout", `No answer for ${SILENCE_MS / 1000} seconds.`, "Try again, or a shorter question.");
  }

  private begin(controller: AbortController): void {
    this.running = controller;
    this.trouble.replaceChildren();
    this.send.hidden = true;
    this.stop.hidden = false;
  }

  private end(controller: AbortController): void {
    if (this.running !== controller) return;
    this.running = null;
    this.send.hidden = false;
    this.stop.hidden = true;
    this.text.focus();
  }

  private showHistory(): void {
    this.log.replaceChildren();
    if (this.conversation.length === 0) {
      const advice = this.models.length
        ? "Choose a model and say hello. Your own adapters appear here as soon as their job is completed."
        : "Looking for models you may use …";
      this.log.append(element("p", { class: "empty" }, advice));
    }
    for (const turn of this.conversation) {
      const models = [...turn.answers.keys()].map((id) => this.models.find((m) => m.id === id) ?? { id, title: id, base: null });
      const boxes = this.showTurn(turn, models);
      models.forEach((model, index) => {
        const stopped = turn.stopped ? " [stopped]" : "";
        (boxes[index] as HTMLElement).textContent = (turn.answers.get(model.id) ?? "") + stopped;
      });
    }
    this.follow();
  }

  private showTurn(turn: Turn, models: Model[]): HTMLElement[] {
    this.log.querySelector(".empty")?.remove();
    const boxes = models.map(() => element("div"));
    const answers = models.map((model, index) =>
      element("div", { class: "answer" }, element("span", { class: "who" }, model.title), boxes[index] as HTMLElement),
    );
    this.log.append(
      element("div", { class: "question" }, turn.question),
      element("div", { class: "answers" }, ...answers),
    );
    this.follow();
    return boxes;
  }

  private showProblem(error: unknown, retry: () => void, question: string | null = null): void {
    const known = error instanceof HostError;
    const words = known ? [error.message, error.hint].filter(Boolean).join(" ") : "Something went wrong in this view.";
    const again = element("button", { type: "button" }, "Retry");
    again.addEventListener("click", () => {
      this.trouble.replaceChildren();
      if (question !== null && this.text.value === question) this.text.value = "";
      retry();
    });
    if (question !== null && !this.text.value) this.text.value = question;
    this.trouble.replaceChildren(
      element("div", { class: "problem", role: "alert" }, element("span", {}, words), again),
    );
  }

  private follow(): void {
    this.log.scrollTop = this.log.scrollHeight;
  }
}

/** Aborts an exchange that has been silent for too long. */
class Silence {
  private timer = 0;

  constructor(private readonly controller: AbortController) {
    this.heard();
  }

  heard(): void {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.controller.abort("silent"), SILENCE_MS);
  }

  end(): void {
    clearTimeout(this.timer);
  }
}

export const mount: Mount = (el, host) => {
  const chat = new Chat(el, host);
  return () => chat.close();
};

export default widget(mount);
