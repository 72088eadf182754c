// A view in the output of a notebook's cell. The kernel answers it; where the page is one of a Jupyter
// server that forwards to the service, that server takes the uploads, and everything while the kernel
// is gone.

import { type Args, type Host, HostError, isPassing, type Json, type Mount, SILENCE_MS } from "./host";
import { HttpHost } from "./http-host";
import { KernelHost, type WidgetModel } from "./kernel-host";
import { type Place, ShellHost, type ViewName } from "./shell";
import { isOfFile } from "./verbs";
import { control, element } from "../parts/elements";
import { mayLeave } from "../parts/leaving";
import { adopt } from "../parts/style";

/** Where the Jupyter server of this page forwards to the service; null if there is none. */
function forwarder(): string | null {
  const config = document.getElementById("jupyter-config-data")?.textContent;
  if (!config) return null;
  const { baseUrl } = JSON.parse(config) as { baseUrl?: string };
  return baseUrl ? `${baseUrl}adaptery/` : null;
}

function isKernelGone(error: unknown): boolean {
  return error instanceof HostError && error.code === "kernel_gone";
}

async function fromSource(source: string): Promise<Mount> {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  try {
    return ((await import(url)) as { mount: Mount }).mount;
  } finally {
    URL.revokeObjectURL(url);
  }
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
    if (isOfFile(verb)) return yield* this.carrier().stream(verb, args, signal);
    try {
      yield* this.kernel.stream(verb, args, signal);
    } catch (error) {
      yield* this.instead(error).stream(verb, args, signal);
    }
  }

  /** The source of a view: the kernel has the one that fits it. */
  async module(view: ViewName): Promise<string> {
    try {
      return String(await this.kernel.call("view.module", { view }));
    } catch (error) {
      const path = `views/${view}.js`;
      const answer = await this.instead(error).fetch({ method: "GET", path }, AbortSignal.timeout(SILENCE_MS.call));
      return answer.text();
    }
  }

  /** Who answers in the kernel's place, if it is the kernel that failed. */
  private instead(error: unknown): HttpHost {
    if (this.http && isKernelGone(error)) return this.http;
    throw error;
  }

  private carrier(): Host {
    if (this.http) return this.http;
    throw new HostError(
      "not_offered",
      "Files cannot be sent or fetched from here.",
      "In Python: adaptery.connect().datasets.get(\"name\").upload(\"file\").",
    );
  }
}

/** The views that are shown in one cell: the first one, and whatever it opens, with a way back. */
class Cell implements Place {
  private readonly inner: NotebookHost;
  private readonly host: ShellHost;
  private readonly shown: { view: Mount; start: Json }[] = [];
  private unmount: () => void = () => undefined;
  /** Counts what was asked to be shown, so that a module that comes late is not. */
  private turn = 0;
  private readonly bar = element("div", { class: "ady ady-back", hidden: true });
  private readonly body = control("div", { class: "ady-cell", tabindex: "-1" });

  constructor(
    private readonly el: HTMLElement,
    private readonly kernel: Host,
    first: Mount,
  ) {
    this.inner = new NotebookHost(kernel);
    this.host = new ShellHost(this.inner, this);
    const back = control("button", { type: "button", class: "small" }, "← Back");
    back.addEventListener("click", () => void this.back());
    this.bar.append(back);
    // In a cell Lab cancels what Enter does to a field, a new line or a form that is sent, and undo in it.
    // Source: jupyterlab 4, JupyterLab.evtKeydown; it listens to this event at the field itself.
    this.body.addEventListener("beforeinput", (event) => event.stopPropagation(), { capture: true });
    this.el.replaceChildren(this.bar, this.body);
    adopt(this.bar);
    this.show(first, null);
  }

  close(): void {
    this.turn++;
    this.unmount();
    this.el.replaceChildren();
  }

  /** What a view was opened with; the first one asks the kernel, which knows what the cell said. */
  start(): Json | Promise<Json> {
    const { start } = this.shown.at(-1)!;
    if (start !== null) return start;
    return this.kernel.call("view.start").catch((error: unknown) => {
      if (isPassing(error) || isKernelGone(error)) return {};
      throw error;
    });
  }

  here(_title: string, start: Json): void {
    this.shown.at(-1)!.start = start;
  }

  async open(view: ViewName, start: Json): Promise<void> {
    const turn = ++this.turn;
    const mount = await fromSource(await this.inner.module(view));
    if (turn === this.turn && (await mayLeave(this.body))) this.show(mount, start);
  }

  private async back(): Promise<void> {
    if (!(await mayLeave(this.body))) return;
    this.shown.pop();
    const before = this.shown.pop();
    if (before) this.show(before.view, before.start);
  }

  private show(view: Mount, start: Json): void {
    this.turn++;
    const focused = this.el.contains(document.activeElement);
    this.unmount();
    this.shown.push({ view, start });
    this.bar.hidden = this.shown.length < 2;
    this.unmount = view(this.body, this.host);
    // What had the focus is gone; whoever goes by keys goes on from where the view begins.
    if (focused && !this.el.contains(document.activeElement)) this.body.focus();
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
