// @vitest-environment happy-dom
import { describe, expect, it } from "vitest";
import { Graph } from "../../src/curate/lineage/graph";
import { layersOf, reachable } from "../../src/curate/lineage/layout";
import type { GraphNode } from "../../src/curate/lineage/things";

const edges = [["file", "v1"], ["v1", "v2"], ["other", "v2"], ["v2", "job"], ["job", "adapter"], ["v1", "job2"]].map(([source, target]) => ({ source: source!, target: target! }));
const ids = ["adapter", "job", "job2", "v2", "other", "v1", "file"];

function node(id: string, kind: GraphNode["kind"], name: string | null = id): GraphNode {
  return { id, kind, name, state: null, digest: null, records: null, created_at: null, merged: null };
}

describe("a layout", () => {
  it("puts everything right of what it was made from", () => {
    const layers = layersOf(ids, edges);
    const depth = (id: string): number => layers.findIndex((layer) => layer.includes(id));
    for (const { source, target } of edges) expect(depth(source)).toBeLessThan(depth(target));
    expect(layers.flat().sort()).toEqual([...ids].sort());
  });

  it("knows what came of a thing, and what it came from", () => {
    expect([...reachable("v1", edges, "results")].sort()).toEqual(["adapter", "job", "job2", "v2"]);
    expect([...reachable("v2", edges, "sources")].sort()).toEqual(["file", "other", "v1"]);
  });

  it("ends, even if the graph went round in a circle or named what is not there", () => {
    const odd = [{ source: "a", target: "b" }, { source: "b", target: "a" }, { source: "a", target: "a" }, { source: "gone", target: "a" }];
    expect(layersOf(["a", "b", "c"], odd).flat().sort()).toEqual(["a", "b", "c"]);
    expect([...reachable("a", odd, "results")]).toEqual(["b"]);
  });

  it("of thousands of things is quick", () => {
    const many = Array.from({ length: 4000 }, (_, index) => `n${index}`);
    const lines = many.slice(1).map((target, index) => ({ source: many[Math.floor(index / 2)]!, target }));
    const start = performance.now();
    layersOf(many, lines);
    expect(performance.now() - start).toBeLessThan(3000);
  });
});

describe("a graph", () => {
  const kinds: Record<string, GraphNode["kind"]> = { file: "file", v1: "version", v2: "version", other: "version", job: "job", job2: "job", adapter: "adapter" };
  const graph = { nodes: ids.map((id) => node(id, kinds[id]!, id === "other" ? null : id)), edges, truncated: false };
  const made = (): HTMLElement => new Graph(graph, "v2", () => []).element;

  it("says both ways what a version has to do with", () => {
    const facts = made().querySelector(".facts")!.textContent;
    expect(facts).toContain("Made from: version v1, version that is not shared with you, file file.");
    expect(facts).toContain("Went into: job job, adapter adapter.");
  });

  it("is walked with the arrow keys, and has one stop for the tabulator", () => {
    const el = made();
    document.body.append(el);
    const pressed = (): HTMLButtonElement => el.querySelector<HTMLButtonElement>("[aria-pressed=true]")!;
    pressed().dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
    expect(pressed().title).toBe("job");
    pressed().dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
    expect(document.activeElement).toBe(pressed());
    expect(pressed().title).toBe("adapter");
    expect([...el.querySelectorAll<HTMLElement>(".node")].filter(({ tabIndex }) => tabIndex === 0)).toEqual([pressed()]);
    el.remove();
  });

  it("is a table for who cannot see it", () => {
    const rows = [...made().querySelectorAll("tbody tr")].map((row) => row.textContent);
    expect(rows.find((row) => row.startsWith("Versionv2"))).toBe("Versionv2–v1, Version that is not shared with you");
    expect(rows).toHaveLength(ids.length);
  });
});
