// The Chat view: ask one adapter, or an adapter and its base side by side, and watch them answer.

import { Conversation } from "./conversation";
import { ChatLog } from "./log";
import { lockDrawing } from "./lock-drawing";
import { adapterOf, listModels, type Model, Models, namesOf } from "./models";
import { questionField } from "./question-field";
import { type Ending, Reply } from "./reply";
import { type Sampling, Settings } from "./settings";
import { WITHDRAWN } from "../parts/words";
import { CHAT_STYLE } from "./style";
import type { TurnBox } from "./turn-box";
import { type Host, HostError, isMissing, type Json, type Mount } from "../host/host";
import { widget } from "../host/notebook";
import { persist } from "../host/persist";
import { ask } from "../host/things";
import { control, element } from "../parts/elements";
import { PROSE_STYLE } from "../parts/markdown";
import { Notices } from "../parts/notice";
import { adopt } from "../parts/style";

const ADVICE = {
  looking: "Looking for the models that you may use …",
  failed: "The models that you may use could not be listed.",
  none: "There is no model that you may use yet. Ask whoever runs this Hub for a base model.",
  begin: "Choose a model and write to it. A new adapter is in the list as soon as its job is completed. A conversation is stored nowhere: it is gone once you load this page again.",
  locked: "Choose another model to write to it here.",
};
const OLDER = "Older adapters: open them from the overview";
const RESTRICTED =
  "This adapter is restricted: it answers only over the sealed channel, which a page of the service cannot have. Open it in JupyterLab or in a notebook; what you write there the service relays and cannot read.";
const SEALED = "The service relays what you write and what is answered, and cannot read it";

/** What the place around this view says: the model to begin with; that it cannot seal, if so, and where that is done. */
interface Start {
  model?: string;
  sealed?: boolean;
  lab?: string;
}

/** Why an exchange was ended from here. */
type Cause = "stopped" | "cleared" | "closed" | "failed";

/** A question on its way, and everything that asking it once more takes. */
interface Asking {
  question: string;
  models: readonly Model[];
  /** In the place of the last turn. */
  anew: boolean;
}

class Chat {
  private readonly conversation = new Conversation();
  private readonly models = new Models();
  private readonly settings = new Settings();
  private readonly log = new ChatLog();
  private readonly notices = new Notices();
  private readonly model = control("select", { "aria-label": "Model" });
  private readonly beside = control("input", { type: "checkbox", disabled: true });
  private readonly sealed = element("span", { class: "chip", title: SEALED, hidden: true }, "sealed");
  private readonly withdrawn = element("span", { class: "chip withdrawn", hidden: true }, WITHDRAWN);
  private readonly lock = element("div", { class: "notice", role: "status", hidden: true });
  private readonly text = questionField("Message", () => this.submit());
  private readonly send = control("button", { type: "submit", class: "main" }, "Send");
  private readonly stop = control("button", { type: "button", hidden: true }, "Stop");
  private readonly clear = control("button", { type: "button" }, "New chat");
  private readonly outside = control("button", { type: "button", hidden: true }, "Use from outside");
  private readonly life = new AbortController();
  private start: Start | null = null;
  /** The model to begin with, until it was looked for. */
  private wanted: string | undefined;
  /** The reader's own, `@demo`; asked when a name has no owner. */
  private owner = "";
  private looking = false;
  private running: AbortController | null = null;
  /** The last turn of the history. */
  private last: TurnBox | null = null;
  /** A restricted adapter was asked: all of the conversation is sealed, whoever else is asked. */
  private secret = false;
  /** What is left of an answer that was cut off, until the next question. */
  private cut: TurnBox | null = null;
  private advice = ADVICE.looking;

