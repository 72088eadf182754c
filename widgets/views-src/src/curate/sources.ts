// What records are taken from, one row a source: a draft or a version, how much of it, and which of it.
// Collating into a draft and merging versions ask the same.

import type { Args, Json } from "../host/host";
import { button, control, element } from "../parts/elements";
import { SPLITS } from "./filters";
import { KINDS } from "./record";
import { options } from "./records";
import { ask, type Context, type Dataset, type List, type Version } from "./things";

const DATASETS = 200;

export interface SourcesOptions {
  /** Drafts can be taken from too, not only versions. */
  drafts: boolean;
  /** A dataset that is no source: into which its own draft is not collated. */
  without?: string;
}

export class Sources {
  readonly element = element("div", { class: "sources" });
  private readonly rows: Source[] = [];
  private readonly list = element("div", { class: "sources" });
  private datasets: readonly Dataset[] = [];

  constructor(
    private readonly context: Context,
    private readonly options: SourcesOptions,
    private readonly onChange: (complete: boolean) => void,
  ) {
    this.element.append(this.list, button("Add a source", () => this.add(), "small"));
    void this.load();
  }

  /** What the service is asked with. */
  get args(): Json[] {
    return this.rows.map((row) => row.args as Json);
  }

  private async load(): Promise<void> {
    try {
      this.datasets = (await ask<List<Dataset>>(this.context, "datasets.list", { order: "-changed", limit: DATASETS })).items;
      this.add();
    } catch (error) {
      if (!this.context.signal.aborted) this.context.notices.problem(error, () => void this.load());
    }
  }

  private add(): void {
    const row: Source = new Source(this.context, this.datasets, this.options, this.rows.length + 1, {
      changed: () => this.tell(),
      remove: () => {
        this.rows.splice(this.rows.indexOf(row), 1);
        row.element.remove();
        this.tell();
      },
    });
    this.rows.push(row);
    this.list.append(row.element);
    this.tell();
    if (this.rows.length > 1) row.focus();
  }

  private tell(): void {
    for (const row of this.rows) row.removable(this.rows.length > 1);
    this.onChange(this.rows.length > 0 && this.rows.every(({ complete }) => complete));
  }
}

class Source {
  readonly element: HTMLElement;
  private readonly dataset = control("select");
  private readonly version = control("select");
  private readonly weight = control("input", { type: "number", min: "0.01", max: "10", step: "any", value: "1" });
  private readonly sample = control("input", { type: "number", min: "1", max: "999999999", placeholder: "all" });
  private readonly seed = control("input", { type: "number", min: "0", value: "0" });
  private readonly kind = control("select");
  private readonly into = control("select");
  private readonly split = control("select");
  private readonly least = control("input", { type: "number", min: "0" });
  private readonly most = control("input", { type: "number", min: "0" });
  private readonly remove: HTMLButtonElement;

  constructor(
    private readonly context: Context,
    datasets: readonly Dataset[],
    private readonly which: SourcesOptions,
    number: number,
    private readonly events: { changed(): void; remove(): void },
  ) {
    options(this.dataset, { "": "Choose a dataset", ...Object.fromEntries(datasets.map(({ id, full_name }) => [id, full_name])) });
    options(this.version, { "": "–" });
    options(this.kind, { "": "All kinds", ...KINDS });
    options(this.into, { "": "As they are", ...KINDS });
    options(this.split, { "": "All", ...SPLITS });
    this.remove = button("✕", () => events.remove(), "small", `Remove source ${number}`);
    this.dataset.addEventListener("change", () => void this.offerVersions());
    this.version.addEventListener("change", () => events.changed());
    const into = which.drafts ? [element("label", {}, "Turn into kind", this.into)] : [];
    this.element = element(
      "fieldset",
      { class: "card source" },
      element("legend", { class: "visually-hidden" }, `Source ${number}`),
      element("div", { class: "row filters" }, element("label", { class: "wide-field" }, "Dataset", this.dataset), element("label", {}, which.drafts ? "Draft or version" : "Version", this.version), element("label", { class: "short" }, "Weight", this.weight), element("label", { class: "short" }, "Max. records", this.sample), this.remove),
      control(
        "details",
        {},
        control("summary", {}, "Only some of its records"),
        element("div", { class: "row filters" }, element("label", {}, "Kind", this.kind), element("label", {}, "Split", this.split), element("label", { class: "short" }, "Min. characters", this.least), element("label", { class: "short" }, "Max. characters", this.most), ...into, element("label", { class: "short" }, "Seed", this.seed)),
      ),
    );
  }

  get complete(): boolean {
    return this.version.value !== "";
  }

  get args(): Args {
    const filter: Args = {
      ...(this.kind.value ? { kind: this.kind.value } : {}),
      ...(this.split.value ? { split: this.split.value } : {}),
      ...(this.least.value ? { min_length: Number(this.least.value) } : {}),
      ...(this.most.value ? { max_length: Number(this.most.value) } : {}),
    };
    return {
      ...(this.version.value === "draft" ? { dataset: this.dataset.value } : { version: this.version.value }),
      weight: Number(this.weight.value) || 1,
      seed: Number(this.seed.value) || 0,
      ...(this.sample.value ? { sample: Number(this.sample.value) } : {}),
      ...(Object.keys(filter).length > 0 ? { filter: filter as Json } : {}),
      ...(this.into.value ? { kind: this.into.value } : {}),
    };
  }

  focus(): void {
    this.dataset.focus();
  }

  removable(removable: boolean): void {
    this.remove.disabled = !removable;
  }

  private async offerVersions(): Promise<void> {
    const dataset = this.dataset.value;
    const draft = this.which.drafts && dataset !== this.which.without ? { draft: "Draft, as it is now" } : {};
    options(this.version, { "": "Looking …" });
    this.events.changed();
    try {
      const { items } = dataset ? await ask<List<Version>>(this.context, "versions.list", { dataset, limit: 200 }) : { items: [] };
      if (dataset !== this.dataset.value) return;
      const usable = items.filter(({ state }) => state !== "withdrawn").reverse();
      const none = usable.length === 0 && Object.keys(draft).length === 0;
      // Ids are no numbers, so they stay in this order: the newest version, then the draft.
      options(this.version, { ...(none ? { "": "Nothing is published" } : {}), ...Object.fromEntries(usable.map(({ id, number, records }) => [id, `@${number} (${records.toLocaleString()})`])), ...draft });
    } catch (error) {
      if (!this.context.signal.aborted) this.context.notices.problem(error);
      options(this.version, { "": "–" });
    }
    this.events.changed();
  }
}
