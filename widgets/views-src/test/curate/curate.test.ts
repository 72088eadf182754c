// @vitest-environment happy-dom
import { describe, expect, it, vi } from "vitest";
import { HostError } from "../../src/host/host";
import { eventually, page } from "../support/scripted-host";
import { button, DATASET, item, NOW, press, records, shown, VERSION } from "./shown";

async function open(el: HTMLElement, row: number): Promise<void> {
  await eventually(() => el.querySelectorAll(".rows > .cells:not(.waiting)").length > row);
  el.querySelector<HTMLElement>(`.rows > [aria-rowindex="${row + 2}"] > div:not(.pick)`)!.click();
  await eventually(() => el.querySelector(".panel .bubble"));
}

async function edit(el: HTMLElement, text: string): Promise<void> {
  await open(el, 1);
  await press(el, "Edit");
  const field = el.querySelectorAll<HTMLTextAreaElement>(".message textarea")[1]!;
  field.value = text;
  field.dispatchEvent(new Event("input"));
  await press(el, "Save");
}

describe("the datasets", () => {
  it("are listed, filtered and opened", async () => {
    const soap = { ...DATASET, id: "ds_2", name: "soap", full_name: "radiology/soap", right: "view" };
    const all = [DATASET, soap];
    const { el, host } = shown({ "datasets.list": ({ search }) => page(...all.filter(({ full_name }) => full_name.includes(String(search ?? "")))) }, {});
    await eventually(() => el.querySelectorAll("tbody tr").length === 2);
    const filter = el.querySelector<HTMLInputElement>("input[type=search]")!;
    filter.value = "soap";
    filter.dispatchEvent(new Event("input"));
    await eventually(() => el.querySelectorAll("tbody tr").length === 1);
    expect(host.asks("datasets.list")).toEqual([{ order: "-changed", limit: 50 }, { order: "-changed", limit: 50, search: "soap" }]);
    expect(el.textContent).not.toContain("Remove"); // it is only to read
    await press(el, "soap");
    await eventually(() => host.asks("view.here").at(-1)?.title === "soap");
    expect(host.asks("view.here").at(-1)).toEqual({ title: "soap", start: { dataset: "ds_2", tab: "records" } });
  });

  it("come page by page, and stay filtered where nothing fits", async () => {
    const made = (number: number): object => ({ ...DATASET, id: `ds_${number}`, name: `n${number}` });
    const { el, host } = shown(
      {
        "datasets.list": ({ after, search }) => {
          if (search) return page();
          return after ? page(made(1), made(2)) : { items: [made(0), made(1)], has_more: true };
        },
      },
      {},
    );
    await press(el, "Load more");
    const names = (): string[] => [...el.querySelectorAll("tbody th button")].map(({ textContent }) => textContent!);
    await eventually(() => names().join() === "n0,n1,n2"); // one was changed meanwhile, and is shown once
    expect(host.asks("datasets.list").at(-1)).toEqual({ order: "-changed", limit: 50, after: "ds_1" });
    const filter = el.querySelector<HTMLInputElement>("input[type=search]")!;
    filter.value = "nobody";
    filter.dispatchEvent(new Event("input"));
    await eventually(() => el.textContent!.includes("No dataset fits this filter."));
    expect(filter.closest("[hidden]")).toBeNull();
  });

  it("that are none say what to do", async () => {
    const { el } = shown({ "datasets.list": () => page() }, {});
    await eventually(() => el.textContent?.includes("You have no dataset yet"));
  });

  it("that are refused say why at the field", async () => {
    const { el, host } = shown(
      {
        "datasets.create": () => {
          throw new HostError("invalid_input", "Not valid.", null, [{ where: "name", reason: "is taken.", remedy: "Choose another." }]);
        },
      },
      {},
    );
    await press(el, "New dataset");
    const form = el.querySelector("form")!;
    form.querySelector<HTMLInputElement>("input[type=text]")!.value = "visits";
    form.dispatchEvent(new Event("submit", { cancelable: true }));
    await eventually(() => form.querySelector("[data-field=name] .field-problem")?.textContent === "This is taken. Choose another.");
    expect(host.asks("datasets.create")[0]).toMatchObject({ name: "visits", sensitivity: "internal" });
    expect(form.querySelector("input[aria-invalid]")!.getAttribute("aria-describedby")).toBe(form.querySelector(".field-problem")!.id);
  });

  it("are removed when they were never published, and it is said why not else", async () => {
    let published: object[] = [VERSION];
    const { el, host } = shown({ "versions.list": () => page(...published), "datasets.remove": () => null }, {});
    await press(el, "Remove visits");
    await eventually(() => el.querySelector("dialog")?.textContent?.includes("It was published, so it cannot just be removed."));
    expect(button(el, "Erase it").disabled).toBe(true);
    await press(el, "Cancel");
    await press(el, "← All datasets");
    published = [];
    await press(el, "Remove visits");
    await eventually(() => el.querySelector("dialog")?.textContent?.includes("This cannot be undone."));
    await press(el, "Remove it");
    await eventually(() => host.asks("datasets.remove").length === 1);
  });

  it("begin with the form of a new one where that is wanted", async () => {
    for (const start of [{ new: true }, { new: "true" }]) {
      const { el, host } = shown({}, start);
      await eventually(() => el.querySelector("form.new"));
      const form = { title: "New dataset", start: { new: true } };
      expect(host.asks("view.here")).toEqual([form]); // whoever asks for one again comes back to it
      await press(el, "Cancel");
      expect(host.asks("view.here")).toEqual([form, { title: "Datasets", start: {} }]);
    }
  });

  it("are removed where they are shown too, which leads back to the others", async () => {
    const { el, host } = shown({ "versions.list": () => page(), "datasets.remove": () => null });
    await press(el, "Remove visits");
    await press(el, "Remove it");
    await eventually(() => el.querySelectorAll("tbody tr").length === 2);
    expect(host.asks("datasets.remove")).toEqual([{ dataset: "ds_1" }]);
  });

  it("that are gone lead back to the others", async () => {
    const { el } = shown({
      "datasets.get": () => {
        throw new HostError("not_found", "There is nothing.");
      },
    });
    await press(el, "All datasets");
    await eventually(() => el.querySelectorAll("tbody tr").length === 2);
  });
});

