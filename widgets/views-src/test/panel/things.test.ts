import { describe, expect, it } from "vitest";
import { type Adapter, adapterRows, type Agent, agentRows, bareWordOf, type Dataset, datasetRows, jobRows, matching, wordOf } from "../../src/panel/things";
import { job, THEN } from "./job";

function agent(id: string, state: Agent["state"], more: Partial<Agent> = {}): Agent {
  return { id, owner: "", labels: [], state, last_seen_at: THEN, slots: null, load: null, ...more };
}

describe("the overview shows", () => {
  it("datasets in the order of the service", () => {
    const dataset = (id: string): Dataset => ({ id, full_name: `@demo/${id}`, sensitivity: "internal", records: 1200, updated_at: THEN });
    const rows = datasetRows([dataset("b"), dataset("c"), dataset("a")]);
    expect(rows.map(({ id }) => id)).toEqual(["b", "c", "a"]);
    expect(rows[0]!.facts[0]).toBe("1,200 records");
    expect(rows[0]!.opens).toEqual({ view: "curate", start: { dataset: "b" } });
  });

  it("jobs under way first, then the newest", () => {
    const rows = jobRows([job("1", "completed"), job("2", "training", { progress: 0.42 }), job("3", "failed"), job("4", "queued", { position: 2 }), job("5", "created")]);
    expect(rows.map(({ id }) => id)).toEqual(["2", "4", "5", "3", "1"]);
    expect(rows.map(({ progress }) => progress)).toEqual([0.42, null, null, null, null]);
    expect(rows.map(({ badge }) => badge!.words)).toEqual(["training", "queued", "created", "failed", "completed"]);
    expect(rows[0]!.facts).toEqual(["42%"]);
    expect(rows[1]!.facts).toEqual(["position 2 in the queue"]);
    expect(rows[0]!.opens).toEqual({ view: "watch", start: { job: "2" } });
  });

  it("why a job failed, and that one is being cancelled", () => {
    const [going, failed] = jobRows([job("1", "failed", { reason: "out of memory" }), job("2", "training", { cancel_requested: true })]);
    expect(failed!.facts[0]).toBe("out of memory");
    expect(going!.badge!.words).toBe("being cancelled");
  });

  it("which adapters are restricted", () => {
    const adapter = (sensitivity: string, right = "use"): Adapter => ({ id: "ad_1", full_name: "@demo/soap@1", base_model: "tiny", sensitivity, created_at: THEN, tenant: "@demo", right });
    expect(adapterRows([adapter("internal")])[0]!.shares).toBeNull();
    expect(adapterRows([adapter("internal")])[0]!.badge).toBeNull();
    expect(adapterRows([{ ...adapter("internal"), withdrawn: true }])[0]!.badge).toEqual({ words: "learnt from withdrawn data", mood: "bad" });
    expect(adapterRows([adapter("internal", "manage")])[0]!.shares).toEqual({ kind: "adapters", id: "ad_1", name: "@demo/soap@1", owner: "@demo" });
    expect(adapterRows([adapter("internal")])[0]).toMatchObject({ restricted: false, opens: { view: "chat", start: { model: "@demo/soap@1" } } });
    expect(adapterRows([adapter("restricted")])[0]).toMatchObject({ restricted: true });
  });

  it("agents by what they are good for, with their load for whom it is told", () => {
    const load = { cpu: { share: 0.5 }, memory: { share: 0.25 }, gpu: [{ share: 1 }], engine: { running: 3, waiting: 4 } };
    const rows = agentRows([
      agent("ag_1", "revoked"),
      agent("ag_2", "gone"),
      agent("ag_3", "live", { slots: { workers: 2, free: 1 } }),
      agent("ag_4", "joined", { last_seen_at: null }),
      agent("ag_5", "live", { slots: { workers: 1, free: 0 }, labels: ["gpu"], load }),
    ]);
    expect(rows.map(({ badge }) => badge!.words)).toEqual(["live", "live", "joined", "gone", "revoked"]);
    expect(rows[0]).toMatchObject({ title: "gpu …ag_5", opens: null });
    expect(rows[0]!.facts).toEqual(["0 of 1 worker free", "answers 3, 4 waiting", "CPU 50%", "memory 25%", "GPU 0 100%"]);
    expect(rows[1]!.facts).toEqual(["1 of 2 workers free"]);
    expect(rows[2]!.facts).toEqual(["not heard of yet"]);
  });
});

it("a search finds names that hold each word of it", () => {
  const rows = jobRows([job("soap-notes", "completed"), job("visits", "completed")]);
  const found = (typed: string): string[] => matching(rows, typed).map(({ id }) => id);
  expect(found("NOTES soap")).toEqual(["soap-notes"]);
  expect(found("@demo")).toHaveLength(2);
  expect(found(" ")).toHaveLength(2);
  expect(found("(.*")).toEqual([]);
});

it("the service is asked for one word, without an owner where it lists none", () => {
  expect(wordOf("a  notes of")).toBe("notes");
  expect(wordOf(" @demo/soap a")).toBe("@demo/soap");
  expect(bareWordOf("@demo/soap")).toBe("soap");
  expect(bareWordOf("a  notes of")).toBe("notes");
  expect(bareWordOf("@demo/")).toBe("");
});
