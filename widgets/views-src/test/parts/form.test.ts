// @vitest-environment happy-dom
import { beforeEach, describe, expect, it } from "vitest";
import { Field, place } from "../../src/parts/field";
import { Form, type Schema } from "../../src/parts/form";
import { Picker } from "../../src/parts/picker";

const SCHEMA: Schema = {
  required: ["label"],
  properties: {
    epochs: { type: "number", title: "Epochs", description: "How often.", default: 3, minimum: 0.01, maximum: 100 },
    rank: { type: "integer", title: "Rank", default: 8, minimum: 1, maximum: 256, unit: "dimensions" },
    precision: { type: "string", title: "Precision", enum: ["auto", "full"], default: "auto" },
    scheduler: { type: "string", title: "Scheduler", enum: ["cosine", "linear"] },
    shuffle: { type: "boolean", title: "Shuffle", default: true },
    packing: { type: "boolean", title: "Packing" },
    label: { type: "string", title: "Label" },
    note: { type: "string", title: "Note" },
    max_steps: { type: "integer", title: "Steps", minimum: 1, advanced: true },
  },
};
const USUAL = { epochs: 3, rank: 8, precision: "auto", shuffle: true };

function shown(schema = SCHEMA): { form: Form; of: (name: string) => Field; type: (name: string, text: string) => void } {
  const form = new Form(schema, "options.");
  document.body.replaceChildren(form.element);
  const of = (name: string): Field => form.fields.find(({ where }) => where === `options.${name}`)!;
  const type = (name: string, text: string): void => {
    (of(name).control as HTMLInputElement).value = text;
    of(name).control.dispatchEvent(new Event("input"));
  };
  return { form, of, type };
}

beforeEach(() => document.body.replaceChildren());

