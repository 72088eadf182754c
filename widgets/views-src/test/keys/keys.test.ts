// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HostError } from "../../src/host/host";
import type { Key } from "../../src/keys/key";
import { mount } from "../../src/keys/keys";
import { eventually, page, ScriptedHost } from "../support/scripted-host";
import { key } from "./keys";

const SECRET = "ak-a1B2c3D4e5F6g7H8i9J0";
const FAR = "2099-03-31T12:00:00Z";

let keys: Key[];
let host: ScriptedHost;
let el: HTMLElement;
let unmount: () => void;
let copied: string[];

beforeEach(() => {
  keys = [];
  copied = [];
  Object.defineProperty(navigator, "clipboard", { configurable: true, value: { writeText: (text: string) => Promise.resolve(void copied.push(text)) } });
  document.body.dataset.base = "/services/adaptery/";
  host = new ScriptedHost({
    whoami: () => ({ scopes: ["read", "write", "infer"], url: "/services/adaptery/" }),
    "keys.list": () => page(...keys),
    "keys.create": ({ name }) => {
      const made = key({ id: `ak_${keys.length + 1}`, name: name as string, expires_at: FAR });
      keys.unshift(made);
      return { ...made, secret: SECRET };
    },
    "keys.rotate": () => ({ ...keys[0], secret: SECRET }),
    "keys.revoke": ({ key: id }) => {
      keys = keys.map((one) => (one.id === id ? { ...one, revoked_at: "2026-03-01T12:00:00Z" } : one));
      return null;
    },
    "adapters.get": ({ adapter }) => ({ id: adapter, sensitivity: adapter === "ad_2" ? "restricted" : "internal" }),
    "adapters.list": () => page({ id: "ad_1", full_name: "@demo/soap@1", sensitivity: "internal" }, { id: "ad_2", full_name: "@demo/secret@1", sensitivity: "restricted" }),
  });
});
afterEach(() => unmount());

async function shown(start: object = {}): Promise<void> {
  host.answer("view.start", () => start);
  el = document.createElement("div");
  document.body.replaceChildren(el);
  unmount = mount(el, host);
  await eventually(() => host.asks("keys.list").length > 0 && (rows().length > 0 || !el.textContent!.includes("Looking")));
}

function button(name: string): HTMLButtonElement {
  const found = [...el.querySelectorAll("button")].find((one) => !one.hidden && !one.closest("[hidden]") && [one.textContent, one.getAttribute("aria-label")].includes(name));
  if (!found) throw new Error(`no button says ${name}`);
  return found;
}

const dialog = (): HTMLDialogElement | null => el.querySelector("dialog");
const rows = (): HTMLElement[] => [...el.querySelectorAll<HTMLElement>("tbody tr")];
const buttonsOf = (row: HTMLElement): string[] => [...row.querySelectorAll("button")].filter(({ hidden }) => !hidden).map(({ textContent }) => textContent!);
const field = (label: string): HTMLInputElement => {
  const id = [...el.querySelectorAll("label")].find((one) => one.textContent === label)!.getAttribute("for")!;
  return el.querySelector<HTMLInputElement>(`[id="${id}"]`)!;
};
const errorAt = (label: string): string => field(label).closest(".field")!.querySelector<HTMLElement>(".error:not([hidden])")?.textContent ?? "";
const submit = (): boolean => el.querySelector("dialog form")!.dispatchEvent(new Event("submit", { cancelable: true }));

async function fill(): Promise<void> {
  button("New key").click();
  field("Name").value = "triage";
  field("Adapters").click();
  await eventually(() => el.querySelector('[role="option"]'));
  el.querySelector<HTMLElement>('[role="option"]')!.click();
}

describe("the list", () => {
  it("says what a key is for where there is none", async () => {
    await shown();
    expect(el.textContent).toContain("A program outside the Hub");
    expect(el.textContent).toContain("You have no key yet.");
    expect(button("New key")).toBeTruthy();
  });

  it("shows what each is, with those in force first, and offers nothing to do with one that ended", async () => {
    keys = [
      key({ id: "ak_3", name: "old", revoked_at: "2026-02-01T12:00:00Z", expires_at: FAR }),
      key({ id: "ak_2", name: "busy", expires_at: FAR, tokens_per_day: 10, tokens_today: 10 }),
      key({ id: "ak_1", name: "plain", expires_at: FAR }),
      key({ id: "ak_0", name: "late", expires_at: "2026-01-01T00:00:00Z" }),
    ];
    await shown();
    expect(rows().map((row) => row.querySelector("strong")!.textContent)).toEqual(["busy", "plain", "old", "late"]);
    expect(rows().map((row) => row.querySelector(".chip")!.textContent)).toEqual(["spent", "in force", "revoked", "expired"]);
    expect(rows().map(buttonsOf)).toEqual([["Use it", "Rotate", "Revoke"], ["Use it", "Rotate", "Revoke"], [], []]);
    expect(rows()[0]!.querySelector("progress")!.value).toBe(1);
    expect(rows()[1]!.textContent).toContain("ak-a1B2…");
  });

  it("offers a reader without the right to write only how keys are used", async () => {
    keys = [key({ expires_at: FAR })];
    host.answer("whoami", () => ({ scopes: ["read"], url: "/services/adaptery/" }));
    await shown();
    expect(rows().map(buttonsOf)).toEqual([["Use it"]]);
    expect(() => button("New key")).toThrow();
  });

  it("is of one adapter where that is wanted, until all are", async () => {
    keys = [key({ expires_at: FAR }), key({ id: "ak_2", name: "other", expires_at: FAR, adapters: [{ id: "ad_9", name: "@demo/else@1" }] })];
    await shown({ adapter: "@demo/soap@1" });
    expect(el.querySelector("h2")!.textContent).toBe("Use @demo/soap@1 from outside");
    expect(rows()).toHaveLength(1);
    button("New key").click();
    expect([...el.querySelectorAll(".chosen li span")].map(({ textContent }) => textContent)).toEqual(["@demo/soap@1"]);
    button("Cancel").click();
    button("All keys").click();
    expect(rows()).toHaveLength(2);
    expect(host.asks("view.here")).toEqual([{ title: "Keys: @demo/soap@1", start: { adapter: "@demo/soap@1" } }, { title: "Keys", start: {} }]);
  });
});

