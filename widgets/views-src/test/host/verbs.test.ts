// The examples are those of tests/contract/test_verbs.py: every host reads the table of verbs alike.
import { describe, expect, it } from "vitest";
import EXAMPLES from "../../../../tests/contract/verb_examples.json";
import { type Args, HostError } from "../../src/host/host";
import { requestOf } from "../../src/host/verbs";

describe("what a verb means", () => {
  it.each(EXAMPLES.map((example) => [`${example.verb} ${JSON.stringify(example.args)}`, example] as const))("%s", (_, example) => {
    const args = example.args as unknown as Args;
    if (example.error !== undefined) {
      expect(() => requestOf(example.verb, args)).toThrowError(HostError);
      expect(codeOf(() => requestOf(example.verb, args))).toBe(example.error);
      return;
    }
    const request = requestOf(example.verb, args);
    const [path, query] = request.path.split("?") as [string, string | undefined];
    expect(request.kind).toBe(example.kind);
    expect(request.method).toBe(example.method);
    expect(path.split("/").map(decodeURIComponent)).toEqual(example.path);
    expect(Object.fromEntries(new URLSearchParams(query))).toEqual(example.query);
    expect(request.body).toEqual(example.body);
  });
});

function codeOf(act: () => unknown): string | null {
  try {
    act();
  } catch (error) {
    if (error instanceof HostError) return error.code;
  }
  return null;
}
