// Tabs, one of which shows its panel.
// Source: WAI-ARIA Authoring Practices, "Tabs" with automatic activation.

import { control, element } from "./elements";

export interface Tab {
  name: string;
  title: string;
  panel: HTMLElement;
}

const NAME = crypto.getRandomValues(new Uint32Array(1))[0]!.toString(36);
let made = 0;

export class Tabs {
  readonly element: HTMLElement;
  private readonly buttons: HTMLButtonElement[];
  private chosen: string | null = null;

  constructor(
    label: string,
    private readonly tabs: readonly Tab[],
    private readonly onShow: (name: string) => void = () => undefined,
  ) {
    this.buttons = tabs.map((tab) => this.buttonOf(tab));
    this.element = element("div", { class: "tabs" }, element("div", { role: "tablist", "aria-label": label }, ...this.buttons));
    for (const { panel } of tabs) {
      panel.hidden = true;
      this.element.append(panel);
    }
  }

  show(name: string): void {
    if (this.chosen === name) return;
    this.chosen = name;
    this.tabs.forEach((tab, index) => {
      const button = this.buttons[index]!;
      button.setAttribute("aria-selected", String(tab.name === name));
      button.tabIndex = tab.name === name ? 0 : -1;
      tab.panel.hidden = tab.name !== name;
    });
    this.onShow(name);
  }

  private buttonOf({ name, title, panel }: Tab): HTMLButtonElement {
    const id = `ady-tab-${NAME}-${++made}`;
    panel.id = `${id}-panel`;
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", id);
    const button = control("button", { type: "button", role: "tab", id, "aria-controls": panel.id, "aria-selected": "false" }, title);
    button.tabIndex = -1;
    button.addEventListener("click", () => this.show(name));
    button.addEventListener("keydown", (event) => this.pressed(event));
    return button;
  }

  private pressed(event: KeyboardEvent): void {
    const at = this.tabs.findIndex(({ name }) => name === this.chosen);
    const count = this.tabs.length;
    const to: Record<string, number> = { ArrowRight: (at + 1) % count, ArrowLeft: (at + count - 1) % count, Home: 0, End: count - 1 };
    const next = to[event.key];
    if (next === undefined) return;
    event.preventDefault();
    this.show(this.tabs[next]!.name);
    this.buttons[next]!.focus();
  }
}

export const TABS_STYLE = `
.ady .tabs > [role=tablist] { display: flex; gap: 4px; border-bottom: 1px solid var(--edge); overflow-x: auto; }
.ady .tabs > [role=tablist] > button { flex: none; min-height: 38px; padding: 6px 14px; border: 0; border-radius: 6px 6px 0 0; background: none; color: var(--soft); border-bottom: 3px solid transparent; }
.ady .tabs > [role=tablist] > button:hover { background: var(--tint); }
.ady .tabs > [role=tablist] > button:focus-visible { outline-offset: -2px; }
.ady .tabs > [role=tablist] > [aria-selected=true] { color: var(--ink); font-weight: 600; border-bottom-color: var(--fill); }
.ady .tabs > [role=tabpanel] { padding-top: 14px; }
`;