describe("a form", () => {
  it("begins with the defaults and leaves out what is empty", () => {
    expect(shown().form.values).toEqual(USUAL);
  });

  it("gives numbers, choices, switches and texts as JSON has them", () => {
    const { form, of, type } = shown();
    type("epochs", "2e-1");
    type("rank", " 16 ");
    type("scheduler", "1");
    type("label", "a b");
    (of("packing").control as HTMLInputElement).checked = true;
    (of("shuffle").control as HTMLInputElement).checked = false;
    expect(form.values).toEqual({ ...USUAL, epochs: 0.2, rank: 16, scheduler: "linear", label: "a b", packing: true, shuffle: false });
  });

  it.each(["many", "0x10", "1,5", "9007199254740993", "1e999"])("sends %j as it is, for the service to explain", (text) => {
    const { form, type } = shown();
    type("rank", text);
    expect(form.values.rank).toBe(text);
  });

  it("refuses nothing: bounds only advise", () => {
    const { form, of, type } = shown();
    expect(of("rank").element.textContent).toContain("1 to 256 · default 8");
    type("rank", "1000");
    expect(form.values.rank).toBe(1000);
    expect(of("rank").element.querySelector(".warns")?.textContent).toBe("Not 1 to 256");
    type("rank", "");
    expect(form.values.rank).toBeUndefined();
  });

  it("takes values in, empties the rest and opens advanced options that are set", () => {
    const { form } = shown();
    const details = form.element.querySelector("details")!;
    expect(details.open).toBe(false);
    const values = { epochs: 1, rank: 4, precision: "full", scheduler: "cosine", shuffle: false, label: "x", max_steps: 5 };
    form.values = values;
    expect(form.values).toEqual(values);
    expect(details.open).toBe(true);
  });

  it("puts options in sections, and shows no heading for one alone", () => {
    const option = (section: string, advanced = false): object => ({ type: "integer", section, advanced });
    const { form } = shown({ properties: { rank: option("Adapter"), batch: option("Batches"), alpha: option("Adapter"), seed: option("Batches", true) } } as Schema);
    const sections = [...form.element.querySelectorAll("section")].map((part) => [part.querySelector("h3")?.textContent ?? null, [...part.querySelectorAll("label")].map(({ textContent }) => textContent)]);
    expect(sections).toEqual([
      ["Adapter", ["rank", "alpha"]],
      ["Batches", ["batch"]],
      [null, ["seed"]],
    ]);
  });

  it("has one heading of a section that is in both parts", () => {
    const option = (section: string, advanced = false): object => ({ type: "integer", section, advanced });
    const { form } = shown({ properties: { beta: option("Pairs"), rate: option("Steps"), seed: option("Steps", true), rank: option("Adapter", true) } } as Schema);
    expect([...form.element.querySelectorAll("h3")].map(({ textContent }) => textContent)).toEqual(["Pairs", "Steps", "Adapter"]);
    expect([...form.element.querySelectorAll("label")].map(({ textContent }) => textContent)).toEqual(["rate", "beta", "seed", "rank"]);
  });

  it("says beside the epochs that the steps decide, while there are some", () => {
    const { form, of, type } = shown();
    type("max_steps", "5");
    const said = (): string => of("epochs").element.querySelector(".hint")!.textContent!;
    expect(said()).toBe("Not used: Steps decides");
    form.values = { epochs: 2 };
    expect(said()).toContain("0.01 to 100");
  });

  it("knows all that looks wrong", () => {
    const { form, type } = shown();
    type("rank", "1000");
    type("epochs", "many");
    expect(form.doubts.map(({ where, reason }) => [where, reason])).toEqual([["options.epochs", "This is no number"], ["options.rank", "Not 1 to 256"]]);
  });

  it("takes lists: of given choices by switches, else by commas", () => {
    const { form, of, type } = shown({ properties: { targets: { type: "array", items: { enum: ["q", "k", "v"] }, default: ["q"], title: "Targets" }, words: { type: "array" } } });
    expect(form.values).toEqual({ targets: ["q"] });
    const group = of("targets").control;
    expect(group.querySelector("legend")!.textContent).toBe("Targets");
    const [, , v] = group.querySelectorAll("input");
    v!.checked = true;
    type("words", " a, b,,");
    expect(form.values).toEqual({ targets: ["q", "v"], words: ["a", "b"] });
    form.values = { targets: ["k", "elsewhere"] };
    expect(form.values).toEqual({ targets: ["k", "elsewhere"] }); // what is no choice here is not lost
    place(form.fields, [{ where: "options.targets", reason: "is too much", remedy: "" }]);
    expect(group.querySelectorAll("input[aria-invalid]")).toHaveLength(3);
    expect(document.activeElement).toBe(group);
  });

  it("says of each field what it was before, where that differs", () => {
    const { form, of, type } = shown();
    form.compareTo({ ...USUAL, rank: 4 });
    const was = (name: string): string => of(name).element.querySelector<HTMLElement>(".was:not([hidden])")?.textContent ?? "";
    expect([was("rank"), was("epochs"), was("max_steps")]).toEqual(["Was 4", "", ""]);
    type("rank", "4");
    type("max_steps", "7");
    expect([was("rank"), was("max_steps")]).toEqual(["", "Was empty"]);
    expect(of("max_steps").differs).toBe(true);
    form.compareTo(null);
    expect(was("max_steps")).toBe("");
  });

  it("labels and describes each field", () => {
    const { of } = shown();
    const { control, element } = of("rank");
    expect(element.querySelector("label")!.getAttribute("for")).toBe(control.id);
    for (const id of control.getAttribute("aria-describedby")!.split(" ")) expect(document.getElementById(id)).not.toBeNull();
    expect(element.textContent).toContain("dimensions");
  });

  it("has no disclosure without advanced options", () => {
    expect(shown({ properties: { a: { type: "number" } } }).form.element.querySelector("details")).toBeNull();
  });

  it("knows a choice of one", () => {
    expect(shown({ properties: { a: { type: "string", const: "only", default: "only" } } }).form.values).toEqual({ a: "only" });
  });
});

