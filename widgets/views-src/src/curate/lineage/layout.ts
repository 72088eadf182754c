// Where the nodes of a graph stand: what came first is left, and lines cross as seldom as is easy.
// Source: Sugiyama, Tagawa, Toda, "Methods for Visual Understanding of Hierarchical System Structures",
// 1981: layers by the longest path, then the order by barycentres.

import type { GraphEdge } from "./things";


const SWEEPS = 4;

/** The layers of a graph. What goes round in a circle, which provenance never does, ends somewhere. */
export function layersOf(ids: readonly string[], edges: readonly GraphEdge[]): string[][] {
  const depth = depthsOf(ids, edges);
  const layers: string[][] = [];
  for (const id of ids) (layers[depth.get(id)!] ??= []).push(id);
  return ordered(layers.map((layer) => layer ?? []), edges);
}

function depthsOf(ids: readonly string[], edges: readonly GraphEdge[]): Map<string, number> {
  const depth = new Map(ids.map((id) => [id, 0]));
  const parents = new Map(ids.map((id) => [id, new Set<string>()]));
  for (const { source, target } of edges) if (source !== target && depth.has(source)) parents.get(target)?.add(source);
  const children = new Map(ids.map((id) => [id, [] as string[]]));
  for (const [id, before] of parents) for (const parent of before) children.get(parent)!.push(id);
  const waiting = new Map([...parents].map(([id, before]) => [id, before.size]));
  const ready = ids.filter((id) => waiting.get(id) === 0);
  for (let id = ready.shift(); id !== undefined; id = ready.shift()) {
    for (const child of children.get(id)!) {
      depth.set(child, Math.max(depth.get(child)!, depth.get(id)! + 1));
      waiting.set(child, waiting.get(child)! - 1);
      if (waiting.get(child) === 0) ready.push(child);
    }
  }
  return depth;
}

function ordered(layers: string[][], edges: readonly GraphEdge[]): string[][] {
  const [before, after] = [neighbours(edges, "target", "source"), neighbours(edges, "source", "target")];
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const down = sweep % 2 === 0;
    const place = new Map(layers.flatMap((layer) => layer.map((id, index) => [id, (index + 1) / (layer.length + 1)] as const)));
    const order = down ? layers.keys() : [...layers.keys()].reverse();
    for (const index of order) {
      const centre = (id: string): number => mean(((down ? before : after).get(id) ?? []).map((other) => place.get(other) ?? 0), place.get(id)!);
      const centres = new Map(layers[index]!.map((id) => [id, centre(id)]));
      layers[index]!.sort((one, other) => centres.get(one)! - centres.get(other)!);
      layers[index]!.forEach((id, at) => place.set(id, (at + 1) / (layers[index]!.length + 1)));
    }
  }
  return layers;
}

function neighbours(edges: readonly GraphEdge[], of: "source" | "target", to: "source" | "target"): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const edge of edges) found.set(edge[of], [...(found.get(edge[of]) ?? []), edge[to]]);
  return found;
}

function mean(values: number[], otherwise: number): number {
  return values.length === 0 ? otherwise : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Everything that can be reached from a node in one direction, itself left out. */
export function reachable(from: string, edges: readonly GraphEdge[], way: "sources" | "results"): Set<string> {
  const next = way === "results" ? neighbours(edges, "source", "target") : neighbours(edges, "target", "source");
  const found = new Set<string>();
  const waiting = [from];
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    for (const other of next.get(id) ?? []) {
      if (other === from || found.has(other)) continue;
      found.add(other);
      waiting.push(other);
    }
  }
  return found;
}
