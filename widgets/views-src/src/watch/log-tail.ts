// The last lines of a job's log. It follows the end unless the reader scrolled up.

import { sentence } from "../host/host";
import { copyButton } from "../parts/copy";
import { control, element } from "../parts/elements";
import { timeWords } from "../parts/words";
import type { JobEvent } from "./run";

export interface LogLine {
  at: string;
  level: "info" | "warning" | "error";
  message: string;
}

const NOTHING_YET = "Nothing yet. The worker writes here when it starts.";
const NOTHING = "Nothing was written.";
const LINES_SHOWN = 200;
/** Nearer to the end than this, the reader follows. */
const FOLLOW_PX = 40;

export class LogTail {
  readonly element: HTMLElement;
  private readonly empty = element("p", { class: "soft" }, NOTHING_YET);
  // It may grow fast: whoever listens reads it when they want to.
  private readonly box = control("div", { class: "lines", role: "log", "aria-live": "off", "aria-label": "Log of the job", tabindex: "0", hidden: true });
  private readonly copy = copyButton("Copy log", "Copy log of the job", () => this.lines.map(textOf).join("\n"));
  private lines: LogLine[] = [];

  constructor() {
    this.copy.hidden = true;
    this.element = element("section", { class: "log" }, element("div", { class: "row" }, element("h3", { class: "grow" }, "Log"), this.copy), this.empty, this.box);
  }

  /** Whether nobody will write any more. */
  over(over: boolean): void {
    this.empty.textContent = over ? NOTHING : NOTHING_YET;
  }

  append(lines: readonly LogLine[]): void {
    if (lines.length === 0) return;
    const fresh = lines.slice(-LINES_SHOWN);
    const { scrollHeight, scrollTop, clientHeight } = this.box;
    const follows = scrollHeight - scrollTop - clientHeight < FOLLOW_PX;
    this.lines = [...this.lines, ...fresh].slice(-LINES_SHOWN);
    this.box.append(...fresh.map(rowOf));
    while (this.box.childElementCount > LINES_SHOWN) this.box.firstElementChild!.remove();
    this.empty.hidden = true;
    this.box.hidden = this.copy.hidden = false;
    if (follows) this.box.scrollTop = this.box.scrollHeight;
  }
}

/** What an event says in the log; null if that is nothing. */
export function lineOf({ kind, at, data }: JobEvent): LogLine | null {
  if (kind === "log") return { at, level: data.level === "warning" || data.level === "error" ? data.level : "info", message: String(data.message ?? "") };
  if (kind === "error") return { at, level: "error", message: [data.reason, data.remedy].filter(Boolean).map((words) => sentence(String(words))).join(" ") };
  return null;
}

function rowOf(line: LogLine): HTMLElement {
  return element(
    "div",
    { class: `line ${line.level}` },
    element("time", { datetime: line.at }, timeWords(line.at)),
    element("span", { class: "level" }, line.level),
    element("span", { class: "message" }, line.message),
  );
}

function textOf({ at, level, message }: LogLine): string {
  return `${at} ${level} ${message}`;
}
