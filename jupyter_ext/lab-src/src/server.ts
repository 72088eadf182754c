// The Jupyter server of this page, as far as it knows Adaptery: it has the views, and forwards to the
// service.

import { ServerConnection } from "@jupyterlab/services";
import { PromiseDelegate } from "@lumino/coreutils";
import type { Host, Hosts, Place, View } from "./contract";

/** Something that the reader can mend; the message says how. */
export class ServerError extends Error {}

/** Nobody answered: it mends itself when the server is back. */
export class AwayError extends ServerError {
  constructor() {
    super(AWAY);
  }
}

const NO_SERVICE =
  "This Jupyter server does not know an Adaptery service. On a JupyterHub, ask whoever runs it to add Adaptery. " +
  "Elsewhere, set ADAPTERY_URL (the address of the service) and JUPYTERHUB_API_TOKEN (a token for it) and start Jupyter again.";
const NO_EXTENSION =
  "The server part of Adaptery is not enabled here. Run “jupyter server extension enable adaptery_jupyter” and start Jupyter again.";
const AWAY = "The Jupyter server does not answer. This view comes when it is back.";
const LOGGED_OUT = "You are logged out. Load this page again to log in.";

export class AdapteryServer {
  /** What the hosts ask is below this. */
  readonly base: string;
  private readonly modules = new Map<string, Promise<unknown>>();
  private readonly known = new PromiseDelegate<void>();
  private isKnown = false;

  constructor(private readonly settings: ServerConnection.ISettings) {
    this.base = `${settings.baseUrl}adaptery/`;
  }

  /** Resolved as soon as a service is known to be behind this server. */
  get ready(): Promise<void> {
    return this.known.promise;
  }

  /** Throws a ServerError unless there is a service behind this server. */
  private async check(): Promise<void> {
    if (this.isKnown) return;
    const answer = await this.ask("about");
    const about = (await answer.json()) as { service: boolean };
    if (!about.service) throw new ServerError(NO_SERVICE);
    this.isKnown = true;
    this.known.resolve();
  }

  hosts(): Promise<Hosts> {
    return this.module("hosts") as Promise<Hosts>;
  }

  /** Who answers views, with `place` around them. */
  async host(place: Place): Promise<Host> {
    const { HttpHost, ShellHost } = await this.hosts();
    return new ShellHost(new HttpHost(this.base), place);
  }

  async view(name: string): Promise<View> {
    await this.check();
    return (await this.module(name)) as View;
  }

  /** The content of a file of this server; the browser keeps a large one on disk. */
  async file(url: string): Promise<Blob> {
    return (await this.request(url)).blob();
  }

  private module(name: string): Promise<unknown> {
    let module = this.modules.get(name);
    if (!module) {
      module = this.load(name);
      this.modules.set(name, module);
      module.catch(() => this.modules.delete(name)); // whoever asks next tries again
    }
    return module;
  }

  /**
   * Fetched and then imported as text: JupyterHub refuses the browser's own request for a module,
   * which cannot carry the XSRF token.
   */
  private async load(name: string): Promise<unknown> {
    const answer = await this.ask(`views/${encodeURIComponent(name)}.js`);
    const source = new Blob([await answer.text()], { type: "text/javascript" });
    const url = URL.createObjectURL(source);
    try {
      return await import(/* webpackIgnore: true */ url);
    } finally {
      URL.revokeObjectURL(url);
    }
  }

  private async ask(path: string): Promise<Response> {
    return this.request(this.base + path);
  }

  private async request(url: string): Promise<Response> {
    let answer: Response;
    try {
      // The browser asks whether what it has is still current.
      answer = await ServerConnection.makeRequest(url, { cache: "no-cache" }, this.settings);
    } catch {
      throw new AwayError();
    }
    if (!answer.ok) throw await refusalOf(answer);
    return answer;
  }
}

async function refusalOf(answer: Response): Promise<ServerError> {
  const body = (await answer.json().catch(() => null)) as { detail?: string; hint?: string } | null;
  if (body?.detail) return new ServerError([body.detail, body.hint].filter(Boolean).join(" "));
  if (answer.status === 401 || answer.status === 403) return new ServerError(LOGGED_OUT);
  return answer.status === 404 ? new ServerError(NO_EXTENSION) : new AwayError();
}
