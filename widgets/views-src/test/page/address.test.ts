import { describe, expect, it } from "vitest";
import { addressOf, hashOf } from "../../src/page/address";

const DATASET = "ds_01hzzzzzzzzzzzzzzzzzzzzzzz";
const JOB = "jb_01hzzzzzzzzzzzzzzzzzzzzzzz";

describe("an address", () => {
  it("says which view is shown and what in it, and is read again as the same", () => {
    for (const [view, start, hash] of [
      ["panel", {}, "#panel"],
      ["curate", { dataset: DATASET }, `#curate?dataset=${DATASET}`],
      ["curate", { dataset: DATASET, tab: "review", queue: "near" }, `#curate?dataset=${DATASET}&tab=review&queue=near`],
      ["curate", { new: "true" }, "#curate?new=true"],
      ["train", { job: JOB }, `#train?job=${JOB}`],
      ["watch", { job: JOB }, `#watch?job=${JOB}`],
      ["jobs", { search: "a & b=c #1?" }, "#jobs?search=a%20%26%20b%3Dc%20%231%3F"],
      ["jobs", { compare: `${JOB},${JOB}` }, `#jobs?compare=${JOB},${JOB}`],
      ["chat", { model: "@demo/soap@3" }, "#chat?model=@demo/soap@3"],
      ["keys", { adapter: "@demo/soap@3" }, "#keys?adapter=@demo/soap@3"],
      ["chat", { model: "a*0.7+b*0.3" }, "#chat?model=a*0.7%2Bb*0.3"],
    ] as const) {
      expect(hashOf(view, start)).toBe(hash);
      expect(addressOf(hash)).toEqual({ view, start });
    }
  });

  it("is the overview when there is none", () => {
    expect(addressOf("")).toEqual({ view: "panel", start: {} });
    expect(addressOf("#")).toEqual({ view: "panel", start: {} });
  });

  it("is none of ours when it names no view", () => {
    for (const hash of ["#main", "#../page", "#__proto__", "#constructor", "#chat.js", "#https://x.example/"]) {
      expect(addressOf(hash)).toBeNull();
    }
  });

  it("is none of ours when it names something as nothing is named, so that nothing else is shown for it", () => {
    for (const hash of ["#watch?job=x", "#watch?job=", "#watch?job=../../x&dataset=1", "#chat?model=a%00b", `#curate?dataset=${JOB}`]) {
      expect(addressOf(hash)).toBeNull();
    }
  });

  it("keeps only ids and names of the kind that the view takes", () => {
    expect(hashOf("chat", { model: "@demo/soap", draft: "what a patient said", sealed: false })).toBe("#chat?model=@demo/soap");
    expect(hashOf("curate", { dataset: "what a patient said" })).toBe("#curate");
    expect(hashOf("curate", { new: true })).toBe("#curate?new=true");
    expect(hashOf("curate", { new: false })).toBe("#curate");
    expect(hashOf("curate", { dataset: JOB })).toBe("#curate");
    expect(hashOf("keys", { adapter: "@demo/soap@1", secret: "ak-1" })).toBe("#keys?adapter=@demo/soap@1");
    expect(hashOf("watch", null)).toBe("#watch");
    expect(hashOf("watch", [JOB])).toBe("#watch");
    expect(hashOf("jobs", { search: "x".repeat(301) })).toBe("#jobs");
    expect(addressOf("#watch?dataset=../../x")).toEqual({ view: "watch", start: {} });
    expect(addressOf("#chat?model=%")).toEqual({ view: "chat", start: { model: "%" } });
  });
});