describe("an adapter that the reader may not use", () => {
  it("is said to be that, and no key for it is offered", async () => {
    keys = [key({ expires_at: FAR, adapters: [{ id: "ad_9", name: null }] })];
    await shown({ adapter: "@guest/notes@1" });
    await eventually(() => el.textContent!.includes("You may not use @guest/notes@1 any more, or there is no such adapter."));
    expect(el.textContent).not.toContain("None of your keys");
    button("New key").click();
    expect(el.querySelectorAll(".chosen li")).toHaveLength(0);
    button("Cancel").click();
    button("All keys").click();
    expect(rows()[0]!.querySelector(".chip")!.textContent).toBe("asks nothing");
    expect(buttonsOf(rows()[0]!)).toEqual(["Rotate", "Revoke"]);
  });

  it("is told from one that no key asks yet", async () => {
    await shown({ adapter: "@demo/soap" });
    expect(el.textContent).toContain("None of your keys asks @demo/soap yet.");
  });
});

describe("making a key", () => {
  it("sends what was chosen and shows the secret once, hidden until that is wanted", async () => {
    await shown();
    await fill();
    field("Tokens per day").value = "5000";
    submit();
    await eventually(() => dialog()?.textContent?.includes("The secret of “triage”"));
    expect(host.asks("keys.create")).toEqual([{ name: "triage", adapters: ["@demo/soap@1"], verbs: ["infer", "read"], expires_in_days: 30, tokens_per_day: 5000 }]);
    expect(el.innerHTML).not.toContain(SECRET);
    await eventually(() => dialog()!.querySelectorAll("pre").length === 3);
    button("Show the secret").click();
    expect(dialog()!.querySelector(".secret")!.textContent).toBe(SECRET);
    for (const pre of dialog()!.querySelectorAll("pre")) expect(pre.textContent).toContain(SECRET);
    button("Hide the secret").click();
    expect(el.innerHTML).not.toContain(SECRET);
    button("Copy the secret").click();
    await eventually(() => copied.length > 0);
    expect(copied).toEqual([SECRET]);
    button("Close").click();
    expect(dialog()).toBeNull();
    expect(el.innerHTML).not.toContain(SECRET);
    await eventually(() => rows().length === 1);
    expect(JSON.stringify(host.asked)).not.toContain(SECRET); // neither what is remembered, nor a later question
  });

  it("asks before a secret is lost that nobody took", async () => {
    await shown();
    await fill();
    submit();
    await eventually(() => dialog()?.textContent?.includes("The secret of"));
    const root = el.querySelector<HTMLElement>(".ady")!;
    expect(root.dispatchEvent(new Event("ady-leaving", { cancelable: true }))).toBe(false);
    expect(dialog()!.dispatchEvent(new Event("cancel", { cancelable: true }))).toBe(false);
    expect(dialog()!.querySelector(".warning")!.textContent).toContain("not copied yet");
    button("Close without it").click();
    expect(dialog()).toBeNull();
    expect(root.dispatchEvent(new Event("ady-leaving", { cancelable: true }))).toBe(true);
  });

  it("forgets the secret when the view is taken away", async () => {
    await shown();
    await fill();
    submit();
    await eventually(() => dialog()?.textContent?.includes("The secret of"));
    button("Show the secret").click();
    const shownSecret = dialog()!.querySelector(".secret")!;
    unmount();
    expect(shownSecret.textContent).toBe("");
    expect(document.documentElement.innerHTML).not.toContain(SECRET);
  });

  it("says at each field what is missing or wrong", async () => {
    await shown();
    button("New key").click();
    submit();
    expect(errorAt("Name")).toContain("Say what the key is for.");
    expect(errorAt("Adapters")).toContain("Choose what the key may ask.");
    button("Cancel").click();
    await fill();
    host.answer("keys.create", () => {
      throw new HostError("invalid_input", "The request is not valid.", null, [
        { where: "expires_in_days", reason: "is too long.", remedy: "Use at most 14." },
        { where: "adapters.0", reason: "is none that you may use.", remedy: "Check it." },
      ]);
    });
    submit();
    await eventually(() => errorAt("Works for").includes("Use at most 14."));
    expect(errorAt("Adapters")).toContain("none that you may use");
    expect(field("Name").value).toBe("triage");
    expect(dialog()!.querySelector(".notice")).toBeNull();
  });

  it("is asked once, and says so when nobody answers: a second key would be made", async () => {
    await shown();
    await fill();
    host.answer("keys.create", () => {
      throw new HostError("network", "The connection is lost.");
    });
    submit();
    await eventually(() => dialog()!.querySelector(".notice")?.textContent?.includes("It is not known whether the key was made"));
    expect(host.asks("keys.create")).toHaveLength(1);
    await eventually(() => host.asks("keys.list").length > 1);
  });

  it("says what comes first where there is no adapter yet", async () => {
    host.answer("adapters.list", () => page());
    await shown();
    button("New key").click();
    field("Adapters").click();
    await eventually(() => el.querySelector('[role="listbox"]')!.textContent === "You have no adapter yet; train one first.");
  });

  it("offers what is restricted with a word about it, and what is chosen no more", async () => {
    await shown();
    await fill();
    field("Adapters").click();
    await eventually(() => el.querySelectorAll('[role="option"]').length === 1);
    expect(el.querySelector('[role="option"]')!.textContent).toContain("@demo/secret@1restricted");
    button("Remove @demo/soap@1").click();
    expect(el.querySelectorAll(".chosen li")).toHaveLength(0);
    expect(document.activeElement).toBe(field("Adapters"));
  });
});

