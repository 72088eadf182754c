// What the lists show of each thing. Pure: no DOM, no host.

import type { Json } from "../host/host";
import type { ViewName } from "../host/shell";
import type { Job as JobCard } from "../host/things";
import type { Shared } from "../parts/share";
import { agoWords, countWords, momentWords, shareWords, WITHDRAWN } from "../parts/words";

/** One line of a list. */
export interface Row {
  id: string;
  title: string;
  facts: string[];
  /** A state in one word, and whether it is good, bad or neither. */
  badge: { words: string; mood: "good" | "bad" | "busy" | "" } | null;
  /** Between 0 and 1 while something is under way. */
  progress: number | null;
  /** Its content is sealed: only the owner's side and the agent may read it. */
  restricted: boolean;
  /** The moment in full, where the facts say how long ago it was. */
  at: string | null;
  opens: { view: ViewName; start: { [name: string]: Json } } | null;
  /** What can be shared here; null if the reader does not manage it. */
  shares: Shared | null;
  /** The reader may delete it here. */
  deletes: boolean;
  /** The adapter that programs outside the Hub may ask with a key. */
  asked: string | null;
  /** How many of what its section counts it stands for. */
  weight: number;
}

export interface Dataset {
  id: string;
  full_name: string;
  sensitivity: string;
  records: number;
  updated_at: string;
}

/** What a list of jobs shows of each. */
export type Job = Pick<
  JobCard,
  "id" | "name" | "tenant" | "state" | "reason" | "position" | "cancel_requested" | "progress" | "created_at" | "finished_at"
>;

export interface Adapter {
  id: string;
  full_name: string;
  base_model: string;
  sensitivity: string;
  created_at: string;
  tenant: string;
  right: string;
  /** Whether a version that it learnt from is withdrawn or gone. */
  withdrawn?: boolean;
}

export interface Agent {
  id: string;
  owner: string;
  labels: string[];
  state: "joined" | "live" | "gone" | "revoked";
  last_seen_at: string | null;
  slots: { workers: number; free: number } | null;
  load: { cpu?: { share: number }; memory?: { share: number }; gpu?: { share: number }[]; engine?: { running: number; waiting: number } } | null;
}

const ACTIVE = { training: 0, queued: 1, created: 2 };
const AGENT_ORDER = { live: 0, joined: 1, gone: 2, revoked: 3 };
const AGENT_STATES = {
  joined: { words: "joined", mood: "" },
  live: { words: "live", mood: "good" },
  gone: { words: "gone", mood: "bad" },
  revoked: { words: "revoked", mood: "" },
} as const;
const JOB_STATES = {
  created: { words: "created", mood: "" },
  queued: { words: "queued", mood: "" },
  training: { words: "training", mood: "busy" },
  completed: { words: "completed", mood: "good" },
  failed: { words: "failed", mood: "bad" },
  cancelled: { words: "cancelled", mood: "" },
} as const;

/** In the order of the service: the ones that were changed last come first. */
export function datasetRows(datasets: Dataset[]): Row[] {
  return datasets.map((dataset) => ({
    ...plain(dataset.id, dataset.full_name),
    facts: [countWords(dataset.records, "record"), `changed ${agoWords(dataset.updated_at)}`],
    restricted: dataset.sensitivity === "restricted",
    at: momentWords(dataset.updated_at),
    opens: { view: "curate", start: { dataset: dataset.id } },
  }));
}

/** Those under way come first, then the newest. */
export function jobRows(jobs: Job[]): Row[] {
  const rank = (job: Job): number => ACTIVE[job.state as keyof typeof ACTIVE] ?? 3;
  return byId(jobs)
    .sort((one, other) => rank(one) - rank(other))
    .map((job) => ({
      ...plain(job.id, `${job.tenant}/${job.name}`),
      facts: jobFacts(job),
      badge: job.cancel_requested && job.state in ACTIVE ? { words: "being cancelled", mood: "" } : JOB_STATES[job.state],
      progress: job.state === "training" ? (job.progress ?? 0) : null,
      at: momentWords(job.finished_at ?? job.created_at),
      opens: { view: "watch", start: { job: job.id } },
    }));
}

