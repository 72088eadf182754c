// What was said, kept apart from how it looks. A turn enters the history only when every model that
// was asked has answered (or the reader stopped it); a failed turn leaves nothing behind.

export interface Message {
  role: "user" | "assistant";
  content: string;
}

/** One question and the answer of each model that was asked. */
export interface Turn {
  question: string;
  answers: Map<string, string>;
  stopped: boolean;
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
      const answer = turn.answers.get(model);
      if (!answer) continue;
      said.push({ role: "user", content: turn.question });
      said.push({ role: "assistant", content: answer });
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
