// What a job learns from: one version, or several of any datasets.

import type { Host } from "../host/host";
import type { Trouble } from "../host/persist";
import type { Dataset, Kind } from "../host/things";
import { button, element } from "../parts/elements";
import type { Field } from "../parts/field";
import { VersionField } from "./version-field";

/** As many as the service takes. */
const MOST = 16;

interface Listener {
  /** Other versions are chosen. */
  changed(): void;
  /** The reader wants to publish a version of this dataset, or of a new one. */
  curate(dataset: string | null): void;
  failed(error: unknown): void;
}

export class VersionsField {
  readonly element = element("div", { class: "versions wide" });
  private readonly rows: { version: VersionField; element: HTMLElement; remove: HTMLButtonElement }[] = [];
  private readonly list = element("div", { class: "list" });
  private readonly more = button("Add another version", () => void this.addOne(), "small");
  private kinds: readonly Kind[] = [];

  constructor(
    private readonly host: Host,
    private readonly signal: AbortSignal,
    private readonly trouble: Trouble,
    private readonly tell: Listener,
  ) {
    this.element.append(this.list, element("div", {}, this.more));
    this.add();
  }

  /** The ids of the chosen versions. */
  get chosen(): string[] {
    return this.rows.flatMap(({ version }) => version.chosen ?? []);
  }

  /** Their names. */
  get names(): string[] {
    return this.rows.flatMap(({ version }) => version.name ?? []);
  }

  /** Whether there is a row in which nothing is chosen. */
  get lacking(): number | null {
    const at = this.rows.findIndex(({ version }) => version.chosen === null);
    return at < 0 ? null : at;
  }

  get fields(): Field[] {
    return this.rows.flatMap(({ version }) => [version.dataset, version.version]);
  }

  get datasetChosen(): Dataset | null {
    return this.rows[0]!.version.datasetChosen;
  }

  load(): Promise<void> {
    return this.rows[0]!.version.loadDatasets();
  }

  /** Say of versions without records of these kinds that they do not suit. */
  suit(kinds: readonly Kind[]): void {
    this.kinds = kinds;
    for (const { version } of this.rows) version.suit(kinds);
  }

  /** Show versions by their ids. */
  async show(versions: readonly string[]): Promise<void> {
    this.keep(Math.max(1, versions.length));
    for (const [at, id] of versions.entries()) await (this.rows[at] ?? this.add()).version.show(id);
  }

  /** Show versions by their full names; answers those that are not there. */
  async showNamed(names: readonly string[]): Promise<string[]> {
    const gone: string[] = [];
    this.keep(1);
    for (const name of names) {
      const row = this.lacking === null ? this.add() : this.rows[this.lacking]!;
      if (!(await row.version.showNamed(name))) gone.push(name);
    }
    if (this.rows.length > 1 && this.rows.at(-1)!.version.chosen === null) this.keep(this.rows.length - 1);
    return gone;
  }

  private async addOne(): Promise<void> {
    const { version } = this.add();
    version.dataset.focus();
    await version.loadDatasets().catch((error: unknown) => this.tell.failed(error));
  }

  private add(): VersionsField["rows"][number] {
    const version = new VersionField(this.host, this.signal, this.trouble, {
      changed: () => this.tell.changed(),
      curate: (dataset) => this.tell.curate(dataset),
      failed: (error) => this.tell.failed(error),
    });
    version.suit(this.kinds);
    const remove = button("Remove", () => this.remove(row), "small");
    const row = { version, remove, element: element("div", { class: "fields" }, ...version.elements, element("div", { class: "remove" }, remove)) };
    this.rows.push(row);
    this.list.append(row.element);
    this.number();
    return row;
  }

  private remove(row: VersionsField["rows"][number]): void {
    this.drop(row);
    this.number();
    this.more.focus();
    this.tell.changed();
  }

  private keep(count: number): void {
    for (const row of this.rows.slice(count)) this.drop(row);
    this.number();
  }

  private drop(row: VersionsField["rows"][number]): void {
    row.version.close();
    row.element.remove();
    this.rows.splice(this.rows.indexOf(row), 1);
  }

  private number(): void {
    this.rows.forEach(({ version, remove }, at) => {
      version.dataset.where = `datasets.${at}`;
      version.dataset.title = at === 0 ? "Dataset" : `Dataset ${at + 1}`;
      version.version.title = at === 0 ? "Version" : `Version ${at + 1}`;
      remove.setAttribute("aria-label", `Remove dataset ${at + 1}`);
      remove.hidden = this.rows.length === 1;
    });
    this.more.hidden = this.rows.length >= MOST;
  }
}
