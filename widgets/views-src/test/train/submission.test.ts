import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { HostError } from "../../src/host/host";
import { Submission } from "../../src/train/submission";
import type { Wanted } from "../../src/train/wanted";
import { ScriptedHost } from "../support/scripted-host";
import { job } from "../support/things";

const WANTED: Wanted = { task: "training-v0", name: "visits", dataset: "dv_1", base_model: null, options: {} };
const here = new AbortController().signal;
const quiet = (): void => undefined;
beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function refusing(code: string, times = Infinity): ScriptedHost {
  let asked = 0;
  return new ScriptedHost({
    "jobs.submit": () => {
      if (++asked <= times) throw new HostError(code, "No.");
      return job("jb_new");
    },
  });
}

const keys = (host: ScriptedHost): unknown[] => host.asks("jobs.submit").map(({ key }) => key);

it("repeats the same request while the answer is lost", async () => {
  const host = refusing("timeout", 2);
  const heard: boolean[] = [];
  const sending = new Submission().send(host, WANTED, here, (error) => heard.push(error === null));
  await vi.advanceTimersByTimeAsync(60_000);
  expect(await sending).toMatchObject({ id: "jb_new" });
  expect(host.asks("jobs.submit")).toEqual(Array(3).fill({ ...WANTED, key: expect.stringMatching(/^[A-Za-z0-9_-]{1,64}$/) }));
  expect(new Set(keys(host)).size).toBe(1);
  expect(heard).toEqual([false, false, true]);
});

it("keeps its key for the same job until there is an answer, and has another for every other job", async () => {
  const host = refusing("internal", 2);
  const submission = new Submission();
  const send = (name: string): Promise<unknown> => submission.send(host, { ...WANTED, name }, here, quiet);
  await expect(send("visits")).rejects.toMatchObject({ code: "internal" });
  await expect(send("visits")).rejects.toMatchObject({ code: "internal" });
  for (const name of ["letters", "letters"]) await send(name);
  const [first, again, other, last] = keys(host);
  expect(again).toBe(first);
  expect(new Set([first, other, last]).size).toBe(3);
});

it("is open only when its view went away before the answer", async () => {
  const refused = new Submission();
  await expect(refused.send(refusing("quota"), WANTED, here, quiet)).rejects.toMatchObject({ code: "quota" });
  expect(refused.open).toBe(false);

  const host = refusing("network", 1);
  const submission = new Submission();
  const view = new AbortController();
  const sending = submission.send(host, WANTED, view.signal, quiet);
  view.abort();
  await expect(sending).rejects.toThrow();
  expect(submission.open).toBe(true);
  expect(await submission.settle(host, here, quiet)).toMatchObject({ id: "jb_new" });
  expect(new Set(keys(host)).size).toBe(1);
  expect(submission.open).toBe(false);
});
