// Choosing an adapter of a base model, or one of the checkpoints that its job kept.

import type { Host } from "../host/host";
import { pause, persist, type Trouble } from "../host/persist";
import { type Adapter, ask, type Checkpoint, list } from "../host/things";
import { button, control, element } from "../parts/elements";
import { Field } from "../parts/field";
import { Picker } from "../parts/picker";
import { numberWords } from "../parts/words";

/** As many are offered at once; typing narrows them down. */
const OFFERED = 100;
/** A pause in typing after which the service is asked. */
const TYPING_MS = 250;
const CHECKPOINT = /-step(\d+)$/;

interface Listener {
  changed(): void;
  failed(error: unknown): void;
}

export class AdapterField {
  private readonly picker = new Picker(
    (id) => void this.take(this.adapters.find((adapter) => adapter.id === id)!.full_name),
    (typed) => void this.look(typed),
  );
  private readonly none = button("None", () => void this.take(null), "small");
  private readonly step = control("select", {});
  private readonly steps = element("label", { hidden: true }, "Its state", this.step);
  readonly field: Field;
  private adapters: Adapter[] = [];
  private baseModel = "";
  /** The full name of the adapter, without a checkpoint. */
  private adapter: string | null = null;
  private turn = 0;

  constructor(
    private readonly host: Host,
    private readonly signal: AbortSignal,
    private readonly trouble: Trouble,
    private readonly tell: Listener,
    where: string,
    title: string,
    help: string,
  ) {
    this.picker.input.placeholder = "None";
    const box = element("div", { class: "adapter" }, element("div", { class: "measured" }, this.picker.element, this.none), this.steps);
    this.field = new Field(where, title, this.picker.input, { help, box });
    this.step.addEventListener("input", () => tell.changed());
    this.show(null);
  }

  /** What is chosen: `@demo/soap@3`, or `@demo/soap@3-step200`. */
  get chosen(): string | null {
    return this.adapter === null ? null : this.adapter + this.step.value;
  }

  /** Show what was chosen before, by its name. */
  async choose(name: string | null): Promise<void> {
    const adapter = name?.replace(CHECKPOINT, "") ?? null;
    this.show(adapter);
    if (adapter === null) return;
    const checkpoint = name!.slice(adapter.length);
    if (checkpoint) this.offerSteps([Number(CHECKPOINT.exec(checkpoint)![1])]); // until all are known
    this.step.value = checkpoint;
    await this.lookAtSteps(adapter);
  }

  /** Offer the adapters of this base model only. */
  of(baseModel: string): void {
    this.baseModel = baseModel;
  }

  private show(adapter: string | null): void {
    this.adapter = adapter;
    this.picker.show(adapter === null ? null : { id: adapter, title: adapter });
    this.none.hidden = adapter === null;
    this.offerSteps([]);
  }

  private async take(adapter: string | null): Promise<void> {
    const here = document.activeElement === this.none;
    this.show(adapter);
    this.field.show([]);
    if (here) this.picker.input.focus();
    this.tell.changed();
    if (adapter !== null) await this.lookAtSteps(adapter);
  }

  private async look(typed: string): Promise<void> {
    const turn = ++this.turn;
    try {
      if (typed) await pause(TYPING_MS, this.signal);
      if (turn !== this.turn) return;
      const find = (): Promise<{ items: Adapter[]; has_more: boolean }> => list<Adapter>(this.host, "adapters.list", typed ? { search: typed } : {}, OFFERED);
      const { items, has_more: more } = await persist(find, this.signal, this.trouble);
      if (turn !== this.turn) return;
      this.adapters = items.filter(({ base_model }) => base_model === this.baseModel);
      const choices = this.adapters.map(({ id, full_name, rank }) => ({ id, title: full_name, note: `rank ${numberWords(rank)}` }));
      this.picker.offer(choices, more, `No adapter of ${this.baseModel} is called so.`);
    } catch (error) {
      this.tell.failed(error);
    }
  }

  /** Its checkpoints, where the reader may see the job that made it. */
  private async lookAtSteps(adapter: string): Promise<void> {
    const known = this.adapters.find(({ full_name }) => full_name === adapter);
    try {
      const found = known ?? (await list<Adapter>(this.host, "adapters.list", { search: adapter }, OFFERED)).items.find(({ full_name }) => full_name === adapter);
      if (!found) return;
      const { items } = await ask<{ items: Checkpoint[] }>(this.host, "jobs.checkpoints", { job: found.job });
      if (this.adapter === adapter) this.offerSteps(items.filter(({ model }) => model !== null).map(({ step }) => step));
    } catch {
      // The adapter as it was when training ended will do.
    }
  }

  private offerSteps(steps: readonly number[]): void {
    const { value } = this.step;
    const options = steps.map((step) => element("option", { value: `-step${step}` }, `after step ${numberWords(step)}`));
    this.step.replaceChildren(element("option", { value: "" }, "as it was at the end"), ...options);
    this.step.value = steps.some((step) => `-step${step}` === value) ? value : "";
    this.steps.hidden = steps.length === 0;
  }
}
