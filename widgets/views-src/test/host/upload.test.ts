import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { HostError, type Json } from "../../src/host/host";
import { PART_BYTES, type Sender, upload } from "../../src/host/upload";

type Row = { state: "receiving" | "importing" | "ready"; bytes: number; content: string };

/** Takes parts as the service does (adaptery_hub/uploads.py), for one name. */
class Taker implements Sender {
  row: Row | null = null;
  part = "";
  readonly parts: string[] = [];
  looks = 0;
  /** Called before a part is taken; may throw as a dead line does. */
  beforePart: (index: number) => void = () => undefined;
  /** Called after it. */
  afterPart: (index: number) => void = () => undefined;
  beforeLook: () => void = () => undefined;

  readonly fetch: Sender["fetch"] = async ({ method, body }, _signal, headers = {}) => {
    if (method === "GET") return this.look();
    const [first, last, total] = /bytes (\d+)-(\d+)\/(\d+)/.exec(headers["Content-Range"]!)!.slice(1).map(Number) as [number, number, number];
    const index = this.parts.push(`${first}-${last}`) - 1;
    this.beforePart(index);
    if (first > 0 && first !== this.part.length) throw new HostError("conflict", `${this.part.length} bytes are received.`);
    this.part = this.part.slice(0, first) + (await (body as Blob).text());
    const answer = last + 1 === total ? this.whole() : this.received();
    this.afterPart(index);
    return answer;
  };

  private look(): Response {
    this.looks++;
    this.beforeLook();
    if (this.row === null) throw new HostError("not_found", "There is no such file.");
    const { content: _, ...row } = this.row;
    return Response.json(row.state === "receiving" ? { ...row, bytes: this.part.length } : row);
  }

  private received(): Response {
    if (this.row?.state === "ready") return Response.json({ state: "ready", bytes: this.row.bytes }, { status: 202 });
    this.row = { state: "receiving", bytes: this.part.length, content: "" };
    return Response.json({ state: "receiving" }, { status: 202 });
  }

  private whole(): Response {
    const content = this.part;
    this.part = "";
    if (this.row?.state === "ready") {
      if (this.row.content !== content) throw new HostError("conflict", "other content");
      return Response.json({ state: "ready", name: "old" }, { status: 200 });
    }
    this.row = { state: "ready", bytes: content.length, content };
    return Response.json({ state: "ready", name: "new" }, { status: 201 });
  }
}

const BIG = "x".repeat(PART_BYTES) + "y".repeat(PART_BYTES) + "z";
const lost = (): never => {
  throw new HostError("network", "The connection is lost.");
};

async function send(taker: Taker, content: string, signal = new AbortController().signal): Promise<Json[]> {
  const events: Json[] = [];
  for await (const event of upload(taker, "api/datasets/ds/files/a.json", { content: new Blob([content]) }, signal)) events.push(event);
  return events;
}

/** The events of an upload whose pauses take no time. */
async function sent(taker: Taker, content: string): Promise<Json[]> {
  const sending = send(taker, content);
  sending.catch(() => undefined);
  let over = false;
  void sending.finally(() => (over = true)).catch(() => undefined);
  while (!over) await vi.advanceTimersByTimeAsync(5000);
  return sending;
}

describe("an upload", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
  afterEach(() => void vi.useRealTimers());

  it("goes in parts and says how far it is", async () => {
    const taker = new Taker();
    const events = await sent(taker, BIG);
    expect(events.slice(0, 3)).toEqual([0, PART_BYTES, 2 * PART_BYTES].map((sent) => ({ sent, total: BIG.length })));
    expect(events[3]).toMatchObject({ state: "ready", name: "new" });
    expect(taker.row?.content).toBe(BIG);
  });

  it("goes on where a lost line broke it", async () => {
    const taker = new Taker();
    taker.beforePart = (index) => void (index === 1 && lost());
    await sent(taker, BIG);
    expect(taker.parts.map((part) => Number(part.split("-")[0]))).toEqual([0, PART_BYTES, PART_BYTES, 2 * PART_BYTES]);
  });

  it("is not sent again when only its last answer was lost", async () => {
    const taker = new Taker();
    taker.afterPart = (index) => void (index === 2 && lost());
    expect((await sent(taker, BIG)).at(-1)).toMatchObject({ state: "ready", bytes: BIG.length });
    expect(taker.parts).toHaveLength(3);
  });

  it("of one part is sent again then: the service knows its own", async () => {
    const taker = new Taker();
    taker.afterPart = (index) => void (index === 0 && lost());
    expect((await sent(taker, "small")).at(-1)).toMatchObject({ state: "ready", name: "old" });
    expect(taker.parts).toHaveLength(2);
  });

  it("waits for records that are being imported when its last answer was lost", async () => {
    const taker = new Taker();
    taker.afterPart = (index) => {
      if (index < 2) return;
      taker.row = { state: "importing", bytes: BIG.length, content: BIG };
      lost();
    };
    taker.beforeLook = () => void (taker.looks === 4 && (taker.row!.state = "ready"));
    expect((await sent(taker, BIG)).at(-1)).toMatchObject({ state: "ready", bytes: BIG.length });
    expect(taker.parts).toHaveLength(3);
  });

  it("learns why it was refused when that answer was lost", async () => {
    const taker = new Taker();
    taker.afterPart = (index) => {
      taker.row = null; // refused: nothing stays
      if (index === 0) lost();
      throw new HostError("record_invalid", "1 of 2 records is not valid.");
    };
    await expect(sent(taker, "small")).rejects.toMatchObject({ code: "record_invalid" });
  });

  it("is sent again when the service was killed with all bytes and no record", async () => {
    const taker = new Taker();
    taker.beforePart = (index) => {
      if (index > 0) return;
      taker.part = "small";
      taker.row = { state: "receiving", bytes: 5, content: "" };
      lost();
    };
    expect((await sent(taker, "small")).at(-1)).toMatchObject({ name: "new" });
  });

  it("outlives a service that has not noticed yet that the line is dead", async () => {
    const taker = new Taker();
    taker.beforePart = (index) => {
      if (index === 1) lost();
      if (index === 2) throw new HostError("conflict", "Another request is uploading this file.");
    };
    expect((await sent(taker, BIG)).at(-1)).toMatchObject({ name: "new" });
  });

  it("of the same file under the same name finds it there", async () => {
    const taker = new Taker();
    taker.row = { state: "ready", bytes: BIG.length, content: BIG };
    expect((await sent(taker, BIG)).at(-1)).toMatchObject({ name: "old" });
    expect(taker.parts).toHaveLength(3);
  });

  it("of other content under the same name is refused, and at once if the sizes differ", async () => {
    const taker = new Taker();
    taker.row = { state: "ready", bytes: BIG.length, content: BIG };
    await expect(sent(taker, BIG.replace("z", "w"))).rejects.toMatchObject({ code: "conflict" });
    expect(taker.row.content).toBe(BIG);
    taker.parts.length = 0;
    await expect(sent(taker, `${BIG}more`)).rejects.toMatchObject({ code: "conflict" });
    expect(taker.parts).toHaveLength(1);
  });

  it("of other content never passes for the old file when its last answer was lost", async () => {
    const taker = new Taker();
    taker.row = { state: "ready", bytes: 5, content: "small" };
    taker.beforePart = (index) => void (index === 0 && lost());
    await expect(sent(taker, "SMALL")).rejects.toMatchObject({ code: "conflict" });
  });

  it("gives up on a line that stays dead", async () => {
    const taker = new Taker();
    taker.beforePart = () => lost();
    await expect(sent(taker, "small")).rejects.toMatchObject({ code: "network" });
  });
});
