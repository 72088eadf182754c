// What else can be done with a thing, behind one button.

import { control, element } from "./elements";

export class Menu {
  readonly element: HTMLDetailsElement;
  private readonly items: HTMLElement;
  private readonly head: HTMLElement;

  /** `name` says what it is about, for whoever hears the button alone. */
  constructor(name: string, ...items: HTMLButtonElement[]) {
    this.head = control("summary", { "aria-label": name }, "More");
    this.items = element("div", { class: "items" }, ...items);
    this.element = control("details", { class: "menu" }, this.head, this.items);
    this.element.addEventListener("toggle", () => this.makeRoom());
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.element.open) return;
      event.stopPropagation();
      this.close();
      this.head.focus();
    });
    this.element.addEventListener("focusout", (event) => {
      if (!this.element.contains(event.relatedTarget as Node | null)) this.close();
    });
    // The focus goes back first: what is done may open a dialog, which returns it there.
    this.items.addEventListener("click", () => {
      this.head.focus();
      this.close();
    }, { capture: true });
  }

  get name(): string {
    return this.head.getAttribute("aria-label")!;
  }

  set name(words: string) {
    this.head.setAttribute("aria-label", words);
  }

  /** It hangs from the right end of its button, or from the left one where it would stick out of the view. */
  private makeRoom(): void {
    const view = this.element.closest(".ady") ?? document.body;
    const room = this.head.getBoundingClientRect().right - view.getBoundingClientRect().left;
    this.items.classList.toggle("rightwards", room < this.items.offsetWidth);
    if (this.element.open) this.items.scrollIntoView({ block: "nearest" }); // the last row is at the edge of the page
  }

  private close(): void {
    this.element.open = false;
  }
}

export const MENU_STYLE = `
.ady .menu { position: relative; padding: 0; border: 0; }
.ady .menu > summary { display: inline-block; width: auto; margin: 0; min-height: 26px; padding: 1px 9px; border: 1px solid var(--rim); border-radius: 6px; font-size: 13px; font-weight: 400; line-height: 22px; white-space: nowrap; }
.ady .menu > summary::after { content: " ▾"; color: var(--soft); }
.ady .menu > summary::-webkit-details-marker { display: none; }
.ady .menu > summary:hover, .ady .menu[open] > summary { background: var(--tint); }
.ady .menu > .items { position: absolute; z-index: 10; right: 0; top: calc(100% + 2px); display: flex; flex-direction: column; min-width: 11em; padding: 4px; background: var(--paper); border: 1px solid var(--rim); border-radius: 6px;
  box-shadow: 0 6px 20px rgb(0 0 0 / 18%); }
.ady .menu > .items.rightwards { right: auto; left: 0; }
.ady .menu > .items > button { min-height: 32px; border: 0; text-align: left; }
`;
