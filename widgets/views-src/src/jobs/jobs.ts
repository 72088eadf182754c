// The Jobs view: the dashboard of all jobs, or some of them side by side.

import type { Host, Json, Mount } from "../host/host";
import { widget } from "../host/notebook";
import { persist } from "../host/persist";
import { ask } from "../host/things";
import { element } from "../parts/elements";
import { STATISTICS_STYLE } from "../parts/job-statistics";
import { MENU_STYLE } from "../parts/menu";
import { Notices } from "../parts/notice";
import { adopt } from "../parts/style";
import { Comparison } from "./comparison";
import { Dashboard } from "./dashboard";
import { JOBS_STYLE } from "./style";

interface Start {
  search?: string;
  /** Ids, with commas between them. */
  compare?: string;
}

class Jobs {
  private readonly ending = new AbortController();
  private readonly notices = new Notices();
  private readonly shown = element("div", { class: "shown" });
  private readonly root = element("section", { class: "ady ady-jobs", "aria-label": "Jobs" }, this.notices.element, this.shown);
  private page: Dashboard | Comparison | null = null;
  private search = "";

  constructor(
    private readonly el: HTMLElement,
    private readonly host: Host,
  ) {
    this.el.replaceChildren(this.root);
    adopt(this.root, MENU_STYLE, STATISTICS_STYLE, JOBS_STYLE);
    void this.begin();
  }

  close(): void {
    this.page?.close();
    this.ending.abort();
    this.el.replaceChildren();
  }

  private async begin(): Promise<void> {
    try {
      const start = await persist(() => ask<Start | null>(this.host, "view.start"), this.ending.signal, this.notices.trouble);
      this.search = typeof start?.search === "string" ? start.search : "";
      this.show(start?.compare?.split(",") ?? []);
    } catch (error) {
      this.problem(error, () => void this.begin());
    }
  }

  /** Two jobs and more are compared; one is chosen to be. */
  private show(compared: readonly string[]): void {
    this.page?.close();
    const place = { host: this.host, notices: this.notices, signal: this.ending.signal, root: this.root };
    const page =
      compared.length > 1
        ? new Comparison(place, compared, { back: () => this.show([]), only: (jobs) => this.show(jobs), watch: (job) => this.open("watch", { job }) })
        : new Dashboard(place, this.search, {
            searched: (words) => {
              this.search = words;
              this.tellHere([]);
            },
            compare: (jobs) => this.show(jobs),
          });
    this.page = page;
    this.shown.replaceChildren(page.element);
    this.tellHere(compared);
    page.start(compared).catch((error: unknown) => {
      if (this.page === page) this.problem(error, () => this.show(compared));
    });
  }

  private open(view: "watch", start: Json): void {
    this.host.call("view.open", { view, start }).catch((error: unknown) => this.problem(error));
  }

  private tellHere(compared: readonly string[]): void {
    const start = { ...(this.search ? { search: this.search } : {}), ...(compared.length > 1 ? { compare: compared.join(",") } : {}) };
    void this.host.call("view.here", { title: compared.length > 1 ? "Compare jobs" : "Jobs", start }).catch(() => undefined);
  }

  private problem(error: unknown, retry: (() => void) | null = null): void {
    if (!this.ending.signal.aborted) this.notices.problem(error, retry);
  }
}

export const mount: Mount = (el, host) => {
  const jobs = new Jobs(el, host);
  return () => jobs.close();
};

export default widget(mount);
