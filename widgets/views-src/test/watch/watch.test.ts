// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Args, HostError, type Json } from "../../src/host/host";
import type { Job } from "../../src/host/things";
import type { JobEvent } from "../../src/watch/run";
import { mount } from "../../src/watch/watch";
import { eventually, page, ScriptedHost } from "../support/scripted-host";
import { STATISTICS } from "../support/things";
import { ADAPTER, COMPLETED, eventOf, jobOf, metricsOf } from "./events";

/** A service with one job, whose events are told as they are written here. */
class Service {
  job: Job = jobOf();
  events: JobEvent[] = [];
  /** The next streams break off after so many events. */
  breaks: number[] = [];
  readonly asked: number[] = [];
  private wake: () => void = () => undefined;

  readonly host = new ScriptedHost({
    "view.start": () => ({ job: "jb_01" }),
    "jobs.get": () => ({ ...this.job }),
    "jobs.checkpoints": () => page(),
    whoami: () => ({ scopes: ["read", "write"] }),
    "jobs.metrics": () => page(...this.events.filter(({ kind }) => kind === "metrics")),
    "jobs.log": (args) => this.page(args, ["log", "error"]),
    "jobs.events": (args, signal) => this.stream(Number(args.after), signal!),
    "adapters.get": () => ADAPTER,
  });

  tell(...events: JobEvent[]): void {
    this.events.push(...events);
    this.wake();
  }

  end(changes: Partial<Job>): void {
    this.job = { ...this.job, ...changes };
    this.tell(eventOf(this.events.length + 1000, "state", { state: this.job.state }));
  }

  private page({ after, limit }: Args, kinds: string[]): unknown {
    const items = this.events.filter(({ seq, kind }) => kinds.includes(kind) && seq > Number(after));
    return { items: items.slice(0, Number(limit)), has_more: items.length > Number(limit) };
  }

  private async *stream(after: number, signal: AbortSignal): AsyncGenerator<Json> {
    this.asked.push(after);
    let left = after > 0 ? (this.breaks.shift() ?? Infinity) : Infinity;
    for (let seen = after; !signal.aborted; ) {
      const events = this.events.filter(({ seq }) => seq > seen);
      for (const event of events) {
        if (left-- <= 0) throw new HostError("network", "The connection is lost.");
        seen = event.seq;
        yield event as unknown as Json;
      }
      if (this.job.state !== "training") return;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
        signal.addEventListener("abort", () => resolve());
      });
    }
  }
}

let service: Service;
let root: HTMLElement;
let unmount: () => void;

const text = (selector = ".ady-watch"): string => root.querySelector(selector)?.textContent ?? "";
const button = (words: string): HTMLButtonElement | undefined =>
  [...root.querySelectorAll("button")].find((each) => each.textContent === words && !each.hidden);
const opened = (): Args[] => service.host.asks("view.open");

function show(): void {
  unmount = mount(root, service.host);
}

/** The steps that the table of the loss chart shows. */
function steps(): number[] {
  const chart = root.querySelector(".ady-chart")!;
  const toggle = chart.querySelector<HTMLButtonElement>("[aria-expanded]")!;
  if (toggle.getAttribute("aria-expanded") === "false") toggle.click();
  return [...chart.querySelectorAll("tbody th")].map((head) => Number(head.textContent));
}

beforeEach(() => {
  service = new Service();
  root = document.createElement("div");
  document.body.replaceChildren(root);
});
afterEach(() => unmount());

