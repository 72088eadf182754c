// @vitest-environment happy-dom
import { afterEach, describe, expect, it, vi } from "vitest";
import { download, nameOf } from "../../src/host/download";

afterEach(() => vi.restoreAllMocks());

describe("a file that is fetched", () => {
  it("is handed to the reader under the name that the service gives it", async () => {
    const clicked: string[] = [];
    vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(function (this: HTMLAnchorElement) {
      clicked.push(this.download);
    });
    const headers = { "Content-Disposition": 'attachment; filename="visits-1.csv"', "Content-Length": "4", "X-Export-Report": '{"records":1}' };
    const host = { fetch: async () => new Response("data", { headers }) };
    const events = [];
    for await (const event of download(host as never, "api/x", new AbortController().signal)) events.push(event);
    expect(events).toEqual([{ name: "visits-1.csv", bytes: 4, report: { records: 1 } }]);
    expect(clicked).toEqual(["visits-1.csv"]);
  });

  it("has no name that leads elsewhere", () => {
    expect(nameOf('attachment; filename="../../etc/passwd"')).toBe(".._.._etc_passwd");
    expect(nameOf("attachment; filename*=UTF-8''%C3%BCber%2Fall.csv")).toBe("über_all.csv");
    expect(nameOf("attachment; filename*=UTF-8''%E0%A4%A")).toBe("%E0%A4%A");
    expect(nameOf(null)).toBeNull();
  });
});
