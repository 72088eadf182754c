// Views as tabs of Lab's main area. A tab remembers what it shows, and comes back with it after a
// reload; what is open already is shown again instead of twice.

import type { ILayoutRestorer, JupyterFrontEnd } from "@jupyterlab/application";
import { WidgetTracker } from "@jupyterlab/apputils";
import { JSONExt, UUID } from "@lumino/coreutils";
import type { Start } from "./contract";
import type { AdapteryServer } from "./server";
import { type Open, ViewWidget } from "./view-widget";

/** What a start says of the part that is shown. */
const PARTS = ["tab", "queue", "version", "operation"];

export class Tabs {
  private readonly tracker = new WidgetTracker<ViewWidget>({ namespace: "adaptery" });

  constructor(
    private readonly app: JupyterFrontEnd,
    private readonly server: AdapteryServer,
    private readonly opener: Open,
  ) {}

  /** Bring the tabs back after a reload; `command` opens one. */
  restoreBy(restorer: ILayoutRestorer, command: string): void {
    void restorer.restore(this.tracker, {
      command,
      args: (tab) => ({ view: tab.view, start: tab.start(), id: tab.id }),
      name: (tab) => tab.id,
    });
  }

  /** Show a view; `id` is that of a tab before a reload. */
  open(view: string, start: Start, id?: string): ViewWidget {
    const tab = this.tracker.find((one) => one.view === view && isSame(view, one.start(), start));
    if (tab && id === undefined) {
      this.app.shell.activateById(tab.id);
      return tab;
    }
    return this.add(view, start, id);
  }

  private add(view: string, start: Start, id: string | undefined): ViewWidget {
    const tab = new ViewWidget(this.server, view, start, this.opener, () => void this.tracker.save(tab));
    tab.id = id ?? `adaptery-${UUID.uuid4()}`;
    tab.title.closable = true;
    void this.tracker.add(tab);
    // After a reload it is Lab that knows which tab was in front.
    this.app.shell.add(tab, "main", { activate: id === undefined });
    return tab;
  }
}

/** Whether a tab shows what is wanted; which part of a dataset it shows now is its reader's business. */
function isSame(view: string, shown: Start, wanted: Start): boolean {
  const parts = view === "curate" ? PARTS.filter((part) => !(part in wanted)) : [];
  const rest = Object.fromEntries(Object.entries(shown).filter(([name]) => !parts.includes(name)));
  return JSONExt.deepEqual(rest as never, wanted as never);
}
