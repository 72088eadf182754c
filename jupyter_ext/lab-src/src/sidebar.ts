// The panel beside the main area. Where there are no tabs (Jupyter Notebook), the views that it opens
// are shown in its place, one above the other, with a way back.

import { Panel, Widget } from "@lumino/widgets";
import type { Start } from "./contract";
import { icon } from "./icon";
import type { AdapteryServer } from "./server";
import { type Open, ViewWidget } from "./view-widget";

export const SIDEBAR_ID = "adaptery-sidebar";

export class Sidebar extends Panel {
  private readonly bar = new Widget();
  private readonly views = new Panel();

  constructor(
    private readonly server: AdapteryServer,
    /** Who opens a view; the sidebar itself if null. */
    private readonly opener: Open | null,
  ) {
    super();
    this.id = SIDEBAR_ID;
    this.title.icon = icon;
    this.title.caption = "Adaptery";
    this.node.setAttribute("role", "region");
    this.node.setAttribute("aria-label", "Adaptery");
    this.fill();
    this.open("panel", {});
  }

  /** Show a view in here, above what is shown now. */
  open(view: string, start: Start): void {
    for (const widget of this.views.widgets) widget.hide();
    const shown = new ViewWidget(this.server, view, start, this.opener ?? ((other, at) => this.open(other, at)));
    shown.node.style.height = "100%";
    shown.disposed.connect(() => this.uncover());
    this.views.addWidget(shown);
    this.bar.setHidden(this.views.widgets.length < 2);
  }

  private back(): void {
    this.views.widgets.at(-1)?.close();
  }

  /** Show what was below the view that is gone. */
  private uncover(): void {
    const left = this.views.widgets.filter((widget) => !widget.isDisposed);
    left.at(-1)?.show();
    this.bar.setHidden(left.length < 2);
  }

  private fill(): void {
    const button = document.createElement("button");
    button.className = "jp-mod-styled jp-mod-reject";
    button.textContent = "← Back";
    button.addEventListener("click", () => this.back());
    this.bar.node.append(button);
    this.bar.node.style.padding = "4px 12px";
    this.addWidget(this.bar);
    this.node.style.display = "flex";
    this.node.style.flexDirection = "column";
    this.views.node.style.flex = "1 1 0";
    this.views.node.style.minHeight = "0";
    this.addWidget(this.views);
  }
}
