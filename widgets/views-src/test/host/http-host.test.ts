// @vitest-environment happy-dom
import { afterEach, describe, expect, it, vi } from "vitest";
import { isPassing } from "../../src/host/host";
import { HttpHost } from "../../src/host/http-host";

/** What a Jupyter server, or the Hub in its place, answers: to the question itself, and to who follows the redirect. */
function answers(first: Response, followed: Response): void {
  vi.stubGlobal("fetch", (_url: string, { redirect }: RequestInit) => Promise.resolve(redirect === "manual" ? first : followed));
}

async function errorOf(verb: string): Promise<unknown> {
  return new HttpHost("/user/demo/adaptery/").call(verb, { dataset: "ds_1" }).catch((error: unknown) => error);
}

const redirect = { type: "opaqueredirect", ok: false, status: 0 } as Response;
const stopped = (): Response => Response.json({ message: "server no longer running" }, { status: 424 });
const refused = (): Response => Response.json({ message: "XSRF" }, { status: 403 });

afterEach(() => vi.unstubAllGlobals());

describe("a Jupyter server that is stopped", () => {
  it("is asked again, though the Hub redirects to itself", async () => {
    answers(redirect, stopped());
    expect(isPassing(await errorOf("datasets.get"))).toBe(true);
  });

  it("is asked again, though the Hub refuses what is no GET", async () => {
    answers(refused(), stopped());
    expect(isPassing(await errorOf("datasets.change"))).toBe(true);
    answers(new Response("", { status: 405 }), stopped());
    expect(isPassing(await errorOf("datasets.change"))).toBe(true);
  });
});

it("whoever is logged out hears how to go on without losing anything", async () => {
  for (const followed of [refused(), new Response("<form>", { status: 200 })]) {
    answers(redirect, followed);
    expect(await errorOf("datasets.get")).toMatchObject({ code: "not_authenticated", hint: expect.stringContaining("another tab") as string });
  }
});

it("what to do is taken out of the brackets of OpenAI's shape", async () => {
  const error = { message: "There is no such model, or you may not use it. (GET v1/models lists them)", code: "not_found" };
  vi.stubGlobal("fetch", () => Promise.resolve(Response.json({ error }, { status: 404 })));
  const asked = new HttpHost("/x/").stream("chat", { model: "m" }, new AbortController().signal)[Symbol.asyncIterator]().next();
  await expect(asked).rejects.toMatchObject({ code: "not_found", message: "There is no such model, or you may not use it.", hint: "GET v1/models lists them" });
});

it("a stream that the service may not go on with says why, and not as an event", async () => {
  const problem = { type: "about:blank", title: "Not found", status: 404, code: "not_found", detail: "There is no such thing." };
  const lines = `event: state\ndata: {"seq":1,"kind":"error","data":{"code":"x"}}\n\nevent: problem\ndata: ${JSON.stringify(problem)}\n\n`;
  vi.stubGlobal("fetch", () => Promise.resolve(new Response(lines)));
  const seen: unknown[] = [];
  const reading = (async () => {
    for await (const event of new HttpHost("/x/").stream("jobs.events", { job: "jb_1" }, new AbortController().signal)) seen.push(event);
  })();
  await expect(reading).rejects.toMatchObject({ code: "not_found", message: "There is no such thing." });
  expect(seen).toHaveLength(1);
});