describe("a dataset to read", () => {
  it("offers nothing that would be refused", async () => {
    const { el } = shown({ "datasets.get": () => ({ ...DATASET, right: "view" }) });
    await open(el, 0);
    for (const name of ["Publish", "Edit", "Delete", "Remove visits", "Add a record", "Undo", "Redo", "Remove a.json"]) expect(() => button(el, name)).toThrow();
    expect(el.querySelector<HTMLElement>(".uploads")!.hidden).toBe(true);
  });
});

describe("a dataset to edit and not to manage", () => {
  it("says that somebody else publishes it", async () => {
    const { el } = shown({ "datasets.get": () => ({ ...DATASET, right: "edit" }) });
    await eventually(() => el.querySelector(".head")?.textContent?.includes("you may edit it, not publish"));
    expect(() => button(el, "Publish")).toThrow();
    await press(el, "Versions");
    await eventually(() => el.querySelector(".versions .empty")?.textContent?.includes("Who manages this dataset can publish"));
  });
});

describe("the records", () => {
  it("are a grid that says how many rows it has", async () => {
    const { el } = shown();
    await eventually(() => el.querySelector(".count")?.textContent === "300 records");
    const grid = el.querySelector("[role=grid]")!;
    expect(grid.getAttribute("aria-rowcount")).toBe("301");
    expect(grid.querySelectorAll(".rows > [role=row]").length).toBeLessThan(60);
  });

  it("are searched after a pause in typing", async () => {
    const { el, host } = shown();
    await eventually(() => el.querySelector(".count")?.textContent);
    const search = el.querySelector<HTMLInputElement>("input[type=search]")!;
    for (const value of ["f", "fe", "fever"]) {
      search.value = value;
      search.dispatchEvent(new Event("input"));
    }
    await eventually(() => el.querySelector(".count")?.textContent === "3 of 300 records");
    expect(host.asks("records.list").filter(({ search }) => search).map(({ search }) => search)).toEqual(["fever"]);
  });

  it("are read with the keyboard", async () => {
    const { el } = shown();
    const grid = (): HTMLElement => el.querySelector<HTMLElement>("[role=grid]")!;
    await eventually(() => el.querySelectorAll(".rows > .cells:not(.waiting)").length > 2);
    for (const key of ["ArrowDown", "ArrowDown", "ArrowUp", "Enter"]) grid().dispatchEvent(new KeyboardEvent("keydown", { key }));
    await eventually(() => el.querySelector(".panel h3")?.textContent === "Record 2");
    expect(el.querySelector(".rows [aria-selected=true]")?.getAttribute("aria-rowindex")).toBe("3");
  });

  it("are saved with what was seen of them", async () => {
    const { el, host } = shown({ "records.change": () => item(2, "new") });
    await edit(el, "new");
    await eventually(() => el.textContent?.includes("Saved record 2."));
    expect(host.asks("records.change")[0]).toMatchObject({ position: "2", expected: "sha256:answer 2", record: { messages: [{ content: "question 2" }, { content: "new" }] } });
  });

  it("say at the message what is wrong with it", async () => {
    const { el } = shown({
      "records.change": () => {
        throw new HostError("record_invalid", "Not valid.", null, [{ where: "messages[1].content", reason: "is empty.", remedy: "Write it." }]);
      },
    });
    await edit(el, "");
    await eventually(() => el.querySelector(".message .field-problem")?.textContent === "This is empty. Write it.");
    expect(el.querySelectorAll(".message textarea")[1]!.getAttribute("aria-invalid")).toBe("true");
  });

  it("wait in the editor while nobody answers, and are saved then", async () => {
    let lost = true;
    const { el } = shown({
      "records.change": () => {
        if (lost) throw new HostError("network", "The connection is lost.");
        return item(2, "new");
      },
    });
    await edit(el, "new");
    await eventually(() => el.querySelector(".panel .status")?.textContent?.startsWith("Not saved yet"));
    expect(el.querySelectorAll<HTMLTextAreaElement>(".message textarea")[1]!.value).toBe("new");
    lost = false;
    globalThis.dispatchEvent(new Event("online"));
    await eventually(() => el.textContent?.includes("Saved record 2."));
  });

  it("that somebody else changed are not overwritten unasked", async () => {
    const theirs = item(2, "theirs");
    let there = item(2);
    const { el, host } = shown({
      "records.get": () => there,
      "records.change": ({ expected }) => {
        if (expected === "sha256:theirs") return item(2, "mine");
        there = theirs;
        throw new HostError("record_changed", "It is not what it was.");
      },
    });
    await edit(el, "mine");
    await eventually(() => el.querySelector(".both")?.textContent?.includes("theirs"));
    expect(host.asks("records.change")).toHaveLength(1);
    await press(el, "Keep mine");
    await eventually(() => el.textContent?.includes("Saved record 2."));
  });

  it("show each text that is missing, until it is written; Ctrl+Enter saves", async () => {
    const { el, host } = shown({
      "records.add": ({ record }) => {
        const messages = (record as { messages: { content: string }[] }).messages;
        const empty = messages.findIndex(({ content }) => !content);
        if (empty >= 0) throw new HostError("record_invalid", "It is not valid.", null, [{ where: `messages[${empty}].content`, reason: "is empty", remedy: "Write it." }]);
        return item(301);
      },
    });
    await press(el, "Add a record");
    await press(el, "Add");
    const wrong = (): (string | null)[] => [...el.querySelectorAll(".editor .field-problem")].map(({ textContent }) => textContent);
    await eventually(() => wrong().length === 2);
    expect(wrong()).toEqual(["This is empty. Write it.", "This is empty. Write it."]);
    for (const field of el.querySelectorAll<HTMLTextAreaElement>(".message textarea")) {
      field.value = "words";
      field.dispatchEvent(new Event("input"));
    }
    expect(wrong()).toEqual([]);
    expect(el.querySelector(".editor [aria-invalid]")).toBeNull();
    el.querySelector(".message textarea")!.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", ctrlKey: true, bubbles: true }));
    await eventually(() => el.textContent?.includes("Added record 301."));
    expect(host.asks("records.add")).toHaveLength(2);
  });

  it("leave the focus where Ctrl+Z undoes the deletion of the last one that is shown", async () => {
    let left = 1;
    const { el } = shown({
      "records.list": () => ({ items: left ? [item(1)] : [], has_more: false, total: left }),
      "records.remove": () => {
        left = 0;
        return null;
      },
    });
    await open(el, 0);
    await press(el, "Delete");
    await eventually(() => !el.querySelector<HTMLElement>(".records > .empty")!.hidden);
    expect(document.activeElement?.textContent).toBe("Undo");
  });

  it("are undone, and it is said what", async () => {
    const done = { id: "1", at: NOW, editor: "@demo", action: "replace", record: "12", undone: false };
    const { el, host } = shown({ "edits.list": () => page(done), "edits.undo": () => ({ edit: done, record: item(12) }) });
    await eventually(() => button(el, "Undo: changed record 12"));
    const search = el.querySelector<HTMLInputElement>("input[type=search]")!;
    const undo = (): KeyboardEvent => new KeyboardEvent("keydown", { key: "z", ctrlKey: true, bubbles: true });
    search.dispatchEvent(undo());
    expect(host.asks("edits.undo")).toEqual([]); // in a text field it is the text that is undone
    el.querySelector("[role=grid]")!.dispatchEvent(undo());
    await eventually(() => el.textContent?.includes("Undid: changed record 12."));
  });
});

