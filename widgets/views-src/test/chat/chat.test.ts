// @vitest-environment happy-dom
import "../support/node-names";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { mount } from "../../src/chat/chat";
import { type Args, HostError, type Json } from "../../src/host/host";
import { eventually, page, ScriptedHost } from "../support/scripted-host";

const SOAP = { id: "ad_1", full_name: "@demo/soap@1", base_model: "tiny", sensitivity: "internal" };
const SECRET = { ...SOAP, id: "ad_2", full_name: "@demo/secret@1", sensitivity: "restricted" };
const TINY = { id: "bm_1", name: "tiny", default: true };

function chunk(content: string, finish_reason: string | null = null): Json {
  return { choices: [{ index: 0, delta: { content }, finish_reason }] };
}

const USAGE: Json = { choices: [], usage: { prompt_tokens: 3, completion_tokens: 2 } };

let unmount: () => void;
let host: ScriptedHost;

beforeEach(() => {
  host = new ScriptedHost({
    "adapters.list": () => page(SOAP),
    "base-models.list": () => page(TINY),
    "models.get": () => {
      throw new HostError("not_found", "There is no such model.");
    },
    chat: ({ model }) => [chunk(`**I am** ${model as string}`), chunk(".", "stop"), USAGE],
  });
});
afterEach(() => unmount());

function find<T extends HTMLElement = HTMLElement>(selector: string): T {
  const found = document.querySelector<T>(selector);
  if (!found) throw new Error(`nothing is ${selector}`);
  return found;
}

function all(selector: string): (string | null)[] {
  return [...document.querySelectorAll(selector)].map((node) => node.textContent);
}

function button(words: string): HTMLButtonElement {
  const found = [...document.querySelectorAll<HTMLButtonElement>("button")].find((one) => one.textContent === words && !one.closest("[hidden]") && !one.hidden);
  if (!found) throw new Error(`no button says ${words}`);
  return found;
}

function field<T extends HTMLElement>(label: string): T {
  const found = [...document.querySelectorAll("label")].find((one) => one.textContent?.startsWith(label));
  return found!.querySelector<T>("input, textarea, select")!;
}

const message = (): HTMLTextAreaElement => find("form textarea");

async function show(): Promise<void> {
  const el = document.createElement("div");
  document.body.replaceChildren(el);
  unmount = mount(el, host);
  await eventually(() => find<HTMLSelectElement>("select").options.length > 0);
}

it("leads to the keys of an adapter, and of nothing that a key cannot ask", async () => {
  host.answer("adapters.list", () => page(SOAP, SECRET));
  await show();
  button("Use from outside").click();
  await eventually(() => host.asks("view.open").length > 0);
  expect(host.asks("view.open")).toEqual([{ view: "keys", start: { adapter: "@demo/soap@1" } }]);
  const select = find<HTMLSelectElement>("select");
  for (const model of ["tiny", "@demo/secret@1"]) {
    select.value = model;
    select.dispatchEvent(new Event("change"));
    expect(() => button("Use from outside")).toThrow();
  }
});

it("begins with a checkpoint, keeps it, and leads to the keys of its adapter", async () => {
  const id = "@demo/soap@1-step3";
  host.answer("view.start", () => ({ model: id }));
  host.answer("models.get", () => ({ id, kind: "adapter", base_model: "tiny", sensitivity: "internal" }));
  await show();
  const select = find<HTMLSelectElement>("select");
  expect(select.value).toBe(id);
  expect(host.asks("view.here").at(-1)).toEqual({ title: `Chat: ${id}`, start: { model: id } });
  select.dispatchEvent(new Event("focus"));
  await eventually(() => host.asks("models.get").length === 2);
  await ask("Who are you?");
  expect((host.asks("chat").at(-1) as Args).model).toBe(id);
  button("Use from outside").click();
  expect(host.asks("view.open")).toEqual([{ view: "keys", start: { adapter: "@demo/soap@1" } }]);
});

