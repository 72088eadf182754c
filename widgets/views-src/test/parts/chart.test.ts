// @vitest-environment happy-dom
import { beforeEach, describe, expect, it } from "vitest";
import { Chart } from "../../src/parts/chart";
import { discernible } from "../../src/parts/plot";

// There is no canvas here: what a chart says is tested, what it draws is looked at in a browser.
describe("a chart", () => {
  let chart: Chart;
  beforeEach(() => {
    document.body.replaceChildren();
    chart = new Chart({ title: "Loss", unit: "nats", series: [{ label: "Loss" }, { label: "Eval loss", sparse: true }], logarithmic: true });
    document.body.append(chart.element);
  });
  const text = (selector: string): string => chart.element.querySelector(selector)!.textContent ?? "";
  const button = (words: string): HTMLButtonElement => [...chart.element.querySelectorAll("button")].find((each) => each.textContent === words)!;

  it("says where it stands", () => {
    chart.append([1, 2, 3].map((x) => ({ x, values: [4 - x, x === 2 ? 9 : null] })));
    chart.draw();
    expect(text(".values")).toBe("step 3Loss 1 natsEval loss 9 nats");
    expect(chart.element.querySelector("[role=img]")?.getAttribute("aria-label")).toContain("now 1 nats at step 3");
  });

  it("says in a line what it shows, where its title does not", () => {
    expect(chart.element.querySelector(".about")).toBeNull();
    const stepped = new Chart({ title: "Step epoch", about: "Whole passes.", series: [{ label: "Epochs" }] });
    expect(stepped.element.querySelector(".about")!.textContent).toBe("Whole passes.");
  });

  it("names no series that has no values", () => {
    chart.append([{ x: 1, values: [4, null] }]);
    chart.draw();
    expect(text(".values")).toBe("step 14 nats");
  });

  it("shows the last points as a table while that is open", () => {
    chart.append(Array.from({ length: 50 }, (_, x) => ({ x, values: [x, null] })));
    button("Show as table").click();
    expect(chart.element.querySelectorAll("tbody tr").length).toBe(20);
    expect(text("caption")).toBe("Loss: the last 20 of 50 points");
    expect(text("tbody tr:last-child")).toBe("4949");
    button("Hide table").click();
    expect(chart.element.querySelector(".points")?.hasAttribute("hidden")).toBe(true);
  });

  it("can be given other points", () => {
    chart.append([{ x: 1, values: [1, 1] }]);
    chart.set([{ x: 7, values: [2, null] }]);
    chart.draw();
    expect(chart.length).toBe(1);
    expect(text(".values")).toBe("step 72 nats");
  });

  it("ends all it started", () => {
    chart.append([{ x: 1, values: [1, 1] }]);
    chart.close();
    chart.append([{ x: 2, values: [1, 1] }]);
    expect(document.body.children.length).toBe(0);
  });
});

describe("the range of a chart", () => {
  it("is as it is asked for", () => {
    for (const range of [[0, 1], [1, 2_000_000], [999_999_999, 1_000_000_001]] as const) expect(discernible(range)).toEqual(range);
  });

  it("always has numbers to count, also at the largest step that an agent may name", () => {
    const last = Number.MAX_SAFE_INTEGER;
    const [from, to] = discernible([last - 1, last + 1]);
    expect(to - from).toBeGreaterThan(1000);
    expect(from).toBeLessThan(last);
    expect(to).toBeGreaterThan(last);
  });
});
