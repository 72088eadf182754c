// Says which job a form began with, and in how many ways it differs by now.

import { button, element } from "../parts/elements";
import { countWords } from "../parts/words";

export class ClonedFrom {
  private readonly words = element("span", { role: "status" });
  private name: string | null = null;
  readonly element: HTMLElement;

  constructor(forget: () => void) {
    this.element = element("div", { class: "notice cloned", hidden: true }, this.words, button("Forget what the copied job had", forget, "small"));
  }

  show(name: string | null): void {
    this.name = name;
    this.element.hidden = name === null;
  }

  count(differing: number): void {
    if (this.name === null) return;
    const how = differing === 0 ? "Nothing is changed yet: it would be trained once more as it was." : `${countWords(differing, "change")}, marked below.`;
    this.words.replaceChildren("A copy of the job ", element("strong", {}, this.name), `. ${how}`);
  }
}
