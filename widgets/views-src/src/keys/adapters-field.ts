// Choosing the adapters of a key: each by a part of its name, of those that the reader may use.

import type { Host } from "../host/host";
import { pause, persist, type Trouble } from "../host/persist";
import { list } from "../host/things";
import { control, element } from "../parts/elements";
import { Field } from "../parts/field";
import { Picker } from "../parts/picker";

interface AdapterCard {
  id: string;
  full_name: string;
  sensitivity: string;
}

/** As many are offered at once; typing narrows them down. */
const OFFERED = 100;
const TYPING_MS = 250;
const NONE = "You have no adapter yet; train one first.";
const SEALED = "restricted: only Adaptery's own client can ask it";

export class AdaptersField {
  private readonly picker = new Picker(
    (name) => this.add(name),
    (typed) => void this.look(typed),
  );
  private readonly names = element("ul", { class: "chosen", "aria-label": "Chosen adapters", hidden: true });
  private readonly status = element("p", { role: "status", class: "visually-hidden" });
  readonly field = new Field("adapters", "Adapters", this.picker.input, {
    box: element("div", {}, this.picker.element, this.names, this.status),
    help: "It asks exactly these, in these versions.",
  });
  private chosen: string[] = [];
  private offered: AdapterCard[] = [];
  private turn = 0;

  constructor(
    private readonly host: Host,
    private readonly signal: AbortSignal,
    private readonly trouble: Trouble,
    private readonly failed: (error: unknown) => void,
  ) {
    this.field.element.classList.add("wide");
    this.picker.input.placeholder = "Add an adapter";
  }

  /** The full names of what is chosen, in the order in which it was. */
  get value(): readonly string[] {
    return this.chosen;
  }

  add(name: string): void {
    if (!this.chosen.includes(name)) this.chosen.push(name);
    this.picker.show(null);
    this.offer(false);
    this.status.textContent = `Added ${name}`;
    this.draw();
  }

  private remove(name: string): void {
    this.chosen = this.chosen.filter((one) => one !== name);
    this.status.textContent = `Removed ${name}`;
    this.draw();
    this.picker.input.focus();
  }

  private draw(): void {
    this.field.show([]);
    this.names.hidden = this.chosen.length === 0;
    this.names.replaceChildren(
      ...this.chosen.map((name) => {
        const remove = control("button", { type: "button", class: "small", "aria-label": `Remove ${name}` }, "Remove");
        remove.addEventListener("click", () => this.remove(name));
        return element("li", {}, element("span", {}, name), remove);
      }),
    );
  }

  private async look(typed: string): Promise<void> {
    const turn = ++this.turn;
    try {
      if (typed) await pause(TYPING_MS, this.signal);
      if (turn !== this.turn) return;
      const args = typed ? { search: typed } : {};
      const { items, has_more } = await persist(() => list<AdapterCard>(this.host, "adapters.list", args, OFFERED), this.signal, this.trouble);
      if (turn !== this.turn) return; // something else was typed meanwhile
      this.offered = items;
      if (!typed && items.length === 0) this.picker.offer([], false, NONE);
      else this.offer(has_more);
    } catch (error) {
      if (!this.signal.aborted) this.failed(error);
    }
  }

  private offer(more: boolean): void {
    const left = this.offered.filter(({ full_name }) => !this.chosen.includes(full_name));
    const choices = left.map(({ full_name, sensitivity }) => ({ id: full_name, title: full_name, ...(sensitivity === "restricted" ? { note: SEALED } : {}) }));
    this.picker.offer(choices, more);
  }
}
