// What the service answers about where things come from. See adaptery/schemas/lineage.py.

import type { DraftRecord } from "../record";

export interface GraphNode {
  id: string;
  kind: "file" | "dataset" | "version" | "job" | "adapter";
  /** Null for what the reader may not see. */
  name: string | null;
  state: string | null;
  digest: string | null;
  records: number | null;
  created_at: string | null;
  merged: boolean | null;
}

/** `source` went into `target`. */
export interface GraphEdge {
  source: string;
  target: string;
  /** What was collated from the source. */
  collated?: { records: number }[];
}

export interface ProvenanceGraph {
  nodes: GraphNode[];
  edges: GraphEdge[];
  truncated: boolean;
}

export interface Sighting {
  version: string;
  name: string;
  position: number;
  split: string | null;
  state: string;
}

export interface RecordLineage {
  record_id: string;
  versions: Sighting[];
  graph: ProvenanceGraph;
}

export interface WordPiece {
  change: "same" | "removed" | "added";
  text: string;
}

export interface DiffItem {
  id: string;
  change: "added" | "removed" | "changed";
  before: DraftRecord | null;
  after: DraftRecord | null;
  before_position: number | null;
  after_position: number | null;
  words: { where: string; pieces: WordPiece[] }[] | null;
}

export interface VersionDiff {
  before: string;
  after: string;
  counts: { added: number; removed: number; changed: number; same: number };
  items: DiffItem[];
  has_more: boolean;
}

export const NODE_KINDS: Readonly<Record<GraphNode["kind"], string>> = { file: "File", dataset: "Dataset", version: "Version", job: "Job", adapter: "Adapter" };

/** What a node is called; what the reader may not see has no name. */
export function titleOf({ kind, name }: GraphNode): string {
  return name ?? `${NODE_KINDS[kind]} that is not shared with you`;
}
