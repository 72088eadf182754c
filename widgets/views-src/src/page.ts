// The service's own page: shows the views one at a time, as its address says. Each is a module of this
// origin, loaded when it is first shown; the policy of the page allows no other script.

import { type Host, HostError, type Json, type Mount } from "./host/host";
import { HttpHost } from "./host/http-host";
import { ShellHost, type ViewName } from "./host/shell";
import { type Address, addressOf, hashOf } from "./page/address";
import { Session } from "./page/session";
import { element } from "./parts/elements";
import { mayLeave } from "./parts/leaving";
import { Notices } from "./parts/notice";
import { adopt } from "./parts/style";

const TITLE = "Adaptery";
const NOTHING = "There is no such page. The address is mistyped, cut, or of another release.";
/** The entry of the navigation that a view without one belongs to. */
const PARENTS: Partial<Record<ViewName, ViewName>> = { watch: "jobs" };

class Page {
  private readonly main = document.querySelector("main")!;
  private readonly host: Host;
  private unmount: () => void = () => undefined;
  /** Counts what was asked to be shown, so that a module that comes late is not. */
  private turn = 0;
  /** The address of what is shown. */
  private shown = "";

  constructor(
    private readonly base: string,
    private readonly user: string,
  ) {
    this.host = new Session(new HttpHost(base));
    adopt(this.main);
    document.querySelector(".skip")!.addEventListener("click", (event) => {
      event.preventDefault(); // "#main" would be an address
      this.main.focus();
    });
    addEventListener("hashchange", () => void this.follow());
    document.addEventListener("visibilitychange", () => void this.checkUser());
    addEventListener("focus", () => void this.checkUser());
    void this.showAt(addressOf(location.hash), false);
  }

  private async follow(): Promise<void> {
    const address = addressOf(location.hash);
    if (await mayLeave(this.main)) await this.showAt(address, true);
    else history.replaceState(null, "", this.shown);
  }

  private async showAt(address: Address | null, moved: boolean): Promise<void> {
    if (address) return this.show(address, moved);
    this.turn++;
    this.shown = location.hash;
    this.mark(null);
    this.put(element("div", { class: "empty" }, element("p", { role: "status" }, NOTHING), element("a", { href: "#panel" }, "To the overview")));
    if (moved) this.arrive();
  }

  private async show(address: Address, moved: boolean, attempt = 0): Promise<void> {
    const turn = ++this.turn;
    this.shown = hashOf(address.view, address.start);
    this.mark(address.view);
    try {
      const module = await this.load(address.view, attempt);
      if (turn === this.turn) this.replace(address, turn, module.mount);
    } catch (error) {
      if (turn === this.turn) this.fail(error, () => void this.show(address, moved, attempt + 1));
    }
    if (turn === this.turn && moved) this.arrive();
  }

  /** Whoever came by a link of the page goes on from where the view begins. */
  private arrive(): void {
    scrollTo(0, 0);
    if (!this.main.contains(document.activeElement)) this.main.focus();
  }

  /** A browser may remember that a module failed to load, by its address. */
  private async load(view: ViewName, attempt: number): Promise<{ mount: Mount }> {
    const address = `${this.base}views/${view}.js${attempt > 0 ? `?attempt=${attempt}` : ""}`;
    try {
      return (await import(address)) as { mount: Mount };
    } catch {
      throw new HostError("unavailable", "This part of the page could not be loaded.", "Try again in a moment.");
    }
  }

  private replace(address: Address, turn: number, mount: Mount): void {
    this.unmount();
    const slot = element("div", { class: "slot" });
    this.main.replaceChildren(slot);
    const host = new ShellHost(this.host, {
      start: () => this.startOf(address),
      here: (title, start) => {
        if (turn !== this.turn) return;
        address.start = addressOf(hashOf(address.view, start))!.start;
        this.shown = hashOf(address.view, start);
        history.replaceState(null, "", this.shown);
        document.title = title ? `${title} · ${TITLE}` : TITLE;
      },
      open: (view, start) => this.open(view, start),
    });
    this.unmount = mount(slot, host);
  }

  /** What needs sealing cannot be used from here, but in Lab. */
  private startOf({ view, start }: Address): Json {
    const lab = document.querySelector(".who a")?.getAttribute("href") ?? "";
    return view === "chat" ? { ...start, sealed: false, lab } : { ...start };
  }

  private open(view: ViewName, start: Json): void {
    const hash = hashOf(view, start);
    if (hash === location.hash) void this.follow();
    else location.hash = hash;
  }

  private mark(view: ViewName | null): void {
    const entry = view && `#${PARENTS[view] ?? view}`;
    let title = TITLE;
    for (const link of document.querySelectorAll("nav a")) {
      const here = link.getAttribute("href") === entry;
      if (here) title = `${link.textContent} · ${TITLE}`;
      if (here) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.title = title;
  }

  private fail(error: unknown, retry: () => void): void {
    const notices = new Notices();
    this.put(notices.element);
    notices.problem(error, retry);
  }

  /** Show something in the place of a view. */
  private put(words: HTMLElement): void {
    this.unmount();
    this.unmount = () => undefined;
    this.main.replaceChildren(element("div", { class: "ady" }, words));
  }

  /** Another login in this browser is another user's page. */
  private async checkUser(): Promise<void> {
    if (document.hidden) return;
    const user = await this.host.call("whoami").catch(() => null);
    if (user !== null && (user as { id?: string }).id !== this.user) location.reload();
  }
}

const { base = "/", user = "" } = document.body.dataset;
new Page(base, user);
