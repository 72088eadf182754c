// Choosing a published version: the dataset by a part of its name, then one of its versions.

import type { Host } from "../host/host";
import { pause, persist, repeat, type Trouble } from "../host/persist";
import { ask, type Dataset, list, type Version } from "../host/things";
import { control, element } from "../parts/elements";
import { Field } from "../parts/field";
import { Picker } from "../parts/picker";
import { momentWords, numberWords } from "../parts/words";

/** Versions that are published meanwhile appear by themselves. */
const LOOK_EVERY_MS = 10_000;

interface Listener {
  /** Another version is chosen. */
  changed(): void;
  /** The reader wants to publish a version of this dataset, or of a new one. */
  curate(dataset: string | null): void;
  failed(error: unknown): void;
}

export class VersionField {
  private readonly picker = new Picker((id) => void this.choose(id));
  private readonly select = control("select", {});
  private readonly none = element("div", { class: "notice", hidden: true });
  readonly dataset = new Field("dataset", "Dataset", this.picker.input, { box: this.picker.element });
  readonly version = new Field("version", "Version", this.select);
  readonly elements = [this.dataset.element, this.version.element, this.none];
  /** Null while they are looked for. */
  private datasets: Dataset[] | null = null;
  private versions: Version[] | null = null;
  private looking = new AbortController();

  constructor(
    private readonly host: Host,
    private readonly signal: AbortSignal,
    private readonly trouble: Trouble,
    private readonly tell: Listener,
  ) {
    this.picker.input.placeholder = "Choose a dataset";
    this.picker.input.addEventListener("focus", () => void this.loadDatasets().catch((error: unknown) => this.tell.failed(error)));
    this.select.addEventListener("change", () => this.pick(this.select.value));
    signal.addEventListener("abort", () => this.looking.abort());
  }

  /** The id of the chosen version. */
  get chosen(): string | null {
    return this.select.value || null;
  }

  /** The dataset of the chosen version. */
  get datasetChosen(): Dataset | null {
    return this.datasets?.find(({ id }) => id === this.picker.chosen) ?? null;
  }

  async loadDatasets(): Promise<void> {
    const { items } = await persist(() => list<Dataset>(this.host, "datasets.list"), this.signal, this.trouble);
    this.datasets = items.reverse();
    this.picker.offer(this.datasets.map((dataset) => ({ id: dataset.id, title: dataset.full_name })));
    this.advise();
  }

  /** Show a version by its id. */
  async show(version: string): Promise<void> {
    const { dataset } = await persist(() => ask<Version>(this.host, "versions.get", { version }), this.signal, this.trouble);
    await this.choose(dataset, (one) => one.id === version);
  }

  /** Show a version by its full name; says whether there is such a one. */
  async showNamed(name: string): Promise<boolean> {
    const dataset = this.datasets?.find(({ full_name }) => name.startsWith(`${full_name}@`));
    if (!dataset) return false;
    await this.choose(dataset.id, (one) => one.name === name);
    return (this.versions ?? []).some((one) => one.id === this.chosen && one.name === name);
  }

  private async choose(dataset: string, wanted: (version: Version) => boolean = () => true): Promise<void> {
    this.looking.abort();
    const looking = (this.looking = new AbortController());
    this.picker.chosen = dataset;
    this.dataset.show([]);
    this.versions = null;
    this.offer([], "");
    try {
      await this.loadVersions(dataset, looking.signal, wanted);
      this.tell.changed();
      void this.keepLooking(dataset, looking.signal);
    } catch (error) {
      if (!looking.signal.aborted) this.tell.failed(error);
    }
  }

  private async keepLooking(dataset: string, signal: AbortSignal): Promise<void> {
    await pause(LOOK_EVERY_MS, signal);
    try {
      await repeat(() => this.loadVersions(dataset, signal), LOOK_EVERY_MS, signal, this.trouble);
    } catch (error) {
      this.tell.failed(error);
    }
  }

  private async loadVersions(dataset: string, signal: AbortSignal, wanted: (version: Version) => boolean = () => true): Promise<void> {
    const { items } = await persist(() => list<Version>(this.host, "versions.list", { dataset }), signal, this.trouble);
    signal.throwIfAborted();
    const versions = (this.versions = items.filter(({ state }) => state === "completed").reverse());
    const kept = versions.find(({ id }) => id === this.chosen) ?? versions.find(wanted) ?? versions[0];
    const before = this.chosen;
    this.offer(versions, kept?.id ?? "");
    if (before === null && kept) this.tell.changed();
  }

  private offer(versions: readonly Version[], chosen: string): void {
    const options = versions.map(({ id, number, records }) =>
      element("option", { value: id }, `${number} · ${numberWords(records)} ${records === 1 ? "record" : "records"}`),
    );
    const same = options.length === this.select.options.length && options.every((option, at) => option.isEqualNode(this.select.options[at]!));
    if (!same) this.select.replaceChildren(...options);
    this.select.value = chosen;
    this.advise();
  }

  private pick(id: string): void {
    this.select.value = id;
    this.advise();
    this.tell.changed();
  }

  /** Say what is chosen, or what to do where nothing can be. */
  private advise(): void {
    const version = this.versions?.find(({ id }) => id === this.chosen);
    this.version.hint(version ? `Published ${momentWords(version.created_at)}` : "");
    this.select.disabled = version === undefined;
    const missing = this.datasets?.length === 0 ? "There is no dataset yet." : this.versions?.length === 0 ? "No published version yet." : "";
    this.none.hidden = missing === "";
    if (missing === this.none.firstChild?.textContent) return;
    const button = control("button", { type: "button", class: "small" }, "Curate one");
    button.addEventListener("click", () => this.tell.curate(this.picker.chosen));
    this.none.replaceChildren(element("span", {}, missing), button);
  }
}