describe("the view of a running job", () => {
  beforeEach(() => {
    service.job = jobOf({ total_steps: 120 });
    service.tell(metricsOf(2, 1), eventOf(3, "log", { level: "warning", message: "slow disk" }), metricsOf(4, 2));
  });

  it("shows the past, then what comes", async () => {
    show();
    await eventually(() => text("header").includes("Step 2 of 120"));
    await eventually(() => text(".lines").includes("warningslow disk"));
    service.tell(metricsOf(5, 60));
    await eventually(() => text("header").includes("Step 60 of 120"));
    expect(text("header")).toContain("50%");
    expect(root.querySelector("progress")!.value).toBe(0.5);
    await eventually(() => steps().join() === "1,2,60");
    expect(service.host.asks("view.here")).toEqual([{ title: "Job soap", start: { job: "jb_01" } }]);
  });

  it("goes on where a connection broke off, without gap or repetition", async () => {
    service.breaks = [2];
    show();
    await eventually(() => text("header").includes("Step 2 of 120"));
    service.tell(...[3, 4, 5, 6].map((step) => metricsOf(step + 2, step)));
    await eventually(() => text("[role=alert]").includes("The connection is lost"));
    await eventually(() => text("header").includes("Step 6 of 120"));
    await eventually(() => steps().join() === "1,2,3,4,5,6");
    expect(service.asked).toEqual([4, 6]);
    expect(text("[role=alert]")).toBe("");
  });

  it("asks a long run for as many points as look like all of them, and then goes on live", async () => {
    const last = metricsOf(200_004, 200_000);
    service.events = [metricsOf(2, 1), metricsOf(90_000, 90_000, { loss: 50 }), last];
    service.job = jobOf({ step: 200_000, total_steps: 250_000 });
    show();
    await eventually(() => text("header").includes("Step 200,000 of 250,000"));
    expect(service.host.asks("jobs.metrics")).toEqual([{ job: "jb_01", points: 5000 }]);
    await eventually(() => service.asked.length === 1);
    expect(service.asked).toEqual([200_004]);
    service.tell(metricsOf(200_005, 200_001, { eval_loss: 1 }));
    await eventually(() => steps().length === 4);
    expect(text(".ady-chart")).toContain("Eval loss 1");
  });

  it("has a chart of what the stage tells, and none of what it does not", async () => {
    const charts = (): string[] => [...root.querySelectorAll<HTMLElement>(".ady-chart")].filter((chart) => !chart.hidden && !chart.closest("[hidden]")).map((chart) => chart.querySelector(".title")!.textContent!);
    show();
    await eventually(() => charts().length > 0);
    expect(charts()).toEqual(["Loss", "Learning rate", "Epoch", "Step epoch"]);
    service.tell(metricsOf(5, 3, { reward_accuracy: 0.75, tokens_per_second: 300 }));
    await eventually(() => charts().length === 6);
    expect(charts().slice(4)).toEqual(["Accuracy", "Speed"]);
  });

  it("lists the checkpoints that are kept, which can be talked to", async () => {
    const kept = (step: number, model: string | null): object => ({ id: `ck_${step}`, step, bytes: 4_000_000, metrics: { loss: 2.5, eval_loss: null }, created_at: "2026-03-01T10:00:30Z", model });
    service.host.answer("jobs.checkpoints", () => page(kept(50, null)));
    show();
    await eventually(() => text(".checkpoints").includes("4 MB"));
    expect(button("Chat")).toBeUndefined();
    service.host.answer("jobs.checkpoints", () => page(kept(50, null), kept(100, "jb_01-step100")));
    service.tell(eventOf(5, "checkpoint", { step: 100 }));
    await eventually(() => button("Chat"));
    expect([...root.querySelectorAll(".checkpoints tbody th")].map(({ textContent }) => textContent)).toEqual(["100", "50"]);
    button("Chat")!.click();
    expect(opened()).toEqual([{ view: "chat", start: { model: "jb_01-step100" } }]);
  });

  it("offers what else can be done", async () => {
    service.job = jobOf({ ...COMPLETED, right: "manage" });
    service.host.answer("jobs.statistics", () => STATISTICS);
    service.host.answer("jobs.delete", () => null);
    show();
    await eventually(() => button("Statistics"));
    button("Statistics")!.click();
    await eventually(() => text("dialog").includes("Most memory1.2 GB"));
    button("Close")!.click();
    button("Compare")!.click();
    button("Delete")!.click();
    button("Delete the job")!.click();
    await eventually(() => opened().length === 2);
    expect(opened()).toEqual([
      { view: "jobs", start: { compare: "jb_01" } },
      { view: "jobs", start: {} },
    ]);
  });

  it("replaces the steps of a lost attempt", async () => {
    show();
    await eventually(() => text("header").includes("Step 2 of 120"));
    service.job = { ...service.job, attempts: 2 };
    service.tell(metricsOf(5, 3), eventOf(6, "state", { state: "queued" }), metricsOf(7, 2));
    await eventually(() => steps().join() === "1,2");
    await eventually(() => text("header").includes("attempt 2"));
  });

  it("leads to ClearML's page of a job, and says how old its word is", async () => {
    const clearml = { task: "0a1b", url: "https://clearml.example/projects/*/experiments/0a1b", status: "queued", seen_at: "2026-01-02T03:04:05Z" };
    service.job = jobOf({ clearml });
    show();
    await eventually(() => text(".facts").includes("(queued, "));
    const link = document.querySelector<HTMLAnchorElement>(".facts a");
    expect([link?.href, link?.rel]).toEqual([clearml.url, "noopener noreferrer"]);
    service.job = jobOf({ clearml: { ...clearml, url: "javascript:alert(1)" } });
    unmount();
    show();
    await eventually(() => text(".facts").includes("0a1b"));
    expect(document.querySelector(".facts a")).toBeNull();
  });

  it("does not claim epochs where the steps are fixed", async () => {
    service.job = jobOf({ options: { epochs: 3, max_steps: 120 } });
    show();
    await eventually(() => text(".facts").includes("not used: Max steps decides"));
    expect(text(".facts")).toContain("Max steps120");
  });

  it("becomes the view of a completed one", async () => {
    show();
    await eventually(() => text("header").includes("Step 2 of 120"));
    expect(button("Chat with it")).toBe(undefined);
    service.end({ ...COMPLETED, actions: jobOf(COMPLETED).actions });
    await eventually(() => button("Chat with it"));
    await eventually(() => text(".facts").includes("4.2 MB"));
    expect(text(".facts")).toContain("Mean loss train_loss1.841");
    expect(text(".facts")).toContain("2 min 5 s");
    button("Chat with it")!.click();
    expect(opened()).toEqual([{ view: "chat", start: { model: "@demo/soap@2" } }]);
    expect(button("Cancel")).toBe(undefined);
  });

  it("cancels after a question", async () => {
    service.host.answer("jobs.cancel", () => {
      service.job = jobOf({ cancel_requested: true });
      return service.job;
    });
    show();
    await eventually(() => button("Cancel"));
    button("Cancel")!.click();
    expect(service.host.asks("jobs.cancel")).toEqual([]);
    button("Cancel the job")!.click();
    await eventually(() => text(".chip") === "cancelling …");
    expect(service.host.asks("jobs.cancel")).toEqual([{ job: "jb_01" }]);
  });

  it("says why it cannot be cancelled", async () => {
    service.host.answer("jobs.cancel", () => {
      throw new HostError("not_allowed", "You may only look at this job.");
    });
    show();
    await eventually(() => button("Cancel"));
    button("Cancel")!.click();
    button("Cancel the job")!.click();
    await eventually(() => text("[role=alert]").includes("You may only look at this job."));
    expect(text(".chip")).toBe("training");
  });

  it("ends all it started", async () => {
    show();
    await eventually(() => service.asked.length === 1);
    unmount();
    const asked = service.host.asked.length;
    service.tell(metricsOf(5, 3));
    await new Promise((resolve) => setTimeout(resolve));
    expect(service.host.asked.length).toBe(asked);
    expect(root.childElementCount).toBe(0);
  });
});

