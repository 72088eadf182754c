// The Curate view: make a dataset, fill it with files, read and edit its records, publish it.

import { type Host, type Mount } from "../host/host";
import { widget } from "../host/notebook";
import { persist } from "../host/persist";
import { control, element } from "../parts/elements";
import { HISTOGRAM_STYLE } from "../parts/histogram";
import { guard } from "../parts/leaving";
import { Notices } from "../parts/notice";
import { adopt } from "../parts/style";
import { TABLE_STYLE } from "../parts/table-style";
import { TABS_STYLE } from "../parts/tabs";
import { WORK_STYLE } from "../parts/work";
import { type Began, DatasetPage, type Place } from "./dataset";
import { Datasets } from "./datasets";
import { CURATE_STYLE } from "./style";
import { ask, type Context, type Dataset, isCode } from "./things";

interface Start {
  dataset?: string;
  /** Whether to begin a new dataset at once; an address says it as text. */
  new?: boolean | "true";
  /** A long step that was running when the view was left. */
  operation?: string;
  /** A version to look into. */
  version?: string;
  /** What of the dataset was shown. */
  tab?: string;
  queue?: string;
}

class Curate {
  private readonly root = element("section", { class: "ady ady-curate", "aria-label": "Curate" });
  private readonly body = element("div", { class: "body" });
  private readonly notices = new Notices();
  private readonly end = new AbortController();
  /** Ends what is shown now. */
  private shown = new AbortController();
  private page: DatasetPage | null = null;

  constructor(
    el: HTMLElement,
    private readonly host: Host,
  ) {
    this.root.append(this.notices.element, this.body);
    el.replaceChildren(this.root);
    adopt(el, TABLE_STYLE, TABS_STYLE, WORK_STYLE, HISTOGRAM_STYLE, CURATE_STYLE);
    globalThis.addEventListener("beforeunload", this.beforeUnload);
    guard(this.root, () => this.page?.busy ?? false);
    void this.begin();
  }

  close(): void {
    globalThis.removeEventListener("beforeunload", this.beforeUnload);
    this.end.abort();
    this.shown.abort();
    this.root.remove();
  }

  private async begin(): Promise<void> {
    const context = this.next();
    try {
      const start = ((await persist(() => this.host.call("view.start"), context.signal, this.notices.trouble)) ?? {}) as Start;
      if (!start.dataset) return this.choose(start.new !== undefined && start.new !== false);
      await this.open(start.dataset, start);
    } catch (error) {
      if (!context.signal.aborted) this.notices.problem(error, () => void this.begin());
    }
  }

  private choose(begin = false): void {
    const context = this.next();
    // Whoever asks for a new dataset once more, where views are tabs, comes back to the form that is open.
    const begins = (open: boolean): void => this.here(open ? "New dataset" : "Datasets", open ? { new: true } : {});
    const datasets = new Datasets(context, { open: (dataset, erase = false) => this.show(dataset, { erase }), begins });
    this.body.replaceChildren(datasets.element);
    if (begin) datasets.open();
    else begins(false);
  }

  private async open(id: string, began: Began): Promise<void> {
    const context = this.next();
    this.body.replaceChildren(element("p", { class: "empty", role: "status" }, "Opening the dataset …"));
    try {
      const dataset = await ask<Dataset>(context, "datasets.get", { dataset: id });
      this.show(dataset, began);
    } catch (error) {
      if (context.signal.aborted) return;
      if (isCode(error, "not_found")) return this.missing();
      this.notices.problem(error, () => void this.open(id, began));
    }
  }

  private show(dataset: Dataset, began: Began): void {
    const context = this.next();
    let operation: string | null = began.operation ?? null;
    let place: Place = {};
    const here = (): void => this.here(dataset.name, { dataset: dataset.id, ...place, ...(operation ? { operation } : {}) });
    this.page = new DatasetPage(context, dataset, began, {
      onBack: () => this.choose(),
      onOperation: (id) => {
        operation = id;
        here();
      },
      onPlace: (now) => {
        place = now;
        here();
      },
      onMissing: () => this.missing(),
      onErased: () => this.here("Datasets", {}),
    });
    this.body.replaceChildren(this.page.element);
  }

  private missing(): void {
    this.next();
    const all = control("button", { type: "button", class: "main" }, "All datasets");
    all.addEventListener("click", () => this.choose());
    this.body.replaceChildren(element("div", { class: "empty" }, element("p", {}, "There is no such dataset, or you have no right to see it."), all));
  }

  /** End what was shown, and begin anew. */
  private next(): Context {
    this.shown.abort();
    this.shown = new AbortController();
    this.page = null;
    this.notices.clear();
    return { host: this.host, root: this.root, notices: this.notices, signal: AbortSignal.any([this.end.signal, this.shown.signal]) };
  }

  private here(title: string, start: Start): void {
    this.host.call("view.here", { title, start: { ...start } }).catch(() => undefined); // only a reload would miss it
  }

  private readonly beforeUnload = (event: Event): void => {
    if (this.page?.busy) event.preventDefault();
  };
}

export const mount: Mount = (el, host) => {
  const curate = new Curate(el, host);
  return () => curate.close();
};

export default widget(mount);