  constructor(
    private readonly el: HTMLElement,
    private readonly host: Host,
  ) {
    const bar = element(
      "div",
      { class: "bar" },
      element("label", { class: "model" }, element("span", { class: "name" }, "Model", this.sealed, this.withdrawn), this.model),
      element("label", { class: "check" }, this.beside, "Base model beside it"),
      this.settings.button,
      this.outside,
      this.clear,
    );
    const form = element("form", {}, this.text, this.send, this.stop);
    this.el.replaceChildren(
      element(
        "section",
        { class: "ady ady-chat", "aria-label": "Chat" },
        ...[bar, this.settings.element, this.lock, this.log.element, this.notices.element, form],
      ),
    );
    adopt(this.el, PROSE_STYLE, CHAT_STYLE);
    this.listen(form);
    this.showAdvice();
    void this.look();
  }

  close(): void {
    this.life.abort();
    this.abort("closed");
    this.el.replaceChildren();
  }

  private listen(form: HTMLFormElement): void {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    this.stop.addEventListener("click", () => this.abort("stopped"));
    this.model.addEventListener("focus", () => void this.look());
    this.model.addEventListener("change", () => this.chosen());
    this.clear.addEventListener("click", () => this.startOver());
    this.outside.addEventListener("click", () => this.openKeys());
  }

  /** The keys with which programs outside the Hub ask the adapter that is chosen. */
  private openKeys(): void {
    const start = { adapter: adapterOf(this.model.value) };
    this.host.call("view.open", { view: "keys", start }).catch((error: unknown) => this.notices.problem(error));
  }

  private startOver(): void {
    this.abort("cleared");
    if (this.running) this.end(this.running);
    this.conversation.clear();
    this.notices.clear();
    this.log.clear();
    this.last = this.cut = null;
    this.secret = false;
    this.showSealed();
    this.showAdvice();
    this.text.focus();
  }

  /** Look for the models; asked again by itself while nobody answers. */
  private async look(): Promise<void> {
    if (this.looking) return;
    this.looking = true;
    try {
      if (this.start === null) {
        this.start = ((await this.persist(() => this.host.call("view.start"))) ?? {}) as Start;
        this.wanted = this.start.model;
      }
      const first = this.models.length === 0;
      if (this.wanted?.includes("/") === false) this.owner = (await this.persist(() => ask<{ tenant: string }>(this.host, "whoami"))).tenant;
      const names = this.wanted === undefined ? [this.model.value] : namesOf(this.wanted, this.owner);
      const models = await this.persist(() => listModels(this.host, ...names));
      if (this.models.replace(models) || this.wanted !== undefined) this.offer();
      this.advise(this.models.length > 0 ? ADVICE.begin : ADVICE.none);
      if (first) this.arrive();
    } catch (error) {
      if (this.life.signal.aborted) return;
      if (this.models.length === 0) this.advise(ADVICE.failed);
      this.notices.problem(error, () => void this.look());
    } finally {
      this.looking = false;
    }
  }

  /** Whoever came here goes on by writing. Only a place around this view gives its focus away. */
  private arrive(): void {
    const { activeElement } = this.el.getRootNode() as Document | ShadowRoot;
    if (activeElement !== document.body && activeElement?.contains(this.el)) this.text.focus({ preventScroll: true });
  }

  private persist<T>(ask: () => Promise<T>): Promise<T> {
    return persist(ask, this.life.signal, this.notices.trouble);
  }

  private offer(): void {
    const wanted = this.wanted;
    this.wanted = undefined;
    const before = this.model.options.length > 0 ? this.models.find(this.model.value) : this.models.first(this.seals);
    const chosen = wanted === undefined ? before : this.models.named(...namesOf(wanted, this.owner));
    const older = this.models.older ? [element("option", { disabled: true }, OLDER)] : [];
    this.model.replaceChildren(...[...this.models].map(({ id, title }) => element("option", { value: id }, title)), ...older);
    this.model.value = chosen?.id ?? "";
    this.chosen();
    if (wanted !== undefined && chosen === null) this.refuse(wanted);
  }

  private refuse(wanted: string): void {
    const error = new HostError("not_found", `There is no model "${wanted}" that you may use`, "Choose another one from the list");
    this.notices.problem(error, () => {
      this.wanted = wanted;
      void this.look();
    });
  }