it("shows no record any more of a dataset that the reader may no longer see", async () => {
  let mine = true;
  const { el } = shown({
    "records.list": (args) => {
      if (!mine) throw new HostError("not_found", "There is no such thing, or it is not yours to see.", "Check the id.");
      return records(args);
    },
    "datasets.get": () => {
      if (!mine) throw new HostError("not_found", "There is no such thing, or it is not yours to see.", "Check the id.");
      return DATASET;
    },
  });
  await open(el, 0);
  mine = false;
  const order = el.querySelector<HTMLSelectElement>(".filters label:nth-of-type(4) select")!;
  order.value = "-length";
  order.dispatchEvent(new Event("change"));
  await eventually(() => el.textContent?.includes("no right to see it"));
  expect(el.querySelector(".records")).toBeNull();
  expect(el.querySelector("[role=alert]")!.textContent).toBe("");
});

describe("the files", () => {
  function choose(el: HTMLElement, ...files: File[]): void {
    const input = el.querySelector<HTMLInputElement>("input[type=file]")!;
    Object.defineProperty(input, "files", { value: files, configurable: true });
    input.dispatchEvent(new Event("change"));
  }

  it("are sent with progress, and it is said what they hold", async () => {
    const { el, host } = shown({ "files.put": () => [{ sent: 0, total: 4 }, { id: "fi_2", name: "b.json", format: "sharegpt", records: 20, state: "ready" }] });
    await press(el, "Files");
    choose(el, new File(["data"], "b.json"));
    await eventually(() => el.querySelector(".sending")?.textContent?.includes("✓ b.json · ShareGPT, 20 records"));
    expect(host.asks("files.put")[0]).toMatchObject({ dataset: "ds_1", file: "b.json" });
  });

  it("that are refused list what is wrong, record by record", async () => {
    const { el } = shown({
      "files.put": () => {
        throw new HostError("record_invalid", "1 of 2 records is not valid.", null, [{ where: "record 2", reason: "is empty.", remedy: "Write it." }]);
      },
    });
    await press(el, "Files");
    choose(el, new File(["data"], "b.json"));
    await eventually(() => [...el.querySelectorAll(".problems td")].map((cell) => cell.textContent).join() === "record 2,is empty.,Write it.");
    for (const name of ["Try another file", "Retry", "Copy the list of what is wrong with b.json"]) button(el, name);
  });
});

