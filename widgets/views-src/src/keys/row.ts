// One key in the table. It is written once and then changed in place, so that focus and selection stay.

import { cell, label, say } from "../parts/cells";
import { control, element } from "../parts/elements";
import { momentWords } from "../parts/words";
import { adaptersWords, isAlive, type Key, lastUseWords, modelsOf, requestsWords, statusOf, tokensWords } from "./key";

export type Action = "use" | "rotate" | "revoke";
const WORDS: Readonly<Record<Action, string>> = { use: "Use it", rotate: "Rotate", revoke: "Revoke" };

export class Row {
  readonly element: HTMLElement;
  private readonly name = element("strong");
  private readonly prefix = element("code");
  private readonly adapters = element("span");
  private readonly tokens = element("span");
  private readonly bar = element("progress", { max: "1" });
  private readonly requests = element("span", { class: "soft" });
  private readonly used = element("time", { class: "soft" });
  private readonly state = element("span", { class: "chip" });
  private readonly note = element("span", { class: "soft" });
  private readonly buttons = new Map<Action, HTMLButtonElement>();

  constructor(
    private key: Key,
    act: (action: Action, key: Key) => void,
  ) {
    for (const action of Object.keys(WORDS) as Action[]) {
      const button = control("button", { type: "button", class: "small", "aria-haspopup": "dialog" }, WORDS[action]);
      button.addEventListener("click", () => act(action, this.key));
      this.buttons.set(action, button);
    }
    this.element = element(
      "tr",
      { role: "row" },
      element("th", { scope: "row", role: "rowheader" }, this.name, this.prefix),
      cell(label("Asks"), this.adapters),
      cell(label("Use"), this.tokens, this.bar, this.requests, this.used),
      cell(label("State"), element("span", {}, this.state), this.note),
      element("td", { role: "cell", class: "actions" }, element("div", { class: "row" }, ...this.buttons.values())),
    );
  }

  /** Show the key as it is now. */
  update(key: Key, now: number, writes: boolean): void {
    this.key = key;
    const { state, mood, note } = statusOf(key, now);
    say(this.name, key.name);
    say(this.prefix, key.prefix);
    say(this.adapters, adaptersWords(key).join(", "));
    say(this.tokens, tokensWords(key));
    say(this.requests, requestsWords(key));
    say(this.used, lastUseWords(key, now));
    this.used.dateTime = key.last_used_at ?? "";
    this.used.title = key.last_used_at === null ? "" : momentWords(key.last_used_at);
    say(this.state, state);
    this.state.className = `chip ${mood}`.trim();
    say(this.note, note);
    this.bar.hidden = key.tokens_per_day === null || !isAlive(key, now);
    this.bar.value = Math.min(1, key.tokens_today / (key.tokens_per_day ?? Infinity));
    this.bar.setAttribute("aria-label", `Tokens of today that ${key.name} has used`);
    this.element.classList.toggle("ended", !isAlive(key, now));
    this.offer(isAlive(key, now), writes);
  }

  private offer(alive: boolean, writes: boolean): void {
    const { activeElement } = this.element.getRootNode() as Document | ShadowRoot;
    for (const [action, button] of this.buttons) {
      button.setAttribute("aria-label", `${WORDS[action]}: ${this.key.name}`);
      button.hidden = !alive || (action === "use" ? modelsOf(this.key).length === 0 : !writes);
      if (button.hidden && activeElement === button) button.closest<HTMLElement>("[tabindex]")?.focus();
    }
  }
}
