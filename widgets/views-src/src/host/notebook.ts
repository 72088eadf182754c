// A view in the output of a notebook's cell. The kernel answers it; where the page is one of a Jupyter
// server that forwards to the service, that server takes the uploads, and everything while the kernel
// is gone.

import { type Args, type Host, HostError, isPassing, type Json, type Mount } from "./host";
import { HttpHost } from "./http-host";
import { KernelHost, type WidgetModel } from "./kernel-host";
import { type Place, ShellHost, type ViewName } from "./shell";
import { control, element } from "../parts/elements";

/** Where the Jupyter server of this page forwards to the service; null if there is none. */
function forwarder(): string | null {
  const config = document.getElementById("jupyter-config-data")?.textContent;
  if (!config) return null;
  const { baseUrl } = JSON.parse(config) as { baseUrl?: string };
  return baseUrl ? `${baseUrl}adaptery/` : null;
}

class NotebookHost implements Host {
  private readonly http: HttpHost | null;

  constructor(private readonly kernel: Host) {
    const base = forwarder();
    this.http = base === null ? null : new HttpHost(base);
  }

  async call(verb: string, args: Args = {}): Promise<Json> {
    try {
      return await this.kernel.call(verb, args);
    } catch (error) {
      return this.instead(error).call(verb, args);
    }
  }

  async *stream(verb: string, args: Args, signal: AbortSignal): AsyncGenerator<Json, void> {
    if (verb === "files.put") return yield* this.uploader().stream(verb, args, signal);
    try {
      yield* this.kernel.stream(verb, args, signal);
    } catch (error) {
      yield* this.instead(error).stream(verb, args, signal);
    }
  }

  /** Who answers in the kernel's place, if it is the kernel that failed. */
  private instead(error: unknown): Host {
    if (this.http && error instanceof HostError && error.code === "kernel_gone") return this.http;
    throw error;
  }

  private uploader(): Host {
    if (this.http) return this.http;
    throw new HostError(
      "not_offered",
      "Files cannot be uploaded from here.",
      "In Python: adaptery.connect().datasets.get(\"name\").upload(\"file\").",
    );
  }
}

/** The views that are shown in one cell: the first one, and whatever it opens, with a way back. */
class Cell implements Place {
  private readonly host: ShellHost;
  private readonly shown: { view: Mount; start: Json }[] = [];
  private unmount: () => void = () => undefined;
  private readonly bar = element("div", { class: "ady-back", hidden: true });
  private readonly body = element("div");

  constructor(
    private readonly el: HTMLElement,
    private readonly kernel: Host,
    first: Mount,
  ) {
    this.host = new ShellHost(new NotebookHost(kernel), this);
    const back = control("button", { type: "button" }, "← Back");
    back.addEventListener("click", () => this.back());
    this.bar.append(back);
    this.el.replaceChildren(this.bar, this.body);
    this.show(first, null);
  }

  close(): void {
    this.unmount();
    this.el.replaceChildren();
  }

  /** What a view was opened with; the first one asks the kernel, which knows what the cell said. */
  start(): Json | Promise<Json> {
    const { start } = this.shown.at(-1)!;
    if (start !== null) return start;
    return this.kernel.call("view.start").catch((error: unknown) => {
      if (isPassing(error) || (error instanceof HostError && error.code === "kernel_gone")) return {};
      throw error;
    });
  }

  here(_title: string, start: Json): void {
    this.shown.at(-1)!.start = start;
  }

  async open(view: ViewName, start: Json): Promise<void> {
    const source = String(await this.kernel.call("view.module", { view }));
    const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    try {
      const module = (await import(url)) as { mount: Mount };
      this.show(module.mount, start);
    } finally {
      URL.revokeObjectURL(url);
    }
  }

  private back(): void {
    this.shown.pop();
    const before = this.shown.pop();
    if (before) this.show(before.view, before.start);
  }

  private show(view: Mount, start: Json): void {
    this.unmount();
    this.shown.push({ view, start });
    this.bar.hidden = this.shown.length < 2;
    this.unmount = view(this.body, this.host);
  }
}

/** Make an anywidget front end out of a view. */
export function widget(mount: Mount): {
  render(context: { model: WidgetModel; el: HTMLElement }): () => void;
} {
  return {
    render({ model, el }) {
      const kernel = new KernelHost(model);
      const cell = new Cell(el, kernel, mount);
      return () => {
        cell.close();
        kernel.close();
      };
    },
  };
}