describe("the view of another job", () => {
  it("says where a waiting one stands", async () => {
    service.job = jobOf({ state: "queued", position: 3, reason: "waiting for a free slot", started_at: null });
    service.host.answer("jobs.events", async function* () {});
    show();
    await eventually(() => text("[role=status]") === "Position 3 in the queue. Waiting for a free slot.");
    button("Clone")!.click();
    button("← All jobs")!.click();
    expect(opened()).toEqual([
      { view: "train", start: { job: "jb_01" } },
      { view: "jobs", start: {} },
    ]);
  });

  it("says why one failed and what to do", async () => {
    service.job = jobOf({ state: "failed", reason: "The machine has no memory left; choose a lower rank", finished_at: "2026-03-01T10:01:00Z" });
    service.tell(eventOf(1, "error", { code: "no_memory", reason: "The machine has no memory left.", remedy: "choose a lower rank" }));
    show();
    await eventually(() => text(".failure").includes("What to do: Choose a lower rank."));
    await eventually(() => text(".lines").includes("error"));
    button("Change it and run again")!.click();
    expect(opened()).toEqual([{ view: "train", start: { job: "jb_01" } }]);
  });
});

describe("the view without a job", () => {
  beforeEach(() => service.host.answer("view.start", () => null));

  it("shows the newest that is training", async () => {
    service.host.answer("jobs.list", () => page(jobOf({ id: "jb_09", state: "queued" }), jobOf()));
    show();
    await eventually(() => text("h2") === "soap");
    expect(service.host.asks("view.here")).toEqual([{ title: "Job soap", start: { job: "jb_01" } }]);
  });

  it("says what to do if there is none", async () => {
    service.host.answer("jobs.list", () => page());
    show();
    await eventually(() => button("Train an adapter"));
    button("Train an adapter")!.click();
    expect(opened()).toEqual([{ view: "train", start: {} }]);
  });

  it("tells that the one it was asked for is not there", async () => {
    service.host.answer("view.start", () => ({ job: "jb_99" }));
    service.host.answer("jobs.get", () => {
      throw new HostError("not_found", "There is nothing here that you may see.");
    });
    show();
    await eventually(() => text().includes("There is no such job, or you have no right to see it."));
    expect(button("All jobs")).toBeTruthy();
    expect(text("[role=alert]")).toBe("");
  });
});