it("takes the focus from what it was opened in, and from nothing else", async () => {
  await show();
  expect(document.activeElement).not.toBe(message());
  unmount();
  const place = document.createElement("main");
  place.tabIndex = -1;
  const el = document.createElement("div");
  place.append(el);
  document.body.replaceChildren(place);
  place.focus();
  unmount = mount(el, host);
  await eventually(() => document.activeElement === message());
});

function say(question: string): void {
  message().value = question;
  message().dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true }));
}

async function ask(question: string): Promise<void> {
  say(question);
  await answered();
}

const answered = (): Promise<void> => eventually(() => all(".writing").length === 0 && button("Send"));
const sent = (): unknown => (host.asks("chat").at(-1) as Args).messages;

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => (signal.aborted ? resolve() : signal.addEventListener("abort", () => resolve())));
}

/** An answer that says something and then waits until the test, or the reader, ends it. */
function slow(words: string): { fail(error: Error): void } {
  let fail: (error: Error) => void = () => undefined;
  host.answer("chat", async function* (_: Args, signal?: AbortSignal) {
    if (words) yield chunk(words);
    await Promise.race([aborted(signal!), new Promise((_resolve, reject) => (fail = reject))]);
  } as never);
  return { fail: (error) => fail(error) };
}

describe("the models to choose from", () => {
  it("begin with the newest adapter, and a reload comes back to what is chosen", async () => {
    await show();
    expect(all("option")).toEqual(["@demo/soap@1 (adapter)", "tiny (base model)"]);
    const select = find<HTMLSelectElement>("select");
    expect(select.value).toBe("@demo/soap@1");
    select.value = "tiny";
    select.dispatchEvent(new Event("change"));
    expect(host.asks("view.here").at(-1)).toEqual({ title: "Chat: tiny", start: { model: "tiny" } });
    expect(field<HTMLInputElement>("Base model").disabled).toBe(true);
  });

  it("begin with the one that the place names, with or without a version", async () => {
    host.answer("adapters.list", () => page({ ...SOAP, full_name: "@demo/newer@1" }, SOAP));
    host.answer("view.start", () => ({ model: "@demo/soap" }));
    await show();
    expect(find<HTMLSelectElement>("select").value).toBe("@demo/soap@1");
  });

  it("begin with one of the reader's own where no owner is named", async () => {
    const whoami = { tenant: "@demo" };
    host.answer("whoami", () => whoami);
    host.answer("adapters.list", () => page({ ...SOAP, full_name: "@else/soap@9" }, { ...SOAP, full_name: "@demo/soap@2" }, SOAP));
    host.answer("view.start", () => ({ model: "soap" }));
    await show();
    expect(find<HTMLSelectElement>("select").value).toBe("@demo/soap@2");
    expect(find("[role=alert]").textContent).toBe("");
  });

  it("never become another model than the one that was named", async () => {
    host.answer("view.start", () => ({ model: "@demo/nope" }));
    await show();
    expect(find("[role=alert]").textContent).toContain("@demo/nope");
    host.answer("adapters.list", () => page({ ...SOAP, full_name: "@demo/other@1" }));
    button("Retry").click();
    await eventually(() => all("option").includes("@demo/other@1 (adapter)") && find("[role=alert]").textContent);
    expect(find<HTMLSelectElement>("select").value).toBe("");
    say("Hello");
    expect(host.asks("chat")).toEqual([]);
    expect(message().value).toBe("Hello");
    expect(find("[role=alert]").textContent).toContain("No model is chosen");
  });

  it("say what to do where there are none", async () => {
    host.answer("adapters.list", () => page());
    host.answer("base-models.list", () => page());
    const el = document.createElement("div");
    document.body.replaceChildren(el);
    unmount = mount(el, host);
    await eventually(() => find(".empty").textContent?.includes("no model"));
  });

  it("are looked for again by themselves", async () => {
    let failures = 1;
    host.answer("adapters.list", () => {
      if (failures-- > 0) throw new HostError("network", "The connection is lost.");
      return page(SOAP);
    });
    await show();
    expect(find("[role=alert]").textContent).toBe("");
  });
});

