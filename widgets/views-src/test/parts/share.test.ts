// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, it } from "vitest";
import { HostError } from "../../src/host/host";
import { type Right, RIGHTS, type Shared, shareButton, type SharedKind } from "../../src/parts/share";
import { eventually, page, ScriptedHost } from "../support/scripted-host";

const SHARED: Shared = { kind: "datasets", id: "ds_1", name: "@demo/visits", owner: "@demo" };
const grant = (principal: string, right: Right, kind = "user"): unknown => ({ id: `gr_${principal}`, principal, kind, right, by: "@demo", created_at: "2026-03-01T10:00:00Z" });

let grants: Map<string, unknown>;
let host: ScriptedHost;
let root: HTMLElement;
let ending: AbortController;

beforeEach(() => {
  grants = new Map([["radiology", grant("radiology", "use", "group")]]);
  ending = new AbortController();
  host = new ScriptedHost({
    whoami: () => ({ tenant: "@demo", groups: ["radiology", "surgery"] }),
    "grants.list": () => page(...grants.values()),
    "grants.put": ({ principal, right }) => {
      grants.set(principal as string, grant(principal as string, right as Right));
      return grants.get(principal as string);
    },
    "grants.remove": ({ principal }) => {
      grants.delete(principal as string);
      return null;
    },
  });
});
afterEach(() => ending.abort());

async function opened(shared: Shared = SHARED): Promise<HTMLDialogElement> {
  root = document.createElement("section");
  root.className = "ady";
  document.body.replaceChildren(root);
  const button = shareButton(host, () => shared, ending.signal);
  root.append(button);
  button.click();
  await eventually(() => rows().length > 1 || grants.size === 0);
  return root.querySelector("dialog")!;
}

const rows = (): string[] => [...root.querySelectorAll("tbody th")].map((head) => head.firstChild!.textContent!);
const field = (): HTMLInputElement => root.querySelector("input")!;
const offered = (select: HTMLSelectElement): string[] => [...select.options].map(({ value }) => value);
const rightOf = (principal: string): HTMLSelectElement => root.querySelector(`select[aria-label="Right of ${principal}"]`)!;
const error = (): string => root.querySelector<HTMLElement>(".give .error:not([hidden])")?.textContent ?? "";

function give(principal: string, right: Right = "view"): void {
  field().value = principal;
  root.querySelector<HTMLSelectElement>(".give select")!.value = right;
  root.querySelector("form")!.dispatchEvent(new Event("submit", { cancelable: true }));
}

it("shows who has access: the owner, groups and users", async () => {
  await opened();
  expect(rows()).toEqual(["@demo", "radiology"]);
  expect(root.querySelector("tbody tr")!.textContent).toContain("owns it");
  expect(rightOf("radiology").value).toBe("use");
  expect([...root.querySelectorAll("datalist option")].map((option) => option.getAttribute("value"))).toEqual(["radiology", "surgery"]);
});

it("gives, changes and takes rights", async () => {
  await opened();
  give("  @ann ");
  await eventually(() => rows().includes("@ann"));
  expect(host.asks("grants.put")).toEqual([{ kind: "datasets", thing: "ds_1", principal: "@ann", right: "view" }]);
  await eventually(() => field().value === "");
  const select = rightOf("@ann");
  select.value = "manage";
  select.dispatchEvent(new Event("change"));
  await eventually(() => rightOf("@ann").value === "manage" && host.asks("grants.put").length === 2);
  root.querySelector<HTMLButtonElement>('button[aria-label="Remove radiology"]')!.click();
  await eventually(() => !rows().includes("radiology"));
  expect(host.asks("grants.remove")).toEqual([{ kind: "datasets", thing: "ds_1", principal: "radiology" }]);
  await eventually(() => root.querySelector("[role=status]")!.textContent === "Removed radiology");
});

it("says at the field what is wrong with it, and keeps what was typed", async () => {
  await opened();
  give("  ");
  expect(error()).toContain("Name a user");
  const problem = { where: "principal", reason: "is no group of yours.", remedy: "Write @name for a user." };
  host.answer("grants.put", () => {
    throw new HostError("invalid_input", "The request is not valid.", null, [problem]);
  });
  give("surgeons");
  await eventually(() => error().includes("no group of yours"));
  expect(field().value).toBe("surgeons");
  expect(field().getAttribute("aria-invalid")).toBe("true");
  host.answer("grants.put", () => {
    throw new HostError("quota_exceeded", "200 is the limit.", "Share it with a group instead.");
  });
  give("@ann");
  await eventually(() => root.querySelector("[role=alert]")!.textContent!.includes("200 is the limit"));
  expect(rows()).toEqual(["@demo", "radiology"]);
});

it("shows what is, when a change is refused", async () => {
  await opened();
  host.answer("grants.put", () => {
    throw new HostError("not_allowed", "This needs the right to manage.");
  });
  const select = rightOf("radiology");
  select.value = "manage";
  select.dispatchEvent(new Event("change"));
  await eventually(() => root.querySelector("[role=alert]")!.textContent!.includes("right to manage"));
  await eventually(() => rightOf("radiology").value === "use");
});

it("takes a grant that is gone already for removed", async () => {
  await opened();
  grants.clear();
  host.answer("grants.remove", () => {
    throw new HostError("not_found", "This is not shared with anyone of that name.");
  });
  root.querySelector<HTMLButtonElement>('button[aria-label="Remove radiology"]')!.click();
  await eventually(() => rows().length === 1);
  expect(root.querySelector("[role=alert]")!.textContent).toBe("");
});

it("offers the rights that open something, and says what", async () => {
  const expected: Record<SharedKind, string[]> = {
    datasets: ["use", "view", "edit", "manage"],
    jobs: ["view", "manage"],
    adapters: ["use", "view", "manage"],
  };
  for (const [kind, rights] of Object.entries(expected)) {
    const dialog = await opened({ ...SHARED, kind: kind as SharedKind });
    const select = root.querySelector<HTMLSelectElement>(".give select")!;
    expect(offered(select)).toEqual(rights);
    expect(root.querySelector(".hint")!.textContent).toBe("");
    expect(dialog.textContent).toContain(RIGHTS[kind as SharedKind][rights[0] as Right]);
    expect(offered(rightOf("radiology"))).toContain("use"); // what somebody has is always shown
  }
});

it("is gone when it is closed, and with its view", async () => {
  const dialog = await opened();
  [...dialog.querySelectorAll("button")].find(({ textContent }) => textContent === "Close")!.click();
  await eventually(() => root.querySelector("dialog") === null);
  await opened();
  ending.abort();
  await eventually(() => root.querySelector("dialog") === null);
});
