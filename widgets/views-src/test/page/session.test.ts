import { expect, it } from "vitest";
import { HostError, wordsOf } from "../../src/host/host";
import { Session } from "../../src/page/session";
import { ScriptedHost } from "../support/scripted-host";

const LOGGED_OUT = "You are logged out. Load this page again to log in.";
const fails = (code: string) => () => {
  throw new HostError(code, `It is ${code}.`, "Send Authorization: Bearer <token>.");
};

async function said(script: Record<string, () => unknown>): Promise<{ words: string; heard: boolean[] }> {
  const heard: boolean[] = [];
  const session = new Session(new ScriptedHost(script), (loggedIn) => heard.push(loggedIn));
  const words = await session.call("jobs.list").then(() => "well", wordsOf);
  return { words, heard };
}

it("a session that is over is said in words for a reader", async () => {
  const { words, heard } = await said({ "jobs.list": fails("not_authenticated") });
  expect([words, heard]).toEqual([LOGGED_OUT, [false]]);
});

it("a session whose XSRF token is of an older login is over too", async () => {
  const { words, heard } = await said({ "jobs.list": fails("not_allowed"), whoami: fails("not_allowed") });
  expect([words, heard]).toEqual([LOGGED_OUT, [false]]);
});

it("whoever may not do something is not logged out", async () => {
  const { words, heard } = await said({ "jobs.list": fails("not_allowed"), whoami: () => ({ id: "tn_1" }) });
  expect(words).toContain("not_allowed");
  expect(heard).toEqual([]);
});

it("a service that is away is not a session that is over", async () => {
  for (const [code, whoami] of [["unavailable", fails("unavailable")], ["not_allowed", fails("network")]] as const) {
    const { words, heard } = await said({ "jobs.list": fails(code), whoami });
    expect(words).toContain(code);
    expect(heard).toEqual([]);
  }
});

it("an answer says that there is a session, and streams are explained as well", async () => {
  expect((await said({ "jobs.list": () => [] })).heard).toEqual([true]);
  const session = new Session(new ScriptedHost({ chat: fails("not_authenticated") }), () => undefined);
  const events = session.stream("chat", {}, new AbortController().signal)[Symbol.asyncIterator]();
  await expect(events.next().catch(wordsOf)).resolves.toBe(LOGGED_OUT);
});
