import { describe, expect, it } from "vitest";
import { Models } from "../../src/chat/models";

const BASE = { id: "tiny", title: "tiny (base model)", base: null };
const ADAPTER = { id: "@demo/soap@1", title: "soap", base: "tiny" };
const ORPHAN = { id: "@demo/old@1", title: "old", base: "withdrawn" };

describe("the models", () => {
  it("offer the base model of an adapter beside it", () => {
    const models = new Models();
    models.replace([ADAPTER, BASE]);
    expect(models.baseOf(ADAPTER.id)).toEqual(BASE);
  });

  it("offer nothing beside a base model, or when the base may not be used", () => {
    const models = new Models();
    models.replace([ORPHAN, BASE]);
    expect(models.baseOf(BASE.id)).toBeNull();
    expect(models.baseOf(ORPHAN.id)).toBeNull();
    expect(models.baseOf("unknown")).toBeNull();
  });

  it("say whether a new list differs", () => {
    const models = new Models();
    expect(models.replace([BASE])).toBe(true);
    expect(models.replace([{ ...BASE }])).toBe(false);
    expect(models.replace([ADAPTER, BASE])).toBe(true);
  });

  it("still name a model that is gone", () => {
    expect(new Models().title("@demo/soap@1")).toBe("@demo/soap@1");
  });
});
