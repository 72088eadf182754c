import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";
import { snippetsOf, type Target } from "../../src/keys/snippets";

const TARGET: Target = { service: "https://hub.example.edu/services/adaptery/", models: ["@demo/soap@1"], infers: true, sealed: false, secret: null };
const text = (name: string, changes: Partial<Target> = {}): string => snippetsOf({ ...TARGET, ...changes }).find((one) => one.name === name)!.text;
const ALL = ["openai", "langchain", "curl"];

it("uses the address of the one adapter of a key, and of several the service's", () => {
  for (const name of ALL) {
    expect(text(name)).toContain("https://hub.example.edu/services/adaptery/a/@demo/soap@1/v1");
    expect(text(name, { models: ["@demo/soap@1", "radiology/x@2"] })).toContain("https://hub.example.edu/services/adaptery/v1");
    expect(text(name)).toContain("@demo/soap@1");
  }
});

it("holds the secret only while it is given", () => {
  for (const name of ALL) {
    expect(text(name)).toContain("ak-...");
    expect(text(name, { secret: "ak-secret" })).toContain("ak-secret");
    expect(text(name, { secret: "ak-secret" })).not.toContain("ak-...");
  }
});

it("gives only lines that seal where a restricted adapter is asked", () => {
  expect(snippetsOf({ ...TARGET, sealed: true }).map(({ name }) => name)).toEqual(["openai"]);
  expect(text("openai", { sealed: true })).toContain("    http_client=adaptery.SealingClient(),\n)");
  expect(text("openai", { sealed: true })).toContain("# pip install openai 'adaptery[sealed]'\nimport adaptery\nfrom openai");
  expect(text("openai")).not.toContain("adaptery.");
  expect(snippetsOf({ ...TARGET, sealed: true, infers: false }).map(({ name }) => name)).toEqual(["curl"]);
});

it("asks for a bounded answer", () => {
  for (const name of ALL) expect(text(name)).toMatch(/"?max_tokens"?[=:]200/);
});

it("lists what a key may ask that may only list", () => {
  expect(snippetsOf({ ...TARGET, infers: false }).map(({ name }) => name)).toEqual(["curl"]);
  expect(text("curl", { infers: false })).toContain("'https://hub.example.edu/services/adaptery/v1/models'");
});

it("is one program and nothing else, whatever a name holds", () => {
  const models = [`@o'brien "$(id)" \`id\`/\\so'ap@1`];
  const said = execFileSync("bash", ["-c", text("curl", { models }).replace(/^curl/, "printf '%s\\n'")], { encoding: "utf8" });
  const [address = "", , header = "", , , , body = ""] = said.trimEnd().split("\n");
  expect(address).toBe(`https://hub.example.edu/services/adaptery/a/@o'brien%20%22%24(id)%22%20%60id%60/%5Cso'ap@1/v1/chat/completions`);
  expect(header).toBe("Authorization: Bearer ak-...");
  expect((JSON.parse(body) as { model: string }).model).toBe(models[0]);
  expect(text("openai", { models })).toContain(JSON.stringify(models[0]));
});
