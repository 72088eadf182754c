import { expect, it } from "vitest";
import { HostError, wordsOf } from "../../src/host/host";
import { Session } from "../../src/page/session";
import { ScriptedHost } from "../support/scripted-host";

const LOGGED_OUT = "You are logged out. Load this page again to log in.";
const fails = (code: string) => () => {
  throw new HostError(code, `It is ${code}.`, "Send Authorization: Bearer <token>.");
};

async function said(script: Record<string, () => unknown>): Promise<string> {
  return new Session(new ScriptedHost(script)).call("jobs.list").then(() => "well", wordsOf);
}

it("a session that is over is said in words for a reader", async () => {
  expect(await said({ "jobs.list": fails("not_authenticated") })).toBe(LOGGED_OUT);
});

it("a session whose XSRF token is of an older login is over too", async () => {
  expect(await said({ "jobs.list": fails("not_allowed"), whoami: fails("not_allowed") })).toBe(LOGGED_OUT);
});

it("whoever may not do something is not logged out", async () => {
  expect(await said({ "jobs.list": fails("not_allowed"), whoami: () => ({ id: "tn_1" }) })).toContain("not_allowed");
});

it("a service that is away is not a session that is over", async () => {
  expect(await said({ "jobs.list": fails("unavailable"), whoami: fails("unavailable") })).toContain("unavailable");
  expect(await said({ "jobs.list": fails("not_allowed"), whoami: fails("network") })).toContain("not_allowed");
});

it("answers pass, and streams are explained as well", async () => {
  expect(await said({ "jobs.list": () => [] })).toBe("well");
  const session = new Session(new ScriptedHost({ chat: fails("not_authenticated") }));
  const events = session.stream("chat", {}, new AbortController().signal)[Symbol.asyncIterator]();
  await expect(events.next().catch(wordsOf)).resolves.toBe(LOGGED_OUT);
});
