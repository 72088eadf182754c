// The Versions tab: what was published, where it lies, and a look into one of it.

import { button, element } from "../parts/elements";
import { agoWords, countWords, momentWords } from "../parts/words";
import { type Step, Work } from "../parts/work";
import { column } from "./files";
import { askToMerge } from "./merge";
import { trainButton } from "./publish";
import { digestOf, reportOf } from "./report";
import { type Store, storeOf } from "./store";
import { ask, attempt, type Context, type Dataset, type List, type Version } from "./things";
import { VersionPage } from "./version";

const PAGE = 100;
export const MERGE_STEP: Step = { title: "Merging", cancelled: "Merging was cancelled; nothing was published." };

export class Versions {
  readonly element = element("div", { class: "versions" });
  private readonly body = element("tbody");
  private readonly table: HTMLTableElement;
  private readonly empty = element("p", { class: "empty", hidden: true });
  private readonly merge = button("Merge versions …", () => void this.askToMerge());
  private readonly place = element("div", { class: "versions" });
  private readonly store = element("div");
  private readonly work: Work;
  private page: VersionPage | null = null;
  private opened: string | null = null;
  private versions: Version[] = [];

  constructor(
    private readonly context: Context,
    private readonly dataset: Dataset,
    onOperation: (id: string | null) => void = () => undefined,
    private readonly onShow: () => void = () => undefined,
  ) {
    this.work = new Work(context, onOperation);
    const head = element("tr", {}, column("Version"), column("Records", "number wide"), column("Duplicates dropped", "number mid"), column("Digest", "mid"), column("Published", "wide"), element("td"));
    this.table = element("table", { "aria-label": "Versions", hidden: true }, element("thead", {}, head), this.body);
    this.empty.textContent = emptyWords(dataset);
    this.merge.hidden = dataset.right !== "manage";
    this.element.append(element("div", { class: "row tools" }, this.store, element("span", { class: "row end" }, this.merge)), this.work.element, this.table, this.empty, this.place);
    context.signal.addEventListener("abort", () => this.page?.close(), { once: true });
    void this.lookAtStore();
  }

  /** The version whose page is open. */
  get shown(): string | null {
    return this.opened;
  }

  /** Look what is published now. */
  refresh(): void {
    void attempt(this.context, () => this.look(), true);
  }

  /** Show a version that is named elsewhere. */
  async show(id: string): Promise<void> {
    await attempt(this.context, async () => {
      if (this.versions.length === 0) await this.look();
      const version = this.versions.find((one) => one.id === id);
      if (version) this.open(version);
    }, true);
  }

  /** The licence of the newest. */
  async licence(): Promise<string | null> {
    if (this.versions.length === 0) await this.look();
    return this.versions[0]?.license ?? null;
  }

  async resume(operation: string): Promise<void> {
    this.merged((await this.work.resume(MERGE_STEP, operation))?.result?.version as Version | undefined);
  }

  private async look(): Promise<void> {
    this.versions = await this.all();
    this.body.replaceChildren(...this.versions.map((version) => this.row(version)));
    this.table.hidden = this.versions.length === 0;
    this.empty.hidden = this.versions.length > 0;
  }

  /** The newest first; the service lists the oldest first. */
  private async all(): Promise<Version[]> {
    const found: Version[] = [];
    for (;;) {
      const after = found.at(-1)?.id;
      const args = { dataset: this.dataset.id, limit: PAGE, ...(after ? { after } : {}) };
      const { items, has_more } = await ask<List<Version>>(this.context, "versions.list", args);
      found.push(...items);
      if (!has_more || items.length === 0) return found.reverse();
    }
  }

  /** How safe the place is; who cannot hear it can do without. */
  private async lookAtStore(): Promise<void> {
    const store = await ask<Store>(this.context, "stores.get").catch(() => null);
    if (store) this.store.replaceChildren(storeOf(store));
  }

  private row(version: Version): HTMLElement {
    const train = trainButton(this.context, version);
    train.classList.add("small");
    train.hidden = version.state !== "completed";
    const look = button("Details", () => this.open(version), "small", `Details of ${version.name}`);
    const when = element("time", { datetime: version.created_at, title: momentWords(version.created_at) }, agoWords(version.created_at));
    const guard = [this.dataset.sensitivity, version.level ?? "", version.encrypted ? "encrypted at rest" : ""].filter(Boolean).join(" · ");
    const about = [guard, version.description ?? ""].filter(Boolean).map((words) => element("p", { class: "soft about" }, words));
    return element(
      "tr",
      {},
      element("th", { scope: "row", class: "name" }, version.name, ...chipsOf(version).flatMap((chip) => [" ", chip]), element("span", { class: "narrow soft" }, countWords(version.records, "record")), ...about),
      element("td", { class: "number wide" }, version.records.toLocaleString()),
      element("td", { class: "number mid" }, version.duplicates_dropped.toLocaleString()),
      element("td", { class: "mid" }, digestOf(version.content_digest)),
      element("td", { class: "wide" }, when),
      element("td", {}, element("div", { class: "row actions" }, look, train)),
    );
  }

  private open(version: Version): void {
    this.page?.close();
    this.page = new VersionPage(this.context, this.dataset, version, this.versions, {
      onClose: () => {
        this.page?.close();
        this.page = null;
        this.opened = null;
        this.place.replaceChildren();
        this.onShow();
      },
      onChange: () => this.refresh(),
    });
    this.place.replaceChildren(this.page.element);
    this.page.focus();
    this.opened = version.id;
    this.onShow();
  }

  private async askToMerge(): Promise<void> {
    if (this.work.busy) return;
    const begun = await askToMerge(this.context, this.dataset);
    if (begun) this.merged((await this.work.run(MERGE_STEP, () => Promise.resolve(begun)))?.result?.version as Version | undefined);
  }

  private merged(version: Version | undefined): void {
    if (version) this.work.say(`Merged into ${version.name}.`, true, reportOf(version));
    this.refresh();
  }
}

/** What must be known of a version at a glance. */
export function chipsOf({ state, reason, sources, withdrawn_sources: gone = 0 }: Version): HTMLElement[] {
  const chips: HTMLElement[] = [];
  if (sources && sources.length > 0) chips.push(element("span", { class: "chip", title: `It refers to the files of ${sources.length} versions.` }, "merged"));
  if (state === "erased") chips.push(element("span", { class: "chip withdrawn" }, "erased"));
  else if (state === "withdrawn") chips.push(element("span", { class: "chip withdrawn", title: reason ?? "" }, "withdrawn"));
  else if (gone > 0) chips.push(element("span", { class: "chip withdrawn" }, `${gone} of its sources withdrawn`));
  return chips;
}

function emptyWords({ right }: Dataset): string {
  const why = "a version never changes, so every adapter can say what it learnt from.";
  if (right === "manage") return `Nothing is published yet. Publish the draft to train on it: ${why}`;
  return `Nothing is published yet. Who manages this dataset can publish its draft, to train on it: ${why}`;
}
