// @vitest-environment happy-dom
import { describe, expect, it } from "vitest";
import { adopt, scopedTo } from "../../src/parts/style";

describe("styles", () => {
  it("of all views become those of one, and nothing else's", () => {
    expect(scopedTo("ady-train", ".ady details, .ady[hidden] { } .ady-back .ady, .ady-chart { --ady-ink: 1 }")).toBe(
      ".ady-train details, .ady-train[hidden] { } .ady-back .ady-train, .ady-chart { --ady-ink: 1 }",
    );
  });

  it("are adopted by each view for itself, in its order", () => {
    const before = document.adoptedStyleSheets.length;
    for (const view of ["curate", "train", "curate"]) {
      const el = document.createElement("div");
      el.innerHTML = `<section class="ady ady-${view}"></section>`;
      document.body.append(el);
      adopt(el, ".ady summary { font-weight: 600 }");
    }
    const texts = document.adoptedStyleSheets.slice(before).map((sheet) => [...sheet.cssRules].map((rule) => rule.cssText).join("\n"));
    expect(texts).toHaveLength(4);
    expect(texts.map((text) => text.includes(".ady-curate "))).toEqual([true, true, false, false]);
    for (const text of texts) expect(text).not.toMatch(/\.ady(?![\w-])/);
  });
});
