import { describe, expect, it } from "vitest";
import { steps, wordsOfEdit } from "../../src/curate/history";
import { argsOf, type Filter } from "../../src/curate/filters";
import { linesOf } from "../../src/curate/report";
import type { Edit, Version } from "../../src/curate/things";

function edit(id: string, editor: string, undone = false): Edit {
  return { id, at: "2026-01-01T00:00:00Z", editor, action: "replace", record: "12", before: null, after: null, undone, batch: null, records: 1, forgotten: false };
}

describe("undo and redo", () => {
  it("are of the reader's own edits, the newest first", () => {
    const edits = [edit("4", "@other"), edit("3", "@me", true), edit("2", "@me", true), edit("1", "@me")];
    expect(steps(edits, "@me")).toEqual({ undo: edits[3], redo: edits[2] });
    expect(steps(edits, "@other")).toEqual({ undo: edits[0], redo: null });
    expect(steps([], "@me")).toEqual({ undo: null, redo: null });
  });

  it("end with a new edit what can be redone", () => {
    expect(steps([edit("2", "@me"), edit("1", "@me", true)], "@me").redo).toBeNull();
  });

  it("say what they are about", () => {
    expect(wordsOfEdit(edit("1", "@me"))).toBe("changed record 12");
    expect(wordsOfEdit({ ...edit("1", "@me"), action: "remove", record: null, records: 1200, batch: "bulk" })).toBe("removed 1,200 records");
  });

  it("pass over what was forgotten", () => {
    expect(steps([{ ...edit("2", "@me"), forgotten: true }, edit("1", "@me")], "@me").undo?.id).toBe("1");
  });
});

describe("a filter", () => {
  const none: Filter = { search: " ", field: "user", file: "", kind: "", language: "", flag: "", split: "", min_length: "", max_length: "", group: "", edited: false, duplicates: false, near_duplicates: false };

  it("asks only for what it sets", () => {
    expect(argsOf(none)).toEqual({});
    expect(argsOf({ ...none, search: " fever ", file: "fi_1", kind: "chat", edited: true, min_length: "12.7", group: "3" })).toEqual({
      search: "fever",
      field: "user",
      file: "fi_1",
      kind: "chat",
      edited: true,
      min_length: 12,
      group: 3,
    });
  });
});

describe("a report", () => {
  const version = { records: 1200, duplicates_dropped: 3 } as Version;

  it("says what it knows", () => {
    const report = {
      kinds: { chat: 1100, text: 100 },
      files: [{ name: "a.json", records: 1199 }, { name: null, records: 1 }],
      files_left_out: 2,
      edits: 4,
      characters: { min: 1, median: 4, max: 90, total: 5000 },
    };
    expect(Object.fromEntries(linesOf({ ...version, report }))).toEqual({
      Records: (1200).toLocaleString(),
      "Duplicates dropped": "3",
      Kinds: `Chat ${(1100).toLocaleString()}, Text 100`,
      Files: `a.json (${(1199).toLocaleString()}), added by hand (1), and 2 more`,
      "Edits by hand": "4",
      Characters: (5000).toLocaleString(),
      "Characters of one record": "1 to 90, median 4",
    });
  });

  it("counts decisions although the draft changed afterwards", () => {
    const report = { kinds: {}, files: [], files_left_out: 0, edits: 0, characters: { min: 1, median: 4, max: 90, total: 5000 }, review: { pii: { open: 1, decided: 2 } }, decided: { exact: 1, pii: 2 } };
    expect(Object.fromEntries(linesOf({ ...version, report })).Review).toBe("Personal data: 2 decided, 1 left open; Exact duplicates: 1 decided, the draft changed afterwards");
  });

  it("of an older version may be missing", () => {
    expect(linesOf({ ...version, report: null })).toHaveLength(2);
    expect(linesOf(version)).toHaveLength(2);
  });
});