  /** Another model is chosen: show what that means, and have a reload come back to it. */
  private chosen(): void {
    const model = this.models.find(this.model.value);
    this.beside.disabled = model === null || this.models.baseOf(model.id) === null || this.locked(model);
    if (this.beside.disabled) this.beside.checked = false;
    this.lock.hidden = model === null || !this.locked(model);
    this.send.disabled = this.text.disabled = !this.lock.hidden;
    this.outside.hidden = model === null || model.base === null || model.restricted;
    if (!this.lock.hidden) this.lock.replaceChildren(lockDrawing(), element("span", {}, RESTRICTED), ...this.wayToLab());
    this.showSealed();
    this.showAdvice();
    if (model) this.remember(model);
  }

  private wayToLab(): HTMLElement[] {
    return this.start?.lab ? [element("a", { href: this.start.lab }, "Open it in JupyterLab")] : [];
  }

  private showSealed(): void {
    const model = this.models.find(this.model.value);
    this.withdrawn.hidden = !model?.withdrawn;
    this.sealed.hidden = model === null || this.locked(model) || !(model.restricted || this.secret);
  }

  private remember({ id }: Model): void {
    // A place that keeps nothing loses only where a reload comes back to.
    this.host.call("view.here", { title: `Chat: ${id}`, start: { model: id } }).catch(() => undefined);
  }

  private get seals(): boolean {
    return this.start?.sealed !== false;
  }

  private locked(model: Model): boolean {
    return model.restricted && !this.seals;
  }

  private advise(advice: string): void {
    this.advice = advice;
    this.showAdvice();
  }

  private showAdvice(): void {
    this.log.advise(this.lock.hidden ? this.advice : ADVICE.locked);
  }

  private asked(): Model[] {
    const base = this.beside.checked ? this.models.baseOf(this.model.value) : null;
    return [this.models.find(this.model.value), base].filter((model) => model !== null && !this.locked(model)) as Model[];
  }

  private submit(): void {
    const question = this.text.value.trim();
    const models = this.asked();
    if (!question || this.running || this.send.disabled) return;
    if (models.length === 0) return this.notices.problem(new HostError("invalid_input", "No model is chosen", "Choose one above"));
    this.text.value = "";
    void this.ask({ question, models, anew: false });
  }

  /** Ask in the place of the last turn, with what is chosen now. */
  private askAnew(question: string): void {
    const models = this.asked();
    if (!this.running && models.length > 0) void this.ask({ question, models, anew: true });
  }

  private async ask(asking: Asking): Promise<void> {
    if (this.running) return;
    const { question, models } = asking;
    this.secret ||= models.some((model) => model.restricted);
    this.showSealed();
    const controller = this.begin(asking.anew);
    const box = this.log.add(question, models.map((model) => model.title));
    const sampling = this.settings.sampling();
    const replies = models.map(() => new Reply());
    const reading = models.map((model, index) => this.read(model, asking, sampling, replies[index]!, box, index, controller));
    const errors = (await Promise.allSettled(reading)).map((one) => (one.status === "rejected" ? (one.reason as unknown) : null));
    const cause = controller.signal.reason as Cause | undefined;
    if (cause !== "cleared" && cause !== "closed") this.settle(asking, replies, box, errors, cause);
    this.end(controller);
  }

  /** All have ended; `errors` are theirs. Who may not use one model any more goes on with the other. */
  private settle(asking: Asking, replies: readonly Reply[], box: TurnBox, errors: readonly unknown[], cause: Cause | undefined): void {
    const lost = asking.models.find((_, index) => isMissing(errors[index]));
    const left = asking.models.filter((_, index) => !isMissing(errors[index]));
    const error = errors.find((one) => one !== null && !isMissing(one));
    if (error !== undefined) this.fail(asking, replies, box, error);
    else if (left.length > 0) this.finish({ ...asking, models: left }, replies.filter((_, index) => !isMissing(errors[index])), box, cause);
    else this.fail(asking, replies, box, null);
    if (lost) this.lose(lost);
  }

