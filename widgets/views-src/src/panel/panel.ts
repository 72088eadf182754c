// The overview: what there is, what is going on, and the way to each of it. The sidebar of JupyterLab
// and the home of the service's own page.

import { type Args, type Host, isMissing, isPassing, type Json, type Mount } from "../host/host";
import { widget } from "../host/notebook";
import { persist, repeat } from "../host/persist";
import type { ViewName } from "../host/shell";
import { list, type Page } from "../host/things";
import { confirm } from "../parts/dialog";
import { download } from "../parts/download";
import { control, element } from "../parts/elements";
import { Notices } from "../parts/notice";
import { openShare } from "../parts/share";
import { adopt } from "../parts/style";
import { type Kind, Section } from "./section";
import { PANEL_STYLE } from "./style";
import { type Adapter, adapterRows, type Agent, agentRows, bareWordOf, type Dataset, datasetRows, type Job, jobRows, type Row, wordOf } from "./things";
import { csvOf, FILE, LINES, type Usage, usageRows } from "./usage";

/** It is added up of everything of a month, and changes little. */
const USAGE_EVERY_MS = 60_000;
const FIRST = 50;
/** A pause in typing after which the service is asked. */
const TYPING_MS = 250;
const DELETED = "Nobody can ask it any more: keys, programs and those it is shared with find nothing, and answers that are running end. This cannot be undone.";
const ACTIVE_STATES = "created,queued,training";