describe("a restricted adapter", () => {
  const choose = async (start: Json): Promise<void> => {
    host.answer("view.start", () => start);
    host.answer("adapters.list", () => page(SECRET));
    await show();
  };

  const pick = (model: string): void => {
    find<HTMLSelectElement>("select").value = model;
    find("select").dispatchEvent(new Event("change"));
  };

  it("is shown on the service's page, but is not what begins and cannot be asked there", async () => {
    await choose({ sealed: false, lab: "/hub/user-redirect/lab" });
    expect(find<HTMLSelectElement>("select").value).toBe("tiny");
    pick(SECRET.full_name);
    expect(find("[role=status]").textContent).toContain("Open it in JupyterLab or in a notebook");
    expect(find(".notice a").getAttribute("href")).toBe("/hub/user-redirect/lab");
    expect(find(".empty").textContent).toBe("Choose another model to write to it here.");
    expect(button("Send").disabled && message().disabled).toBe(true);
    expect(find(".chip").hidden).toBe(true);
    say("Hello");
    expect(host.asks("chat")).toEqual([]);
    expect(message().value).toBe("Hello");
    pick("tiny");
    expect(message().disabled).toBe(false);
    expect(find(".empty").textContent).toContain("Choose a model and write to it.");
  });

  it("is asked where the place can seal, and so is the base model beside it", async () => {
    await choose({ model: SECRET.full_name });
    find<HTMLInputElement>("input[type=checkbox]").click();
    await ask("Hello");
    expect(host.asks("chat").map(({ model, sealed }) => [model, sealed])).toEqual([
      [SECRET.full_name, true],
      ["tiny", true],
    ]);
  });

  it("has all of its conversation sealed, until a new one begins", async () => {
    await choose({ model: SECRET.full_name });
    expect(find(".chip").hidden).toBe(false);
    await ask("Hello");
    pick("tiny");
    expect(find(".chip").textContent).toBe("sealed");
    expect(find(".chip").hidden).toBe(false);
    await ask("And you?");
    button("New chat").click();
    expect(find(".chip").hidden).toBe(true);
    await ask("Another thing");
    expect(host.asks("chat").map(({ sealed }) => sealed)).toEqual([true, true, undefined]);
  });
});