  /** The right to a model was taken, or it was deleted: it is not offered any more. */
  private lose({ id }: Model): void {
    this.notices.problem(new HostError("not_found", `You may not use ${id} any more, or it was deleted`, "Choose another model"));
    void this.look();
  }

  private async read(
    model: Model,
    { question, anew }: Asking,
    sampling: Sampling,
    reply: Reply,
    box: TurnBox,
    index: number,
    controller: AbortController,
  ): Promise<void> {
    const answer = box.answers[index]!;
    const messages = this.conversation.messages(model.id, question, { system: this.settings.system, anew }) as unknown as Json;
    const args = { model: model.id, messages, ...sampling, stream_options: { include_usage: true }, ...(this.secret ? { sealed: true } : {}) };
    let ending: Ending = "cut";
    try {
      for await (const event of this.host.stream("chat", args, controller.signal)) {
        reply.take(event);
        answer.write(reply.text);
      }
      if (!controller.signal.aborted) ending = "complete";
      else if (controller.signal.reason === "stopped") ending = "stopped";
    } catch (error) {
      if (!isMissing(error)) controller.abort("failed"); // the other answer is of no use then
      throw error;
    } finally {
      answer.end(reply.note(ending, sampling.max_tokens));
    }
  }

  /** The turn enters the history; of one that was stopped before its first word, nothing stays. */
  private finish({ question, models, anew }: Asking, replies: readonly Reply[], box: TurnBox, cause: Cause | undefined): void {
    if (cause === "stopped" && !replies.some((reply) => reply.text)) {
      this.takeBack(box, anew);
      if (!anew && !this.text.value) this.text.value = question;
      return;
    }
    const answers = new Map(models.map((model, index) => [model.id, replies[index]!.text]));
    this.conversation.keep({ question, answers }, { anew });
    if (anew) this.last?.element.remove();
    this.last = box;
    box.offer((again) => this.askAnew(again));
  }

  /**
   * A failed turn leaves no message in the history; what was said of it stays in sight, as cut off. Without an
   * error, asking again is of no use, so it stays for good.
   */
  private fail(asking: Asking, replies: readonly Reply[], box: TurnBox, error: unknown): void {
    const { question, anew } = asking;
    const said = replies.some((reply) => reply.text);
    if (said) {
      box.cut();
      if (error !== null) this.cut = box;
    }
    this.takeBack(said ? null : box, anew);
    if (!anew && !this.text.value) this.text.value = question;
    if (error === null) return;
    this.notices.problem(error, () => {
      if (this.text.value === question) this.text.value = "";
      this.text.focus();
      void this.ask(asking);
    });
  }

  /** Show the history as it was before a turn. */
  private takeBack(box: TurnBox | null, anew: boolean): void {
    box?.element.remove();
    if (this.last) {
      if (anew) this.last.element.hidden = false;
      this.last.offer((again) => this.askAnew(again));
    }
    this.showAdvice();
  }

  private begin(anew: boolean): AbortController {
    const controller = (this.running = new AbortController());
    this.notices.clear();
    this.cut?.element.remove();
    this.cut = null;
    this.last?.settle();
    if (anew && this.last) this.last.element.hidden = true;
    this.swap(this.send, this.stop);
    return controller;
  }

  private abort(cause: Cause): void {
    this.running?.abort(cause);
  }

  private end(controller: AbortController): void {
    if (this.running !== controller) return;
    this.running = null;
    this.swap(this.stop, this.send);
  }

  /** Hide one button and show another; whoever was at the first one, or is nowhere now, goes back to writing. */
  private swap(from: HTMLElement, to: HTMLElement): void {
    const root = this.el.getRootNode() as Document | ShadowRoot;
    const wasHere = root.activeElement === from || root.activeElement === document.body;
    from.hidden = true;
    to.hidden = false;
    if (wasHere) this.text.focus();
  }
}

export const mount: Mount = (el, host) => {
  const chat = new Chat(el, host);
  return () => chat.close();
};

export default widget(mount);
