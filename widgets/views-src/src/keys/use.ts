// How to use a key: a snippet for each kind of program, to copy.

import { serviceAddress } from "../host/place";
import { copyButton } from "../parts/copy";
import { element } from "../parts/elements";
import { Tabs } from "../parts/tabs";
import { type Key, modelsOf } from "./key";
import { type Snippet, snippetsOf } from "./snippets";

/** Where the address of the service cannot be known. */
const ELSEWHERE = "https://hub.example.edu";
const SEALED = "It asks a restricted adapter: SealingClient encrypts the prompt to the machine that answers. Any other client would show it to the service, which refuses it only then.";

export class Use {
  readonly element = element("div", { class: "use" });
  private readonly codes = new Map<string, HTMLElement>();
  private secret: string | null = null;
  private sealed = true;

  /** `url` is what the service says of its address; `sealed` whether an adapter of the key is restricted. */
  constructor(
    private readonly key: Key,
    private readonly url: string,
    sealed: Promise<boolean>,
  ) {
    this.element.append(element("h4", {}, "Use it in a program"), element("p", { class: "soft", role: "status" }, "Looking …"));
    void sealed.then((is) => this.draw(is));
  }

  private get infers(): boolean {
    return this.key.verbs.includes("infer");
  }

  private draw(sealed: boolean): void {
    this.sealed = sealed;
    const tabs = new Tabs("Programs", this.snippets().map((snippet) => this.tab(snippet)));
    const why = sealed && this.infers ? [element("p", {}, SEALED)] : [];
    const said = serviceAddress(this.url) === null ? [element("p", { class: "soft" }, `Put the address of your Hub in the place of ${ELSEWHERE}.`)] : [];
    this.element.replaceChildren(element("h4", {}, "Use it in a program"), ...why, tabs.element, ...said);
    tabs.show(this.snippets()[0]!.name);
  }

  /** Fill the secret in; null takes it out again. */
  show(secret: string | null): void {
    this.secret = secret;
    for (const { name, text } of this.snippets()) this.codes.get(name)?.replaceChildren(text);
  }

  private snippets(): Snippet[] {
    const service = serviceAddress(this.url) ?? new URL(this.url, ELSEWHERE).href;
    return snippetsOf({ service, models: modelsOf(this.key), infers: this.infers, sealed: this.sealed, secret: this.secret });
  }

  private tab({ name, title, text }: Snippet): { name: string; title: string; panel: HTMLElement } {
    const code = element("code", {}, text);
    this.codes.set(name, code);
    const copy = copyButton("Copy", `Copy the lines for ${title}`, () => code.textContent ?? "");
    return { name, title, panel: element("div", {}, element("pre", {}, code), copy) };
  }
}