function jobFacts(job: Job): string[] {
  if (job.state === "training") return [shareWords(job.progress ?? 0)];
  if (job.state === "queued") return [job.position === null ? "waiting for a machine" : `position ${job.position} in the queue`];
  const why = job.reason && job.state !== "completed" ? [job.reason] : [];
  return job.state === "created" ? why : [...why, agoWords(job.finished_at ?? job.created_at)];
}

/** The newest come first, as the service lists them. Restricted ones answer over the sealed channel only. */
export function adapterRows(adapters: Adapter[]): Row[] {
  return adapters.map((adapter) => ({
    ...plain(adapter.id, adapter.full_name),
    facts: [`on ${adapter.base_model}`, agoWords(adapter.created_at)],
    restricted: adapter.sensitivity === "restricted",
    badge: adapter.withdrawn ? { words: WITHDRAWN, mood: "bad" } : null,
    at: momentWords(adapter.created_at),
    opens: { view: "chat", start: { model: adapter.full_name } },
    asked: adapter.sensitivity === "restricted" ? null : adapter.full_name,
    deletes: adapter.right === "manage",
    shares: adapter.right === "manage" ? { kind: "adapters", id: adapter.id, name: adapter.full_name, owner: adapter.tenant } : null,
  }));
}

/** Those that work come first. What is revoked stays last. */
export function agentRows(agents: Agent[]): Row[] {
  return byId(agents)
    .sort((one, other) => AGENT_ORDER[one.state] - AGENT_ORDER[other.state])
    .map((agent) => ({
      ...plain(agent.id, agentName(agent)),
      facts: agentFacts(agent),
      badge: AGENT_STATES[agent.state],
      at: agent.last_seen_at && momentWords(agent.last_seen_at),
    }));
}

/** Agents have no names; their labels say most, and the end of their id tells them apart. */
function agentName({ id, labels }: Agent): string {
  const words = labels.length > 0 ? labels.join(", ") : "Agent";
  return `${words} …${id.slice(-4)}`;
}

function agentFacts({ state, last_seen_at, slots, load }: Agent): string[] {
  if (state === "joined") return ["not heard of yet"];
  if (state !== "live") return last_seen_at ? [`last heard of ${agoWords(last_seen_at)}`] : [];
  const facts = slots ? [`${slots.free} of ${countWords(slots.workers, "worker")} free`] : [];
  if (!load) return facts;
  if (load.engine) facts.push(`answers ${load.engine.running}, ${load.engine.waiting} waiting`);
  if (load.cpu) facts.push(`CPU ${shareWords(load.cpu.share)}`);
  if (load.memory) facts.push(`memory ${shareWords(load.memory.share)}`);
  (load.gpu ?? []).forEach((gpu, number) => facts.push(`GPU ${number} ${shareWords(gpu.share)}`));
  return facts;
}

/** The rows whose title holds what was typed; each word somewhere in it. */
export function matching(rows: Row[], typed: string): Row[] {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter(({ title }) => words.every((word) => title.toLowerCase().includes(word)));
}

/** The longest word of what was typed: the service looks for one, and `matching` for the others. */
export function wordOf(typed: string): string {
  return typed.split(/\s+/).reduce((longest, word) => (word.length > longest.length ? word : longest), "");
}

/** The same of a name that is listed without its owner. */
export function bareWordOf(typed: string): string {
  return wordOf(typed.replace(/\S*\//g, ""));
}

/** A line that says nothing yet. */
export function plain(id: string, title: string): Row {
  return { id, title, facts: [], badge: null, progress: null, restricted: false, at: null, opens: null, shares: null, deletes: false, asked: null, weight: 1 };
}

/** The newest come first; a sorted copy. */
function byId<T extends { id: string }>(items: T[]): T[] {
  return [...items].sort((one, other) => (one.id < other.id ? 1 : one.id > other.id ? -1 : 0));
}
