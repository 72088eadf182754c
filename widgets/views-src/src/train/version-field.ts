// Choosing a published version: the dataset by a part of its name, then one of its versions.

import type { Host } from "../host/host";
import { pause, persist, repeat, type Trouble } from "../host/persist";
import { ask, type Dataset, type Kind, list, type Page, type Version } from "../host/things";
import { control, element } from "../parts/elements";
import { Field } from "../parts/field";
import { type Choice, Picker } from "../parts/picker";
import { countWords, momentWords, numberWords } from "../parts/words";

/** As many datasets are offered at once; typing narrows them down. */
const OFFERED = 100;
/** A pause in typing after which the service is asked. */
const TYPING_MS = 250;
/** Versions that are published meanwhile appear by themselves. */
const LOOK_EVERY_MS = 10_000;

const KINDS: Readonly<Record<Kind, [one: string, many: string]>> = {
  chat: ["chat", "chats"],
  text: ["text", "texts"],
  preference: ["preference pair", "preference pairs"],
  kto: ["labelled answer", "labelled answers"],
};

const RESTRICTED =
  "This dataset is restricted, and so is an adapter that is trained on it: it answers in JupyterLab, in notebooks and to the Python client, which seal what is asked; not on the service's page, nor to other programs.";

interface Listener {
  /** Another version is chosen. */
  changed(): void;
  /** The reader wants to publish a version of this dataset, or of a new one. */
  curate(dataset: string | null): void;
  failed(error: unknown): void;
}

export class VersionField {
  private readonly picker = new Picker(
    (id) => void this.choose(this.datasets.find((dataset) => dataset.id === id)!),
    (typed) => void this.look(typed),
  );
  private readonly select = control("select", {});
  private readonly none = element("div", { class: "notice", hidden: true });
  readonly dataset = new Field("dataset", "Dataset", this.picker.input, { box: this.picker.element });
  readonly version = new Field("version", "Version", this.select);
  readonly elements = [this.dataset.element, this.version.element, this.none];
  /** Those on offer. */
  private datasets: Dataset[] = [];
  /** The one that is chosen, in whatever version. */
  private shown: Dataset | null = null;
  /** Whether the reader has no dataset at all. */
  private lacking = false;
  private turn = 0;
  /** Null while they are looked for. */
  private versions: Version[] | null = null;
  private looking = new AbortController();
  /** What the task learns from; empty if that is not told. */
  private kinds: readonly Kind[] = [];

  constructor(
    private readonly host: Host,
    private readonly signal: AbortSignal,
    private readonly trouble: Trouble,
    private readonly tell: Listener,
  ) {
    this.picker.input.placeholder = "Choose a dataset";
    this.select.addEventListener("change", () => this.pick(this.select.value));
    signal.addEventListener("abort", () => this.looking.abort());
  }

  /** The id of the chosen version. */
  get chosen(): string | null {
    return this.select.value || null;
  }

  /** The full name of the chosen version. */
  get name(): string | null {
    return this.versionChosen?.name ?? null;
  }

  /** The dataset of the chosen version. */
  get datasetChosen(): Dataset | null {
    return this.shown;
  }

  close(): void {
    this.looking.abort();
  }

  /** Say of a version without records of these kinds that it does not suit. */
  suit(kinds: readonly Kind[]): void {
    this.kinds = kinds;
    this.advise();
  }

  /** Offer the datasets whose full names hold what was typed, the ones that were changed last first. */
  async loadDatasets(typed = ""): Promise<void> {
    const turn = ++this.turn;
    if (typed) await pause(TYPING_MS, this.signal);
    if (turn !== this.turn) return;
    const { items, has_more: more } = await this.find(typed);
    if (turn !== this.turn) return; // something else was typed meanwhile
    this.datasets = items;
    if (!typed) this.lacking = items.length === 0;
    this.picker.offer(items.map(choiceOf), more);
    this.advise();
  }

  private find(search: string): Promise<Page<Dataset>> {
    const args = { order: "-changed", ...(search ? { search } : {}) };
    return persist(() => list<Dataset>(this.host, "datasets.list", args, OFFERED), this.signal, this.trouble);
  }

  private look(typed: string): Promise<void> {
    return this.loadDatasets(typed).catch((error: unknown) => this.tell.failed(error));
  }

  /** Show a version by its id. */
  async show(version: string): Promise<void> {
    const { dataset } = await persist(() => ask<Version>(this.host, "versions.get", { version }), this.signal, this.trouble);
    const known = this.datasets.find(({ id }) => id === dataset);
    const found = known ?? (await persist(() => ask<Dataset>(this.host, "datasets.get", { dataset }), this.signal, this.trouble));
    await this.choose(found, (one) => one.id === version);
  }

  /** Show a version by its full name; says whether there is such a one. */
  async showNamed(name: string): Promise<boolean> {
    const wanted = name.slice(0, name.lastIndexOf("@"));
    const dataset = (await this.find(wanted)).items.find(({ full_name }) => full_name === wanted);
    if (!dataset) return false;
    await this.choose(dataset, (one) => one.name === name);
    return (this.versions ?? []).some((one) => one.id === this.chosen && one.name === name);
  }

  private async choose(chosen: Dataset, wanted: (version: Version) => boolean = () => true): Promise<void> {
    this.looking.abort();
    const looking = (this.looking = new AbortController());
    const dataset = chosen.id;
    this.shown = chosen;
    this.picker.show(choiceOf(chosen));
    this.dataset.show([]);
    this.dataset.hint(chosen.sensitivity === "restricted" ? RESTRICTED : "", true);
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

  private get versionChosen(): Version | undefined {
    return this.versions?.find(({ id }) => id === this.chosen);
  }

  /** Say what is chosen, or what to do where nothing can be. */
  private advise(): void {
    const version = this.versionChosen;
    const unfit = version ? unfitWords(version, this.kinds) : "";
    this.version.hint(unfit || (version ? `Published ${momentWords(version.created_at)}` : ""), unfit !== "");
    this.select.disabled = version === undefined;
    const missing = this.lacking ? "There is no dataset yet." : this.versions?.length === 0 ? "No published version yet." : "";
    this.none.hidden = missing === "";
    if (missing === this.none.firstChild?.textContent) return;
    const button = control("button", { type: "button", class: "small" }, "Curate one");
    button.addEventListener("click", () => this.tell.curate(this.picker.chosen));
    this.none.replaceChildren(element("span", {}, missing), button);
  }
}

/** Why a task does not learn from a version; empty if it does, or if the version does not tell. */
export function unfitWords({ report }: Version, wanted: readonly Kind[]): string {
  const kinds = Object.entries(report?.kinds ?? {}).filter(([, count]) => count > 0) as [Kind, number][];
  if (wanted.length === 0 || kinds.length === 0 || kinds.some(([kind]) => wanted.includes(kind))) return "";
  const held = kinds.map(([kind, count]) => countWords(count, ...KINDS[kind])).join(" and ");
  return `It holds ${held}; this task learns from ${wanted.map((kind) => KINDS[kind][1]).join(" or ")}. They are translated where that can be done.`;
}

function choiceOf({ id, full_name }: Dataset): Choice {
  return { id, title: full_name };
}
