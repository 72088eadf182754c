// One answer as it comes: its text, why it ends, and how fast it was.
// Source: OpenAI API reference, "The chat completion chunk object".

import type { Json } from "../host/host";
import { countWords, numberWords } from "../parts/words";

interface Chunk {
  choices?: { delta?: { content?: string | null }; finish_reason?: string | null }[];
  usage?: { completion_tokens?: number } | null;
}

/** How an answer ended for the reader. */
export type Ending = "complete" | "stopped" | "cut";

/** What comes all at once has no speed. */
const SPEED_SECONDS = 0.2;

export class Reply {
  text = "";
  private reason: string | null = null;
  private tokens: number | null = null;
  private readonly asked: number;
  private first: number | null = null;
  private last: number | null = null;

  /** `clock` counts milliseconds. */
  constructor(private readonly clock: () => number = () => performance.now()) {
    this.asked = clock();
  }

  take(event: Json): void {
    const { choices, usage } = event as Chunk;
    const choice = choices?.[0];
    if (choice?.delta?.content) {
      this.text += choice.delta.content;
      this.last = this.clock();
      this.first ??= this.last;
    }
    this.reason = choice?.finish_reason ?? this.reason;
    this.tokens = usage?.completion_tokens ?? this.tokens;
  }

  /** What the reader should know of it; `limit` is the longest answer that was asked for. */
  note(ending: Ending, limit: number): string {
    return [this.why(ending, limit), ...this.measures()].filter(Boolean).join(" · ");
  }

  private why(ending: Ending, limit: number): string {
    if (ending === "stopped") return "stopped";
    if (ending === "cut") return "cut off, not part of the conversation";
    if (!this.text) return "said nothing";
    return this.reason === "length" ? `ends here: the longest answer is ${countWords(limit, "token")}` : "";
  }

  private measures(): string[] {
    if (this.first === null || this.last === null) return [];
    const took = secondsWords(this.last - this.asked);
    const begun = `first after ${secondsWords(this.first - this.asked)}`;
    if (this.tokens === null) return [took, begun];
    const writing = (this.last - this.first) / 1000;
    const speed = this.tokens > 1 && writing > SPEED_SECONDS ? [`${numberWords((this.tokens - 1) / writing, 2)} tokens/s`] : [];
    return [`${countWords(this.tokens, "token")} in ${took}`, begun, ...speed];
  }
}

function secondsWords(ms: number): string {
  const seconds = ms / 1000;
  return `${seconds.toLocaleString(undefined, { maximumFractionDigits: seconds < 10 ? 2 : 0 })} s`;
}