describe("problems of the service", () => {
  const problem = (where: string): { where: string; reason: string; remedy: string } => ({ where, reason: "too much", remedy: "take less" });

  it("are shown at their fields, and the first gets the focus", () => {
    const { form, of } = shown();
    const rest = place(form.fields, [problem("options.max_steps"), problem("options.rank.int"), problem("quota")]);
    expect(rest.map(({ where }) => where)).toEqual(["quota"]);
    expect(of("rank").element.querySelector(".error")!.textContent).toBe("Too much. Take less.");
    expect(of("rank").control.getAttribute("aria-invalid")).toBe("true");
    expect(document.activeElement).toBe(of("rank").control);
  });

  it("open what hides their field, and go when it changes", () => {
    const { form, of, type } = shown();
    place(form.fields, [problem("options.max_steps")]);
    expect(form.element.querySelector("details")!.open).toBe(true);
    type("max_steps", "3");
    expect(of("max_steps").control.hasAttribute("aria-invalid")).toBe(false);
    expect(of("max_steps").element.querySelector<HTMLElement>(".error")!.hidden).toBe(true);
  });
});

describe("a picker", () => {
  const press = (picker: Picker, key: string): boolean => picker.input.dispatchEvent(new KeyboardEvent("keydown", { key, cancelable: true }));

  const CHOICES = [
    { id: "a", title: "@demo/visits", note: "20 records" },
    { id: "b", title: "@demo/letters" },
  ];

  /** `answer`: whether looking for a name ends at once, and finds nothing else. */
  function offered(answer = true): { picker: Picker; chosen: string[]; looked: string[]; type: (text: string) => void } {
    const chosen: string[] = [];
    const looked: string[] = [];
    const picker: Picker = new Picker(
      (id) => chosen.push(id),
      (typed) => {
        looked.push(typed);
        if (answer) picker.offer(CHOICES);
      },
    );
    document.body.replaceChildren(picker.element);
    picker.offer(CHOICES);
    return {
      picker,
      chosen,
      looked,
      type: (text) => {
        picker.input.value = text;
        picker.input.dispatchEvent(new Event("input"));
      },
    };
  }

  it("finds by a part of the name and takes by Enter", () => {
    const { picker, chosen, type } = offered();
    type("LETT");
    press(picker, "Enter");
    expect([chosen, picker.chosen, picker.input.value]).toEqual([["b"], "b", "@demo/letters"]);
    expect(picker.input.getAttribute("aria-expanded")).toBe("false");
  });

  it("goes through its choices by the arrows; Escape changes nothing", () => {
    const { picker, chosen } = offered();
    press(picker, "ArrowDown");
    press(picker, "ArrowDown");
    press(picker, "ArrowDown");
    const active = document.getElementById(picker.input.getAttribute("aria-activedescendant")!);
    expect(active?.textContent).toContain("letters");
    press(picker, "Escape");
    expect([chosen, picker.input.value]).toEqual([[], ""]);
    expect(press(picker, "Enter")).toBe(true); // submits the form, as in every closed field
  });

  it("is chosen by a click, and says when nothing is called so", () => {
    const { picker, chosen, type } = offered();
    type("nobody");
    expect(picker.element.textContent).toContain("Nothing is called so.");
    picker.input.click();
    picker.element.querySelector<HTMLElement>("[role=option]")!.click();
    expect(chosen).toEqual(["a"]);
  });

  it("leaves what is being typed alone when other choices come", () => {
    const { picker, looked, type } = offered(false);
    type("vis");
    expect(looked).toEqual(["vis"]);
    picker.offer([{ id: "c", title: "@demo/visits-2" }, CHOICES[0]!]);
    expect(picker.input.value).toBe("vis");
    const active = document.getElementById(picker.input.getAttribute("aria-activedescendant")!);
    expect(active?.textContent).toBe("@demo/visits20 records"); // as before they came
  });

  it("says while it looks for a name that it does, and when there are more", () => {
    const { picker, type } = offered(false);
    type("nobody");
    expect(picker.element.textContent).toBe("Looking …");
    picker.offer([{ id: "n", title: "@demo/nobody" }], true);
    expect(picker.element.textContent).toBe("@demo/nobodyThere are more: type a part of the name.");
  });

  it("shows what was chosen, whatever is on offer", () => {
    const { picker } = offered();
    picker.show({ id: "z", title: "@demo/zoster" });
    picker.offer(CHOICES);
    expect([picker.chosen, picker.input.value]).toEqual(["z", "@demo/zoster"]);
  });
});
