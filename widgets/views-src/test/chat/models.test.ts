import { describe, expect, it } from "vitest";
import { listModels, type Model, Models } from "../../src/chat/models";
import { HostError } from "../../src/host/host";
import { page, ScriptedHost } from "../support/scripted-host";

const gone = (): never => {
  throw new HostError("not_found", "There is no such model.");
};

const BASE: Model = { id: "tiny", title: "tiny (base model)", base: null, restricted: false };
const ADAPTER: Model = { id: "@demo/soap@1", title: "soap", base: "tiny", restricted: false };
const NEWER: Model = { ...ADAPTER, id: "@demo/soap@2" };
const SEALED: Model = { ...ADAPTER, id: "@demo/sealed@1", restricted: true };
const ORPHAN: Model = { ...ADAPTER, id: "@demo/old@1", base: "withdrawn" };

function models(...all: Model[]): Models {
  const made = new Models();
  made.replace({ models: all, older: false });
  return made;
}

describe("the models", () => {
  it("offer the base model of an adapter beside it", () => {
    expect(models(ADAPTER, BASE).baseOf(ADAPTER.id)).toEqual(BASE);
  });

  it("offer nothing beside a base model, or when the base may not be used", () => {
    const made = models(ORPHAN, BASE);
    expect(made.baseOf(BASE.id)).toBeNull();
    expect(made.baseOf(ORPHAN.id)).toBeNull();
    expect(made.baseOf("unknown")).toBeNull();
  });

  it("say whether a new list differs", () => {
    const made = new Models();
    expect(made.replace({ models: [BASE], older: false })).toBe(true);
    expect(made.replace({ models: [{ ...BASE }], older: false })).toBe(false);
    expect(made.replace({ models: [ADAPTER, BASE], older: false })).toBe(true);
    expect(made.replace({ models: [ADAPTER, BASE], older: true })).toBe(true);
  });

  it("take a name without a version as its newest, and no other name", () => {
    const made = models(NEWER, ADAPTER, BASE);
    expect(made.named("@demo/soap")).toEqual(NEWER);
    expect(made.named("@demo/soap@1")).toEqual(ADAPTER);
    expect(made.named("tiny")).toEqual(BASE);
    expect(made.named("@demo/so")).toBeNull();
  });

  it("begin with the newest that answers here", () => {
    const made = models(SEALED, ADAPTER, BASE);
    expect(made.first(false)).toEqual(ADAPTER);
    expect(made.first(true)).toEqual(SEALED);
    expect(models(SEALED, BASE).first(false)).toEqual(BASE);
    expect(models().first(false)).toBeNull();
  });
});

describe("the list of models", () => {
  const card = (id: string, sensitivity = "internal"): unknown => ({ id, full_name: `@demo/${id}@1`, base_model: "tiny", sensitivity });
  const bases = page({ id: "b1", name: "big", default: false }, { id: "b2", name: "tiny", default: true });

  it("has adapters before base models and the default one before others", async () => {
    const host = new ScriptedHost({ "adapters.list": () => page(card("ad_1"), card("ad_2")), "base-models.list": () => bases, "models.get": gone });
    const { models: listed, older } = await listModels(host, "@demo/gone@1");
    expect(listed.map(({ id }) => id)).toEqual(["@demo/ad_1@1", "@demo/ad_2@1", "tiny", "big"]);
    expect(listed.map(({ title }) => title).at(0)).toBe("@demo/ad_1@1 (adapter)");
    expect(older).toBe(false);
    expect(host.asks("adapters.list")).toEqual([{ limit: 200 }]);
  });

  it("holds the newest adapters, and an older one only if it is wanted", async () => {
    const host = new ScriptedHost({
      "adapters.list": ({ search }) => (search ? page(card("old-notes"), card("old"), card("old")) : { items: [card("new")], has_more: true }),
      "base-models.list": () => page(),
      "models.get": gone,
    });
    const ids = async (wanted?: string): Promise<string[]> => (await listModels(host, ...(wanted ? [wanted] : []))).models.map(({ id }) => id);
    expect(await ids()).toEqual(["@demo/new@1"]);
    expect(await ids("@demo/new")).toEqual(["@demo/new@1"]);
    expect(host.asks("adapters.list").every(({ search }) => search === undefined)).toBe(true);
    expect(await ids("@demo/old")).toEqual(["@demo/new@1", "@demo/old@1"]);
    expect(await ids("@demo/ol")).toEqual(["@demo/new@1"]);
    expect((await listModels(host)).older).toBe(true);
  });

  it("holds a checkpoint if it is wanted, which no list has, and nothing that does not chat", async () => {
    const card = { id: "@demo/ad_1@1-step3", kind: "adapter", base_model: "tiny", sensitivity: "restricted" };
    const host = new ScriptedHost({ "adapters.list": () => page(), "base-models.list": () => bases, "models.get": () => card });
    const checkpoint = { id: card.id, title: `${card.id} (checkpoint, restricted)`, base: "tiny", restricted: true };
    expect((await listModels(host, card.id)).models.at(0)).toEqual(checkpoint);
    expect(host.asks("models.get")).toEqual([{ model: card.id }]);
    host.answer("models.get", () => ({ ...card, kind: "embedding" }));
    expect((await listModels(host, "words")).models).toHaveLength(2);
    expect((await listModels(host, "tiny", "@demo/tiny")).models).toHaveLength(2);
    expect(host.asks("models.get")).toHaveLength(2);
  });

  it("shows which adapters are restricted", async () => {
    const host = new ScriptedHost({ "adapters.list": () => page(card("x", "restricted")), "base-models.list": () => page() });
    const { models: listed } = await listModels(host);
    expect(listed).toEqual([{ id: "@demo/x@1", title: "@demo/x@1 (adapter, restricted)", base: "tiny", restricted: true }]);
  });
});
