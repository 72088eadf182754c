// @vitest-environment happy-dom
// What happy-dom cannot tell (it is no browser, and loads what it parses) is in tests/e2e/test_markdown.py:
// the same attacks on both walls, in Chromium.
import "../support/node-names";
import { describe, expect, it } from "vitest";
import { blocksOf, MOST_CHARACTERS, render } from "../../src/parts/markdown";
import TABLE from "./attacks.json";

const ATTACKS = TABLE as [string, string][];

function shown(text: string): HTMLElement {
  const el = document.createElement("div");
  el.append(render(text));
  return el;
}

/** What can run, load, or be taken for a part of the page. */
const FORBIDDEN = "script, style, img, svg, math, iframe, object, embed, video, audio, base, link, meta, form, input, textarea, select, template, [style], [id], [name], [srcset], [src]";

function dangers(el: HTMLElement): string[] {
  const found = [...el.querySelectorAll(FORBIDDEN)].map((node) => node.outerHTML);
  for (const node of el.querySelectorAll("*")) {
    const names = node.getAttributeNames();
    if (names.some((name) => name.startsWith("on"))) found.push(node.outerHTML);
    if (node.hasAttribute("href") && !/^(https?:\/\/|mailto:)/.test(node.getAttribute("href")!)) found.push(node.outerHTML);
    if (node.matches("button") && !node.matches(".code-head > button")) found.push(node.outerHTML);
  }
  return found;
}

describe("markdown of others", () => {
  it.each(ATTACKS)("does no harm: %s", (_, attack) => {
    expect(dangers(shown(attack))).toEqual([]);
    expect(dangers(shown(`Before.\n\n> - ${attack}\n\n| a |\n|---|\n| ${attack} |`))).toEqual([]);
  });

  it("shows HTML as the text that it is", () => {
    expect(shown("Write <script>alert(1)</script> and <b onclick=x>this</b>.").textContent.trim()).toBe("Write <script>alert(1)</script> and <b onclick=x>this.");
    const block = shown('<div class="notice">\nYour session ended.\n</div>');
    expect(block.querySelector("code")?.textContent).toBe('<div class="notice">\nYour session ended.\n</div>');
    expect(block.querySelector(".notice")).toBeNull();
  });

  it("keeps the few bare tags that models like", () => {
    expect(shown("H<sub>2</sub>O<br>is <kbd>wet</kbd>").innerHTML.trim()).toBe("<p>H<sub>2</sub>O<br>is <kbd>wet</kbd></p>");
  });

  it("is text where it is too long, or deeper than anybody reads", () => {
    for (const text of ["a ".repeat(MOST_CHARACTERS), ">".repeat(5000), "> - ".repeat(3000), `1. ${"1. ".repeat(3000)}`]) {
      const el = shown(text);
      expect(el.querySelectorAll("*")).toHaveLength(1);
      expect(el.querySelector("p.plain")?.textContent).toBe(text);
    }
  });

  it.each([
    ["brackets", "["], ["pictures", "!["], ["links", "[a]("], ["stars", "*a **b "], ["underscores", "_a __b "], ["ticks", "`a``"],
    ["angles", "<a "], ["entities", "&amp"], ["pipes", "|a"], ["fences", "```\n"], ["definitions", "[a]: b\n"], ["list items", "- a\n"],
  ])("survives nothing but %s", (_, piece) => {
    const text = piece.repeat(500);
    expect(dangers(shown(text))).toEqual([]);
  });

  it("is text where a paragraph has more marks than anybody writes, which would take many seconds to read", () => {
    const bomb = "**a_".repeat(MOST_CHARACTERS / 4);
    expect(shown(bomb).querySelector("p.plain")?.textContent).toBe(bomb);
    expect(blocksOf(bomb)).toEqual([bomb]);
    const emphatic = "*very* important, ".repeat(400);
    expect(shown(`${emphatic}\n\n${emphatic}`).querySelectorAll("em").length).toBe(800);
  });

  it("survives emphasis in emphasis", () => {
    const el = shown(`${"*".repeat(9000)}a${"*".repeat(9000)}`);
    expect(el.textContent).toContain("a");
  });
});

describe("links", () => {
  const link = (text: string): HTMLAnchorElement => shown(text).querySelector("a")!;

  it("open elsewhere, say where they go, and tell the other side nothing", () => {
    const made = link("[our bank](https://evil.example/login?x=1)");
    expect([made.target, made.rel]).toEqual(["_blank", "noopener noreferrer nofollow"]);
    expect([made.dataset.owner, made.title]).toEqual(["evil.example", "https://evil.example/login?x=1"]);
  });

  it.each([
    ["[https://bank.example](https://evil.example/)", "evil.example"],
    ["[a](https://bank.example@evil.example/)", "evil.example"],
    ["[a](mailto:eve@evil.example)", "eve@evil.example"],
    ["[ä](https://ä.example/)", "xn--4ca.example"],
  ])("%s is of %s", (text, owner) => expect(link(text).dataset.owner).toBe(owner));

  it("need no owner where their words are the address", () => {
    expect(link("See https://good.example/a for more.").dataset.owner).toBeUndefined();
  });

  it.each(["[a](/hub/logout)", "[a](//evil.example)", "[a](#x)", "[a](x.html)", "[a](ftp://x.example)", "[a](blob:https://x/1)", "[a](https://)"])(
    "%s is only its words",
    (text) => {
      expect(link(text)).toBeNull();
      expect(shown(text).textContent.trim()).toBe("a");
    },
  );

  it("stand in the place of pictures", () => {
    const made = shown("![a scan](https://x.example/p.png) ![](https://x.example/q.png)");
    expect([...made.querySelectorAll("a")].map((one) => one.textContent)).toEqual(["a scan", "image"]);
    expect(shown("[![alt](https://x.example/p.png)](https://y.example/)").querySelectorAll("a")).toHaveLength(1);
  });
});

describe("what answers are made of", () => {
  it("has code with its language and a way to copy it", () => {
    const el = shown("```python extra\nprint('<b>')\n```");
    expect(el.querySelector(".code-head span")?.textContent).toBe("python");
    expect(el.querySelector("pre code")?.textContent).toBe("print('<b>')");
    expect(el.querySelector(".code-head button")?.getAttribute("aria-label")).toBe("Copy this code");
  });

  it("has tables that scroll, with heads", () => {
    const el = shown("| a | b |\n|---|--:|\n| 1 | 2 |");
    expect(el.querySelector(".wide > table")).not.toBeNull();
    expect([...el.querySelectorAll("th")].map((head) => head.scope)).toEqual(["col", "col"]);
    expect(el.querySelector("td[align=right]")?.textContent).toBe("2");
  });

  it("has headings below those of the page, ticked lists and single line breaks", () => {
    expect(shown("# One\n\n###### Six").querySelectorAll("h3, h6")).toHaveLength(2);
    expect(shown("- [x] done\n- [ ] open").textContent.trim()).toBe("☑ done\n☐ open");
    expect(shown("a\nb").querySelectorAll("br")).toHaveLength(1);
  });
});