describe("a question", () => {
  it("is answered in markdown, with tokens and seconds, and stays plain text itself", async () => {
    await show();
    await ask("**Who** are <b>you</b>?");
    expect(all(".question")).toEqual(["**Who** are <b>you</b>?"]);
    expect(find(".said").innerHTML).toContain("<strong>I am</strong>");
    expect(find(".note").textContent).toMatch(/^2 tokens in .* s · first after .* s/);
    expect(message().value).toBe("");
    await ask("And now?");
    expect(sent()).toEqual([
      { role: "user", content: "**Who** are <b>you</b>?" },
      { role: "assistant", content: "**I am** @demo/soap@1." },
      { role: "user", content: "And now?" },
    ]);
  });

  it("goes with the parameters that are set", async () => {
    await show();
    await ask("One");
    expect(host.asks("chat")[0]).toMatchObject({ model: "@demo/soap@1", max_tokens: 256, temperature: 0.2 });
    expect(Object.keys(host.asks("chat")[0]!)).not.toContain("seed");
    button("Parameters").click();
    field<HTMLInputElement>("Longest").value = "9999";
    field<HTMLInputElement>("Top-p").value = "0.5";
    field<HTMLInputElement>("Seed").value = "7";
    field<HTMLTextAreaElement>("System").value = "Be brief.";
    await ask("Two");
    expect(host.asks("chat")[1]).toMatchObject({ max_tokens: 4096, top_p: 0.5, seed: 7 });
    expect((sent() as Json[])[0]).toEqual({ role: "system", content: "Be brief." });
    expect(field<HTMLInputElement>("Longest").value).toBe("4096");
  });

  it("goes to the adapter and its base", async () => {
    await show();
    field<HTMLInputElement>("Base model").checked = true;
    await ask("Who?");
    expect(all(".who")).toEqual(["@demo/soap@1 (adapter)", "tiny (base model)"]);
    expect(all(".said").map((said) => said!.trim())).toEqual(["I am @demo/soap@1.", "I am tiny."]);
  });

  it("is asked once more, with what is chosen now, in the place of the last turn", async () => {
    await show();
    await ask("First");
    await ask("Second");
    find<HTMLSelectElement>("select").value = "tiny";
    button("Regenerate").click();
    await answered();
    expect(all(".question")).toEqual(["First", "Second"]);
    expect(all(".who")).toEqual(["@demo/soap@1 (adapter)", "tiny (base model)"]);
    expect(all(".actions button")).toEqual(["Regenerate", "Edit question"]);
  });

  it("is edited where it stands, and a draft below stays", async () => {
    await show();
    await ask("Wht?");
    message().value = "A draft";
    button("Edit question").click();
    const editor = find<HTMLTextAreaElement>(".editor textarea");
    expect(editor.value).toBe("Wht?");
    editor.value = "What?";
    button("Ask again").click();
    await answered();
    expect(all(".question")).toEqual(["What?"]);
    expect(sent()).toEqual([{ role: "user", content: "What?" }]);
    expect(message().value).toBe("A draft");
    button("Edit question").click();
    find(".editor textarea").dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
    expect(all(".question")).toEqual(["What?"]);
  });

  it("is forgotten in a new chat, also while it is answered", async () => {
    await show();
    slow("Some words");
    say("Old");
    await eventually(() => find(".said").textContent);
    button("New chat").click();
    expect(all(".turn")).toEqual([]);
    host.answer("chat", () => [chunk("New", "stop")]);
    await ask("New one");
    expect(all(".question")).toEqual(["New one"]);
    expect(sent()).toEqual([{ role: "user", content: "New one" }]);
  });
});

