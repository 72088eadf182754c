// What was said, kept apart from how it looks. A turn enters the history only when every model that
// was asked has answered (or the reader stopped it); a failed turn leaves nothing behind.

export interface Message {
  role: "user" | "assistant";
  content: string;
}

/** What one model said; `note` tells the reader why it ends where it does. */
export interface Answer {
  text: string;
  note: string;
}

/** One question and the answer of each model that was asked, in the order of asking. */
export interface Turn {
  question: string;
  answers: Map<string, Answer>;
}

export class Conversation {
  private readonly turns: Turn[] = [];

  get length(): number {
    return this.turns.length;
  }

  [Symbol.iterator](): IterableIterator<Turn> {
    return this.turns[Symbol.iterator]();
  }

  /** What to send to `model`: its own history and the new question. */
  messages(model: string, question: string): Message[] {
    const said: Message[] = [];
    for (const turn of this.turns) {
      const text = turn.answers.get(model)?.text;
      if (!text) continue;
      said.push({ role: "user", content: turn.question });
      said.push({ role: "assistant", content: text });
    }
    said.push({ role: "user", content: question });
    return said;
  }

  keep(turn: Turn): void {
    this.turns.push(turn);
  }

  clear(): void {
    this.turns.length = 0;
  }
}
