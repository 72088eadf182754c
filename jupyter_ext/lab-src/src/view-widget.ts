// A view in a widget of Lab. It stays honest when there is nothing to show: it says why, and how to
// mend it.

import { Dialog, showDialog } from "@jupyterlab/apputils";
import type { Message } from "@lumino/messaging";
import { Widget } from "@lumino/widgets";
import type { Json, Place, Start } from "./contract";
import { iconOf } from "./icon";
import { type AdapteryServer, AwayError, ServerError } from "./server";

/** What a tab is called until its view says what it shows. */
const TITLES: Readonly<Record<string, string>> = {
  panel: "Adaptery",
  curate: "Curate datasets",
  train: "Train an adapter",
  jobs: "Jobs",
  watch: "Watch a job",
  chat: "Chat",
  keys: "Keys",
};

/** How soon a view that nobody answered is asked for again. */
const AGAIN_MS = 5_000;

export type Open = (view: string, start: Start) => unknown;

export class ViewWidget extends Widget implements Place {
  private unmount: () => void = () => undefined;
  private waiting: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly server: AdapteryServer,
    readonly view: string,
    private shown: Start,
    private readonly opener: Open,
    private readonly moved: () => void = () => undefined,
  ) {
    super();
    this.addClass("adaptery-view");
    this.node.tabIndex = -1;
    this.node.style.overflow = "auto";
    this.node.style.background = "var(--jp-layout-color1)"; // as the views, which may be shorter
    this.node.style.outline = "none"; // it takes the focus only to hand it on
    this.title.icon = iconOf(view);
    this.title.label = this.title.caption = TITLES[view] ?? view;
    void this.fill();
  }

  start(): Start {
    return this.shown;
  }

  here(title: string, start: Json): void {
    if (this.isDisposed) return;
    this.shown = (start ?? {}) as Start;
    if (title) this.title.label = this.title.caption = title;
    this.moved();
  }

  open(view: string, start: Json): void {
    this.opener(view, (start ?? {}) as Start);
  }

  override dispose(): void {
    if (this.isDisposed) return;
    clearTimeout(this.waiting);
    this.unmount();
    super.dispose();
  }

  protected override onCloseRequest(_message: Message): void {
    void this.mayLeave().then((may) => may && this.dispose());
  }

  protected override onActivateRequest(_message: Message): void {
    if (!this.node.contains(document.activeElement)) this.node.focus();
  }

  /** Whether nothing is lost when this goes, or the reader says so. Source: widgets/views-src/src/parts/leaving.ts. */
  private async mayLeave(): Promise<boolean> {
    const view = this.node.querySelector(".ady");
    if (!view || view.dispatchEvent(new Event("ady-leaving", { cancelable: true }))) return true;
    const title = `Close ${this.title.label}?`;
    const body = "Something here is not finished: an upload, a change that is not saved, or a secret that is not copied. It is lost when you close it.";
    const answer = await showDialog({ title, body, buttons: [Dialog.cancelButton({ label: "Stay" }), Dialog.warnButton({ label: "Close" })] });
    return answer.button.accept;
  }

  private async fill(): Promise<void> {
    clearTimeout(this.waiting);
    try {
      const [view, host] = await Promise.all([this.server.view(this.view), this.server.host(this)]);
      if (this.isDisposed) return;
      this.node.replaceChildren();
      this.unmount = view.mount(this.node, host);
    } catch (error) {
      if (!(error instanceof ServerError)) console.error(`Adaptery: the view ${this.view} failed`, error);
      if (this.isDisposed) return;
      this.explain(error);
      if (error instanceof AwayError) this.waiting = setTimeout(() => void this.fill(), AGAIN_MS);
    }
  }

  private explain(error: unknown): void {
    const said = error instanceof ServerError ? error.message : "This view could not be shown. Load this page again.";
    if (this.node.querySelector(".adaptery-nothing p")?.textContent === said) return; // said once is enough
    const words = document.createElement("p");
    words.textContent = said;
    const again = document.createElement("button");
    again.className = "jp-mod-styled jp-mod-reject";
    again.textContent = "Try again";
    again.addEventListener("click", () => void this.fill());
    const box = document.createElement("div");
    box.className = "adaptery-nothing";
    box.setAttribute("role", "status");
    box.style.padding = "12px";
    box.style.maxWidth = "44em";
    box.append(words, again);
    this.node.replaceChildren(box);
  }
}
