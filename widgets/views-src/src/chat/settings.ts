// How a model shall answer: a few fields that most readers leave alone, behind one button.

import { type Limits, within } from "./limits";
import { control, element } from "../parts/elements";

const TOKENS = { least: 1, most: 4096, step: 1, start: 256 };
/** Small models soon talk nonsense when they are warm. */
const TEMPERATURE = { least: 0, most: 2, step: 0.1, start: 0.2 };
const TOP_P = { least: 0.05, most: 1, step: 0.05, start: 1 };
const SEED = { least: 0, most: 2 ** 31 - 1, step: 1, start: null };

/** The parameters of a request, named as the service names them. */
export type Sampling = { max_tokens: number; temperature: number; top_p?: number; seed?: number };

export class Settings {
  readonly button = control("button", { type: "button", "aria-expanded": "false" }, "Parameters");
  readonly element: HTMLElement;
  private readonly maxTokens = numberField(TOKENS);
  private readonly temperature = numberField(TEMPERATURE);
  private readonly topP = numberField(TOP_P);
  private readonly seed = numberField(SEED, "any");
  private readonly systemMessage = control("textarea", { rows: "2", placeholder: "None: the model answers as it was trained to" });

  constructor() {
    this.element = element(
      "div",
      { class: "settings", role: "group", "aria-label": "Parameters", hidden: true },
      element("label", {}, "Longest answer (tokens)", this.maxTokens),
      element("label", {}, "Temperature", this.temperature),
      element("label", {}, "Top-p", this.topP),
      element("label", {}, "Seed", this.seed),
      element("label", { class: "system" }, "System message", this.systemMessage),
    );
    this.button.addEventListener("click", () => this.toggle());
  }

  /** What the fields mean; they show that from then on. */
  sampling(): Sampling {
    const topP = settled(this.topP, TOP_P);
    const seed = settled(this.seed, SEED);
    return {
      max_tokens: settled(this.maxTokens, TOKENS),
      temperature: settled(this.temperature, TEMPERATURE),
      ...(topP < 1 ? { top_p: topP } : {}),
      ...(seed === null ? {} : { seed }),
    };
  }

  get system(): string {
    return this.systemMessage.value.trim();
  }

  private toggle(): void {
    this.element.hidden = !this.element.hidden;
    this.button.setAttribute("aria-expanded", String(!this.element.hidden));
  }
}

function numberField({ least, most, step, start }: Limits, placeholder = ""): HTMLInputElement {
  const [min, max, by] = [least, most, step].map(String) as [string, string, string];
  return control("input", { type: "number", min, max, step: by, placeholder, value: String(start ?? "") });
}

function settled<L extends Limits>(field: HTMLInputElement, limits: L): number | L["start"] {
  const kept = within(limits, field.value);
  field.value = String(kept ?? "");
  return kept;
}
