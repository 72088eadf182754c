// The jobs that are chosen to be compared, and the bar that says which.

import type { Job } from "../host/things";
import { button, element } from "../parts/elements";
import { MOST_SERIES } from "../parts/chart";

export class Choice {
  readonly element = element("div", { class: "chosen", role: "region", "aria-label": "Comparison", hidden: true });
  private readonly words = element("span", { class: "grow", role: "status" });
  private readonly go: HTMLButtonElement;
  private readonly names = new Map<string, string>();

  constructor(compare: (jobs: string[]) => void, cleared: () => void) {
    this.go = button("Compare charts", () => compare(this.ids), "main");
    const clear = button("Clear", () => {
      this.names.clear();
      this.tell();
      cleared();
    });
    this.element.append(this.words, this.go, clear);
  }

  get ids(): string[] {
    return [...this.names.keys()];
  }

  has(id: string): boolean {
    return this.names.has(id);
  }

  /** Choose a job, or not any more; false if there are as many as can be compared already. */
  set({ id, name }: Pick<Job, "id" | "name">, chosen: boolean): boolean {
    if (!chosen) this.names.delete(id);
    else if (this.names.size < MOST_SERIES) this.names.set(id, name);
    this.tell();
    return this.names.has(id) === chosen;
  }

  private tell(): void {
    const { size } = this.names;
    this.element.hidden = size === 0;
    this.go.disabled = size < 2;
    const more = size < 2 ? "Choose another one to compare it with." : size === MOST_SERIES ? "No more can be compared at once." : "";
    this.words.textContent = `Chosen: ${[...this.names.values()].join(", ")}. ${more}`.trim();
  }
}