describe("sharing a job", () => {
  const shares = (): string[] => [...root.querySelectorAll<HTMLElement>("header button")].filter(({ hidden, textContent }) => !hidden && textContent!.startsWith("Share")).map(({ textContent }) => textContent!);

  it("is for who manages it, and its adapter for who manages that", async () => {
    service.job = jobOf({ ...COMPLETED, right: "manage" });
    show();
    await eventually(() => shares().length === 2);
    expect(shares()).toEqual(["Share job", "Share adapter"]);
  });

  it("shows nothing any more of a job that the reader may no longer see", async () => {
    show();
    await eventually(() => text("h2") !== "");
    service.host.answer("jobs.get", () => {
      throw new HostError("not_found", "There is no such thing.");
    });
    service.end({ state: "completed" });
    await eventually(() => text().includes("no right to see it"));
    expect(text("h2")).toBe("");
    button("All jobs")!.click();
    expect(opened()).toEqual([{ view: "jobs", start: {} }]);
  });

  it("leaves a reader what reading allows: no cancelling, no sharing, no chat with what is not theirs", async () => {
    service.job = { ...service.job, right: "view", actions: ["clone", "compare"] };
    show();
    await eventually(() => text("h2") !== "");
    expect(shares()).toEqual([]);
    expect(button("Cancel")).toBeUndefined();
    unmount();
    service.job = jobOf({ ...COMPLETED, right: "view" });
    service.host.answer("adapters.get", () => {
      throw new HostError("not_found", "There is no such thing.");
    });
    show();
    await eventually(() => service.host.asks("adapters.get").length > 0 && button("Chat with it") === undefined);
    expect(shares()).toEqual([]);
    expect(text("[role=alert]")).toBe("");
  });
});
