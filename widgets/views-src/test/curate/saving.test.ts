import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { addRecord, changeRecord, removeRecord } from "../../src/curate/saving";
import { newKey } from "../../src/host/key";
import { HostError } from "../../src/host/host";
import { ScriptedHost } from "../support/scripted-host";

const MINE = { kind: "text" as const, text: "mine" };
const SEEN = { id: "12", record_id: "sha256:old" };
const lost = (): never => {
  throw new HostError("network", "The connection is lost.");
};
const changed = (): never => {
  throw new HostError("record_changed", "It is not what it was.");
};
const gone = (): never => {
  throw new HostError("not_found", "There is no such record.");
};

function place(script: ConstructorParameters<typeof ScriptedHost>[0]): { host: ScriptedHost; signal: AbortSignal } {
  return { host: new ScriptedHost(script), signal: new AbortController().signal };
}

const quiet = (): void => undefined;

describe("a save", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("is tried again until somebody answers, with the same key", async () => {
    let tries = 0;
    const here = place({ "records.add": () => (++tries < 3 ? lost() : { id: "7" }) });
    const heard: boolean[] = [];
    const key = newKey();
    const adding = addRecord(here, "ds", MINE, key, (error) => heard.push(error === null));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await adding).toEqual({ id: "7" });
    expect(here.host.asks("records.add")).toEqual(Array(3).fill({ dataset: "ds", record: MINE, key }));
    expect(heard).toEqual([false, false, true]);
  });

  it("says which record it saw", async () => {
    const here = place({ "records.change": () => ({ id: "12" }) });
    expect(await changeRecord(here, "ds", SEEN, MINE, quiet)).toEqual({ saved: { id: "12" } });
    expect(here.host.asks("records.change")).toEqual([{ dataset: "ds", position: "12", record: MINE, expected: "sha256:old" }]);
  });

  it("whose answer was lost is not taken for somebody else's", async () => {
    const now = { id: "12", record_id: "sha256:new", record: { text: "mine", kind: "text" } };
    expect(await changeRecord(place({ "records.change": changed, "records.get": () => now }), "ds", SEEN, MINE, quiet)).toEqual({ saved: now });
  });

  it("of what somebody else changed or removed overwrites nothing", async () => {
    const theirs = { id: "12", record: { kind: "text", text: "theirs" } };
    expect(await changeRecord(place({ "records.change": changed, "records.get": () => theirs }), "ds", SEEN, MINE, quiet)).toEqual({ theirs });
    expect(await changeRecord(place({ "records.change": gone, "records.get": gone }), "ds", SEEN, MINE, quiet)).toEqual({ theirs: null });
  });

  it("that is refused is said", async () => {
    const refused = place({
      "records.change": () => {
        throw new HostError("record_invalid", "A record is not valid.");
      },
    });
    await expect(changeRecord(refused, "ds", SEEN, MINE, quiet)).rejects.toMatchObject({ code: "record_invalid" });
  });
});

describe("a removal", () => {
  it("of what is gone already is done", async () => {
    expect(await removeRecord(place({ "records.remove": gone }), "ds", SEEN, quiet)).toBeNull();
  });

  it("of what somebody else changed shows that instead", async () => {
    const theirs = { id: "12", record: { kind: "text", text: "theirs" } };
    expect(await removeRecord(place({ "records.remove": changed, "records.get": () => theirs }), "ds", SEEN, quiet)).toEqual(theirs);
  });
});