class Panel {
  private readonly over = new AbortController();
  private readonly notices = new Notices();
  private readonly find = control("input", { type: "search", "aria-label": "Find by name", placeholder: "Find by name", autocomplete: "off" });
  private readonly sections: Section[];
  /** Sections that are no longer looked after, because of an error that waiting does not mend. */
  private readonly ended = new Set<Section>();
  private typing: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly el: HTMLElement,
    private readonly host: Host,
  ) {
    this.sections = this.kinds().map((kind) => this.section(kind));
    const parts = element("div", { class: "parts" }, ...this.sections.map((section) => section.element));
    const find = element("div", { class: "find" }, this.find);
    this.el.replaceChildren(element("section", { class: "ady ady-panel", "aria-label": "Overview" }, find, this.notices.element, parts));
    adopt(this.el, PANEL_STYLE);
    this.find.addEventListener("input", () => this.search());
    void this.begin();
  }

  close(): void {
    this.over.abort();
    clearTimeout(this.typing);
    this.el.replaceChildren();
  }

  private async begin(): Promise<void> {
    try {
      await this.host.call("view.here", { title: "Overview", start: {} });
      this.sections.forEach((section) => void this.follow(section));
      const { scopes } = (await this.ask("whoami")) as { scopes: string[] };
      this.sections.forEach((section) => section.allow(scopes.includes("write")));
    } catch (error) {
      this.tell(error, null);
    }
  }

  private search(): void {
    clearTimeout(this.typing);
    const search = (): void => this.sections.forEach((section) => section.search(this.find.value.trim()));
    this.typing = setTimeout(search, TYPING_MS);
  }

  private ask(verb: string): Promise<Json> {
    return persist(() => this.host.call(verb), this.over.signal, this.notices.trouble);
  }

  private async follow(section: Section): Promise<void> {
    try {
      await repeat(() => section.look(), section.everyMs, this.over.signal, this.notices.trouble);
    } catch (error) {
      this.ended.add(section);
      this.tell(error, () => this.followAll());
    }
  }

  private followAll(): void {
    const again = [...this.ended];
    this.ended.clear();
    again.forEach((section) => void this.follow(section));
  }

  private tell(error: unknown, retry: (() => void) | null): void {
    if (!this.over.signal.aborted) this.notices.problem(error, retry);
  }

  private section(kind: Kind): Section {
    const section: Section = new Section(
      kind,
      {
        open: (row) => row.opens && this.open(row.opens.view, row.opens.start),
        key: (row) => this.open("keys", { adapter: row.asked }),
        share: (row) => row.shares && openShare(this.el.querySelector<HTMLElement>(".ady")!, this.host, row.shares, this.over.signal),
        remove: (row) => void this.remove(row, section),
      },
      () => section.look().catch((error: unknown) => {
        if (!isPassing(error)) this.tell(error, null); // else it is looked again soon
      }),
    );
    return section;
  }

  /** Delete an adapter, of who is sure. */
  private async remove({ id, title }: Row, section: Section): Promise<void> {
    if (!(await confirm(this.el.querySelector<HTMLElement>(".ady")!, `Delete ${title}?`, DELETED, "Delete it"))) return;
    try {
      await this.host.call("adapters.remove", { adapter: id });
    } catch (error) {
      if (!isMissing(error)) return this.tell(error, null); // else it is gone already
    }
    await section.look().catch(() => undefined); // it is looked again soon
  }

  private open(view: ViewName, start: { [name: string]: Json }): void {
    this.host.call("view.open", { view, start }).catch((error: unknown) => this.tell(error, () => this.open(view, start)));
  }

  private kinds(): Kind[] {
    return [
      {
        title: "Datasets",
        one: "dataset",
        many: "datasets",
        load: async (wanted, typed) => this.guide(await this.load<Dataset>("datasets.list", { order: "-changed", ...sought(typed) }, wanted, datasetRows), typed),
        empty: "No dataset yet. Make one and put your examples into it: everything begins there.",
        action: { words: "New dataset", act: () => this.open("curate", { new: true }) },
      },
      {
        title: "Jobs",
        one: "job",
        many: "jobs",
        load: (wanted, typed) => this.loadJobs(wanted, bareWordOf(typed)),
        empty: "No job yet. Publish a dataset, then train an adapter with it.",
        action: { words: "Train", act: () => this.open("train", {}) },
        all: {
          words: (typed) => (typed ? `Find “${typed}” in all jobs` : "All jobs"),
          act: (typed) => this.open("jobs", typed ? { search: typed } : {}),
        },
      },
      {
        title: "Adapters",
        one: "adapter",
        many: "adapters",
        load: (wanted, typed) => this.load<Adapter>("adapters.list", sought(typed), wanted, adapterRows),
        empty: "No adapter yet. Each job that completes makes one, which you can chat with here.",
        action: { words: "Keys", act: () => this.open("keys", {}) },
      },
      {
        title: "Usage",
        one: "line",
        many: "lines of usage",
        counts: "request",
        everyMs: USAGE_EVERY_MS,
        load: (wanted) => this.load<Usage>("usage.list", { by: LINES }, wanted, usageRows),
        empty: "Nothing was asked in the last 30 days.",
        all: { words: () => "Download 30 days as CSV", act: () => void this.downloadUsage() },
      },
      {
        title: "Agents",
        one: "agent",
        many: "agents",
        load: (wanted) => this.load<Agent>("agents.list", {}, wanted, agentRows),
        empty: "No machine has joined yet, so nothing can be trained or asked. Whoever runs this Hub can add one.",
      },
    ];
  }

  /** Every day of the last 30, for a spreadsheet. */
  private async downloadUsage(): Promise<void> {
    try {
      const { items } = await list<Usage>(this.host, "usage.list", { by: FILE });
      download("usage.csv", csvOf(items), "text/csv");
    } catch (error) {
      this.tell(error, () => void this.downloadUsage());
    }
  }

  /** The main thing to do is to make the first dataset, and then to train. */
  private guide(datasets: Page<Row>, typed: string): Page<Row> {
    const [first, second] = this.sections;
    if (typed) return datasets; // what is found does not say what there is
    first!.stress(datasets.items.length === 0);
    second!.stress(datasets.items.length > 0);
    return datasets;
  }

  /** Those under way, however old they are, the newest, and those that are looked for. */
  private async loadJobs(wanted: number, search: string): Promise<Page<Row>> {
    const [active, newest, found] = await Promise.all([
      list<Job>(this.host, "jobs.list", { state: ACTIVE_STATES }, FIRST),
      list<Job>(this.host, "jobs.list", {}, search ? FIRST : wanted),
      search ? list<Job>(this.host, "jobs.list", { search }, wanted) : null,
    ]);
    const jobs = [...newest.items, ...(found?.items ?? []), ...active.items];
    const each = new Map(jobs.map((job) => [job.id, job]));
    return { items: jobRows([...each.values()]), has_more: (found ?? newest).has_more };
  }

  private async load<T extends { id: string }>(verb: string, args: Args, wanted: number, rows: (items: T[]) => Row[]): Promise<Page<Row>> {
    const { items, has_more } = await list<T>(this.host, verb, args, wanted);
    // What is changed between two pages may be on both.
    return { items: rows([...new Map(items.map((item) => [item.id, item])).values()]), has_more };
  }
}

function sought(typed: string): Args {
  const search = wordOf(typed);
  return search ? { search } : {};
}

export const mount: Mount = (el, host) => {
  const panel = new Panel(el, host);
  return () => panel.close();
};

export default widget(mount);