describe("publishing", () => {
  const operation = { id: "op_1", state: "running", progress: 0.5, done: 150, total: 300, result: null, error: null };

  it("ends with a report and a way to train", async () => {
    const { el, host } = shown({
      "versions.publish": () => operation,
      "operations.events": () => [operation, { ...operation, state: "completed", result: { version: VERSION } }],
      "operations.get": () => ({ ...operation, state: "completed", result: { version: VERSION } }),
    });
    await press(el, "Publish");
    const dialog = el.querySelector("dialog")!;
    expect(dialog.textContent).toContain("300 records");
    dialog.querySelector<HTMLButtonElement>(".main")!.click();
    await eventually(() => el.querySelector(".publishing")?.textContent?.includes("Published @demo/visits@1."));
    await press(el, "Train on it: @demo/visits@1");
    expect(host.asks("view.open")).toEqual([{ view: "train", start: { version: "dv_1" } }]);
    expect(host.asks("view.here").map(({ start }) => start)).toContainEqual({ dataset: "ds_1", tab: "records", operation: "op_1" });
    expect(host.asks("view.here").at(-1)?.start).toEqual({ dataset: "ds_1", tab: "records" });
  });

  it("is taken up again after a reload", async () => {
    const failed = { ...operation, state: "failed", error: { code: "version_exists", detail: "It is published already." } };
    const { el } = shown({ "operations.events": () => [failed], "operations.get": () => failed }, { dataset: "ds_1", operation: "op_1" });
    await eventually(() => el.querySelector("[role=alert] .bad")?.textContent?.includes("It is published already."));
  });
});

