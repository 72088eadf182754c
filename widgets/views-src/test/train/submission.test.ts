import { expect, it } from "vitest";
import { HostError } from "../../src/host/host";
import { Submission, type Wanted } from "../../src/train/submission";
import { page, ScriptedHost } from "../support/scripted-host";
import { job } from "../support/things";

const WANTED: Wanted = { task: "training-v0", name: "visits", dataset: "dv_1", base_model: null, options: {} };
const signal = new AbortController().signal;
const quiet = (): void => undefined;

function losing(): ScriptedHost {
  return new ScriptedHost({
    "jobs.list": () => page(job("jb_old")),
    "jobs.submit": () => {
      throw new HostError("timeout", "No answer for 30 seconds.");
    },
  });
}

it("says so when no job has arrived, and looks once more before it sends again", async () => {
  const host = losing();
  const submission = new Submission(1);
  await expect(submission.send(host, WANTED, signal, quiet)).rejects.toMatchObject({ code: "lost_answer" });
  expect(submission.open).toBe(true);
  host.answer("jobs.list", () => page(job("jb_late"), job("jb_old")));
  const changed = { ...WANTED, name: "other" };
  expect(await submission.send(host, changed, signal, quiet)).toMatchObject({ job: { id: "jb_late" }, found: true });
  expect(host.asks("jobs.submit")).toHaveLength(1);
});

it("sends again when it has still not arrived", async () => {
  const host = losing();
  const submission = new Submission(1);
  await expect(submission.send(host, WANTED, signal, quiet)).rejects.toMatchObject({ code: "lost_answer" });
  host.answer("jobs.submit", () => job("jb_new"));
  expect(await submission.send(host, WANTED, signal, quiet)).toMatchObject({ job: { id: "jb_new" }, found: false });
  expect(submission.open).toBe(false);
});

it("sees a refusal as a refusal", async () => {
  const host = losing();
  host.answer("jobs.submit", () => {
    throw new HostError("quota", "There are 100 open jobs.");
  });
  const submission = new Submission(1);
  await expect(submission.send(host, WANTED, signal, quiet)).rejects.toMatchObject({ code: "quota" });
  expect(submission.open).toBe(false);
});