describe("an answer that ends early", () => {
  it("by the reader stays, and is part of the history", async () => {
    await show();
    slow("Some words");
    say("Tell me");
    await eventually(() => find(".said").textContent);
    button("Stop").click();
    await answered();
    expect(find(".note").textContent).toMatch(/^stopped/);
    host.answer("chat", () => [chunk("More", "stop")]);
    await ask("Go on");
    expect((sent() as { content: string }[]).map(({ content }) => content)).toEqual(["Tell me", "Some words", "Go on"]);
  });

  it("by the reader before its first word leaves nothing but the question to send again", async () => {
    await show();
    slow("");
    say("Tell me");
    await eventually(() => button("Stop"));
    button("Stop").click();
    await answered();
    expect(all(".turn")).toEqual([]);
    expect(message().value).toBe("Tell me");
  });

  it("by the network stays in sight as cut off, is not in the history, and is asked again", async () => {
    await show();
    await ask("Before");
    const answer = slow("Half an ans");
    say("Tell me");
    await eventually(() => all(".said").at(-1));
    answer.fail(new HostError("network", "The connection is lost."));
    await answered();
    expect(all(".cut .note")[0]).toMatch(/^cut off, not part of the conversation/);
    expect(find("[role=alert]").textContent).toContain("The connection is lost.");
    expect(message().value).toBe("Tell me");
    host.answer("chat", () => [chunk("A whole answer", "stop")]);
    button("Retry").click();
    await answered();
    expect(all(".question")).toEqual(["Before", "Tell me"]);
    expect((sent() as Json[]).length).toBe(3);
    expect(message().value).toBe("");
    expect(find("[role=alert]").textContent).toBe("");
  });

  it("before its first word leaves no message", async () => {
    await show();
    host.answer("chat", () => {
      throw new HostError("no_agent", "No agent is there.", "Try later.");
    });
    await ask("Anyone?");
    expect(all(".turn")).toEqual([]);
    expect(find("[role=alert]").textContent).toContain("No agent is there. Try later.");
    expect(message().value).toBe("Anyone?");
  });

  it("when it was asked anew leaves what was there", async () => {
    await show();
    await ask("Who?");
    host.answer("chat", () => {
      throw new HostError("no_agent", "No agent is there.");
    });
    button("Regenerate").click();
    await answered();
    expect(all(".turn:not([hidden]) .question")).toEqual(["Who?"]);
    expect(button("Regenerate")).toBeTruthy();
    expect(message().value).toBe("");
  });

  it("ends the other answer beside it", async () => {
    await show();
    field<HTMLInputElement>("Base model").checked = true;
    host.answer("chat", async function* ({ model }: Args, signal?: AbortSignal) {
      if (model === "tiny") throw new HostError("engine_busy", "The engine is busy.");
      yield chunk("I go on");
      await aborted(signal!);
    } as never);
    await ask("Both?");
    expect(find("[role=alert]").textContent).toContain("The engine is busy.");
  });

  it("because the right to the adapter was taken leaves the base model's, and the adapter out of the list", async () => {
    await show();
    field<HTMLInputElement>("Base model").checked = true;
    let taken: () => void = () => undefined;
    let goOn: () => void = () => undefined;
    host.answer("chat", async function* ({ model }: Args) {
      yield chunk("Half");
      if (model !== "tiny") {
        await new Promise<void>((resolve) => (taken = resolve));
        throw new HostError("not_found", "There is no such model, or you may not use it.", "GET v1/models lists the models that you may use");
      }
      await new Promise<void>((resolve) => (goOn = resolve));
      yield chunk(" and whole", "stop");
    } as never);
    say("Both?");
    await eventually(() => all(".said").every((said) => said?.includes("Half")));
    host.answer("adapters.list", () => page());
    taken();
    await eventually(() => all(".note").length === 1);
    goOn();
    await answered();
    expect(all(".said").map((said) => said!.trim())).toEqual(["Half", "Half and whole"]);
    expect(find("[role=alert]").textContent).toContain("You may not use @demo/soap@1 any more, or it was deleted. Choose another model.");
    await eventually(() => all("option").join() === "tiny (base model)");
    expect(() => button("Use from outside")).toThrow();
    find<HTMLSelectElement>("select").value = "tiny";
    find("select").dispatchEvent(new Event("change"));
    host.answer("chat", () => [chunk("More", "stop")]);
    await ask("And now?");
    expect((sent() as { content: string }[]).map(({ content }) => content)).toEqual(["Both?", "Half and whole", "And now?"]);
    expect(all(".question")).toEqual(["Both?", "And now?"]);
  });

  it("because the right to all that was asked was taken stays in sight", async () => {
    await show();
    const answer = slow("Half an ans");
    say("Tell me");
    await eventually(() => all(".said").at(-1));
    host.answer("adapters.list", () => page());
    answer.fail(new HostError("not_found", "There is no such model."));
    await answered();
    expect(() => button("Retry")).toThrow();
    await eventually(() => all("option").join() === "tiny (base model)");
    host.answer("chat", () => [chunk("More", "stop")]);
    find<HTMLSelectElement>("select").value = "tiny";
    await ask("And you?");
    expect(all(".question")).toEqual(["Tell me", "And you?"]);
    expect((sent() as Json[]).length).toBe(1);
  });

  it("with the view ends at its source", async () => {
    await show();
    let ended = false;
    host.answer("chat", async function* (_: Args, signal?: AbortSignal) {
      yield chunk("Words");
      await aborted(signal!);
      ended = true;
    } as never);
    say("Tell me");
    await eventually(() => find(".said").textContent);
    unmount();
    await eventually(() => ended);
  });
});