it("ends everything with the view", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    const { el, host, unmount } = shown();
    await vi.waitFor(() => expect(el.querySelector(".count")?.textContent).toBeTruthy());
    unmount();
    expect(el.childElementCount).toBe(0);
    const asked = host.asked.length;
    await vi.advanceTimersByTimeAsync(120_000);
    expect(host.asked).toHaveLength(asked);
  } finally {
    vi.useRealTimers();
  }
});

describe("where one is", () => {
  const queues = [{ queue: "near", analysed_at: NOW, open: 1, decided: 0, stale: 0, rules: {}, left_out: 0, languages: {} }];
  const found = (): unknown => ({ ...(page() as object), total: 0 });

  it("is told, and come back to", async () => {
    const { el, host } = shown({ "review.get": () => ({ queues }), "review.list": found });
    await press(el, "Review");
    await eventually(() => el.querySelector(".queue-button")?.textContent?.includes("Near duplicates") || button(el, "Near duplicates1 open · 0 decided"));
    await press(el, "Near duplicates1 open · 0 decided");
    const start = { dataset: "ds_1", tab: "review", queue: "near" };
    await eventually(() => JSON.stringify(host.asks("view.here").at(-1)?.start) === JSON.stringify(start));
    const again = shown({ "review.get": () => ({ queues }), "review.list": found }, start);
    await eventually(() => again.el.querySelector(".queue h3")?.textContent === "Near duplicates");
    expect(again.el.querySelector("[role=tab][aria-selected=true]")!.textContent).toBe("Review");
  });
});
