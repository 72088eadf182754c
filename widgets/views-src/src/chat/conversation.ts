// What was said, kept apart from how it looks. A turn enters the history only when every model that
// was asked has answered (or the reader stopped it); a failed turn leaves nothing behind.

export interface Message {
  role: "system" | "user" | "assistant";
  content: string;
}

/** One question, and what each model that was asked said to it, in the order of asking. */
export interface Turn {
  question: string;
  answers: ReadonlyMap<string, string>;
}

export class Conversation {
  private readonly turns: Turn[] = [];

  get length(): number {
    return this.turns.length;
  }

  [Symbol.iterator](): IterableIterator<Turn> {
    return this.turns[Symbol.iterator]();
  }

  /** What to send to `model`: its own history, without the last turn if that is asked anew, and the question. */
  messages(model: string, question: string, { system = "", anew = false } = {}): Message[] {
    const said: Message[] = system ? [{ role: "system", content: system }] : [];
    for (const turn of anew ? this.turns.slice(0, -1) : this.turns) {
      const text = turn.answers.get(model);
      if (!text) continue;
      said.push({ role: "user", content: turn.question });
      said.push({ role: "assistant", content: text });
    }
    said.push({ role: "user", content: question });
    return said;
  }

  /** Add a turn, in the place of the last one if that was asked anew. */
  keep(turn: Turn, { anew = false } = {}): void {
    if (anew) this.turns.pop();
    this.turns.push(turn);
  }

  clear(): void {
    this.turns.length = 0;
  }
}
