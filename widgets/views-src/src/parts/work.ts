// A long step of the service: how far it is, its cancel, and what came of it.

import { type Host, HostError, isMissing, type Json } from "../host/host";
import { follow, repeat } from "../host/persist";
import type { Operation } from "../host/things";
import { button, element } from "./elements";
import type { Notices } from "./notice";
import { countWords, shareWords } from "./words";

/** What it works with; `signal` ends it. */
export interface Workplace {
  host: Host;
  notices: Notices;
  signal: AbortSignal;
}

/** How often to look besides listening: an end may come when nobody listens, or never get through. */
const LOOK_MS = 1500;

export interface Step {
  /** What is done, such as "Publishing". */
  title: string;
  /** What is counted, such as "record". */
  unit?: string;
  /** What to say once it was cancelled. */
  cancelled?: string;
  /** What to show of a failure instead of the usual notice; null if that one will do. */
  failed?: (error: HostError) => HTMLElement | null;
}

export class Work {
  readonly element = element("div", { class: "work" });
  private running = false;

  /** `onOperation` hears which operation has begun (its id), and when it is over (null). */
  constructor(
    private readonly context: Workplace,
    private readonly onOperation: (id: string | null) => void = () => undefined,
  ) {}

  get busy(): boolean {
    return this.running;
  }

  /** Begin and follow; what goes wrong is said here. Null if it came to nothing. */
  async run(step: Step, begin: () => Promise<unknown>): Promise<Operation | null> {
    if (this.running) return null;
    this.running = true;
    this.element.replaceChildren();
    try {
      const begun = (await begin()) as Operation;
      return await this.follow(step, begun.id);
    } finally {
      this.running = false;
    }
  }

  /** Follow one that was begun before, for instance before this page was loaded again. */
  async resume(step: Step, operation: string): Promise<Operation | null> {
    this.running = true;
    try {
      return await this.follow(step, operation);
    } finally {
      this.running = false;
    }
  }

  /** Ask for something that is answered at once, or, where there is much to do, by an operation. */
  async result<T>(step: Step, ask: () => Promise<unknown>): Promise<T | null> {
    if (this.running) return null;
    const answer = (await ask()) as T | Operation;
    if (!isOperation(answer)) return answer;
    const done = await this.resume(step, answer.id);
    return (done?.result as T | undefined) ?? null;
  }

  say(words: string, good: boolean, ...more: Node[]): void {
    const dismiss = button("✕", () => this.element.replaceChildren(), "small dismiss", "Dismiss");
    this.element.replaceChildren(element("div", { class: `notice${good ? " good-notice" : ""}`, role: "status" }, element("div", { class: "grow" }, element("strong", {}, words), ...more), dismiss));
  }

  private async follow(step: Step, operation: string): Promise<Operation | null> {
    const { host, signal, notices } = this.context;
    this.onOperation(operation);
    const tell = this.begin(step, operation);
    let last: Operation | null = null;
    const ended = new AbortController();
    const either = AbortSignal.any([signal, ended.signal]);
    const note = (event: Json): void => {
      if (ended.signal.aborted) return; // news of before the end
      tell((last = event as unknown as Operation));
      if (last.state !== "running") ended.abort();
    };
    const look = async (): Promise<void> => note(await host.call("operations.get", { operation }));
    const over = (): Promise<boolean> => look().then(() => ended.signal.aborted);
    try {
      const heard = follow(host, "operations.events", () => ({ operation }), note, over, either, notices.trouble);
      await Promise.race([heard, repeat(look, LOOK_MS, either, notices.trouble)]);
    } catch (error) {
      if (signal.aborted) return null;
      this.end();
      if (!isMissing(error)) notices.problem(error);
      return null;
    } finally {
      ended.abort();
    }
    return signal.aborted || last === null ? null : this.finish(step, last);
  }

  private begin({ title, unit }: Step, operation: string): (now: Operation) => void {
    const bar = element("progress", { max: "1", value: "0", "aria-label": title });
    const words = element("span", {}, `${title} …`);
    const cancel = button("Cancel", () => {
      cancel.disabled = true;
      this.context.host.call("operations.cancel", { operation }).catch((error: unknown) => {
        cancel.disabled = false;
        if (!this.context.signal.aborted) this.context.notices.problem(error);
      });
    }, "small", `Cancel: ${title}`);
    this.element.replaceChildren(element("div", { class: "notice", role: "group", "aria-label": title }, element("div", { class: "grow" }, words, bar), cancel));
    return (now) => {
      if (now.state !== "running") return;
      bar.value = now.progress;
      words.textContent = progressWords(title, now, unit);
    };
  }

  private finish(step: Step, last: Operation): Operation | null {
    this.end();
    if (last.state === "completed") return last;
    if (last.state === "failed") this.fail(step, problemOf(step, last));
    else this.say(step.cancelled ?? "It was cancelled; nothing was changed.", false);
    return null;
  }

  private fail(step: Step, error: HostError): void {
    const shown = step.failed?.(error) ?? null;
    if (shown) this.element.replaceChildren(shown);
    else this.context.notices.problem(error);
  }

  private end(): void {
    this.element.replaceChildren();
    this.onOperation(null);
  }
}

function isOperation(answer: unknown): answer is Operation {
  return typeof answer === "object" && answer !== null && "progress" in answer && "state" in answer;
}

function progressWords(title: string, { done, total, progress }: Operation, unit = "record"): string {
  return total ? `${title}: ${done.toLocaleString()} of ${countWords(total, unit)}, ${shareWords(progress)}` : `${title} …`;
}

function problemOf({ title }: Step, { error }: Operation): HostError {
  return new HostError(error?.code ?? "internal", error?.detail ?? `${title} failed.`, error?.hint ?? null, error?.errors ?? []);
}

export const WORK_STYLE = `
.ady .work:empty { display: none; }
.ady .notice > .grow { display: flex; flex-direction: column; gap: 8px; flex-basis: 12em; }
.ady .notice > .dismiss { align-self: flex-start; }
.ady .good-notice { color: var(--ink); border-left-color: var(--good); }
`;