describe("a key", () => {
  beforeEach(() => (keys = [key({ expires_at: FAR })]));

  it("shows how it is used, without its secret", async () => {
    await shown();
    button("Use it: pipeline").click();
    await eventually(() => dialog()!.querySelector("pre"));
    const words = dialog()!.textContent!;
    expect(words).not.toContain("SealingClient");
    expect(words).toContain(`base_url="${location.origin}/services/adaptery/a/@demo/soap@1/v1"`);
    expect(words).toContain("ak-...");
  });

  it("is used with a client that seals if an adapter of it is restricted, or may be", async () => {
    keys = [key({ expires_at: FAR, adapters: [{ id: "ad_1", name: "@demo/soap@1" }, { id: "ad_2", name: "@demo/secret@1" }] })];
    await shown();
    button("Use it: pipeline").click();
    await eventually(() => dialog()!.querySelector("pre"));
    expect([...dialog()!.querySelectorAll('[role="tab"]')].map(({ textContent }) => textContent)).toEqual(["OpenAI"]);
    expect(dialog()!.querySelector("pre")!.textContent).toContain("http_client=adaptery.SealingClient()");
    expect(dialog()!.textContent).toContain("It asks a restricted adapter");
    dialog()!.close();
    host.answer("adapters.get", () => {
      throw new HostError("network", "The connection is lost.");
    });
    button("Use it: pipeline").click();
    await eventually(() => dialog()!.querySelector("pre")?.textContent?.includes("SealingClient"));
  });

  it("names no address that it cannot know", async () => {
    delete document.body.dataset.base;
    await shown();
    button("Use it: pipeline").click();
    await eventually(() => dialog()!.querySelector("pre"));
    expect(dialog()!.textContent).toContain('base_url="https://hub.example.edu/services/adaptery/a/@demo/soap@1/v1"');
    expect(dialog()!.textContent).toContain("Put the address of your Hub in the place of");
  });

  it("is rotated when that is confirmed, and its new secret is shown once", async () => {
    await shown();
    button("Rotate: pipeline").click();
    button("Keep it").click();
    await eventually(() => dialog() === null);
    button("Rotate: pipeline").click();
    field("The old secret works").value = "60";
    button("Make a new secret").click();
    await eventually(() => dialog()?.textContent?.includes("The secret of “pipeline”"));
    expect(host.asks("keys.rotate")).toEqual([{ key: "ak_1", overlap_minutes: 60 }]);
    expect(dialog()!.textContent).toContain("The old secret works no more.");
  });

  it("is revoked when that is confirmed, by who was told what stops", async () => {
    await shown();
    button("Revoke: pipeline").click();
    expect(dialog()!.textContent).toContain("to ask @demo/soap@1 stops");
    button("Keep it").click();
    await eventually(() => dialog() === null);
    expect(host.asks("keys.revoke")).toEqual([]);
    button("Revoke: pipeline").click();
    button("Revoke the key").click();
    await eventually(() => rows()[0]!.querySelector(".chip")!.textContent === "revoked");
    expect(host.asks("keys.revoke")).toEqual([{ key: "ak_1" }]);
    expect(buttonsOf(rows()[0]!)).toEqual([]);
  });
});
