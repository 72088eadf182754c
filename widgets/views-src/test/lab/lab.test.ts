// The parts of the Lab extension that need no Lab; its own folder has no test tools, to stay lean.
import { describe, expect, it } from "vitest";
import { suggested } from "../../../../jupyter_ext/lab-src/src/dataset-file";
import { EndedJobs, type Job } from "../../../../jupyter_ext/lab-src/src/ended-jobs";

function job(id: string, state: string): Job {
  return { id, name: id, tenant: "@demo", state, adapter: null };
}

const ids = (jobs: Job[]): string[] => jobs.map(({ id }) => id);

describe("jobs that have ended", () => {
  it("are no news if they were over when the page was loaded", () => {
    const jobs = new EndedJobs();
    expect(jobs.look([job("jb_2", "failed"), job("jb_1", "completed")])).toEqual([]);
    expect(jobs.look([job("jb_2", "failed"), job("jb_1", "completed")])).toEqual([]);
  });

  it.each(["completed", "failed", "cancelled"])("are told once when they are %s", (state) => {
    const jobs = new EndedJobs();
    jobs.look([job("jb_1", "training")]);
    expect(ids(jobs.look([job("jb_1", state)]))).toEqual(["jb_1"]);
    expect(jobs.look([job("jb_1", state)])).toEqual([]);
    expect(jobs.waitedFor).toEqual([]);
  });

  it("are told if they began and ended between two looks", () => {
    const jobs = new EndedJobs();
    jobs.look([job("jb_1", "completed")]);
    expect(ids(jobs.look([job("jb_2", "completed"), job("jb_1", "completed")]))).toEqual(["jb_2"]);
  });

  it("are told if there was no job at first", () => {
    const jobs = new EndedJobs();
    jobs.look([]);
    expect(ids(jobs.look([job("jb_1", "failed")]))).toEqual(["jb_1"]);
  });

  it("are no news if they only moved up in the list", () => {
    const jobs = new EndedJobs();
    jobs.look([job("jb_3", "completed"), job("jb_2", "completed")]);
    expect(jobs.look([job("jb_3", "completed"), job("jb_1", "completed")])).toEqual([]);
  });

  it("are waited for until they are over, or gone", () => {
    const jobs = new EndedJobs();
    jobs.look([job("jb_2", "queued"), job("jb_1", "training")]);
    expect(jobs.waitedFor).toEqual(["jb_2", "jb_1"]);
    jobs.forget("jb_2");
    jobs.look([job("jb_1", "completed")]);
    expect(jobs.waitedFor).toEqual([]);
  });
});

describe("the name of a dataset that is made of a file", () => {
  it.each([
    ["notes.jsonl", "notes"],
    ["My Ünotes (2).JSON", "my-unotes-2"],
    ["..hidden..txt", "hidden"],
    ["日本.json", "dataset"],
    ["a.b_c-d.txt", "a.b_c-d"],
    [`${"x".repeat(80)}.json`, "x".repeat(64)],
  ])("%s becomes %s", (file, name) => {
    expect(suggested(file)).toBe(name);
  });
});
