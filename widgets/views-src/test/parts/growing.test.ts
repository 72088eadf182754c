// @vitest-environment happy-dom
import "../support/node-names";
import { describe, expect, it } from "vitest";
import { Growing } from "../../src/parts/growing";
import { MOST_CHARACTERS, render } from "../../src/parts/markdown";
import { eventually } from "../support/scripted-host";

const ANSWER = `# A plan

First *this*, then **that**:

1. one
2. two

   still two

- a
- b

| a | b |
|---|---|
| 1 | 2 |

\`\`\`python
def f():

    return 1
\`\`\`

> quoted
> more

Last [words](https://x.example/).
`;

/** Write a text piece by piece, with a frame after each. */
async function grow(el: HTMLElement, text: string, step: number): Promise<Growing> {
  let painted = 0;
  const growing = new Growing(el, (paint) => {
    paint();
    painted++;
  });
  for (let end = step; end < text.length + step; end += step) {
    const before = painted;
    growing.write(text.slice(0, end));
    await eventually(() => painted > before);
  }
  return growing;
}

function whole(text: string): string {
  const el = document.createElement("div");
  el.append(render(text));
  return el.innerHTML;
}

/** Without the white space between blocks, which nobody sees. */
function tidy(html: string): string {
  return html.replace(/>\s+</g, "><").trim();
}

describe("a growing text", () => {
  it.each([3, 7, 40])("is in the end what it is as a whole (%d characters at a time)", async (step) => {
    const el = document.createElement("div");
    const growing = await grow(el, ANSWER, step);
    growing.end();
    expect(tidy(el.innerHTML)).toBe(tidy(whole(ANSWER)));
  });

  it("leaves complete blocks as they are", async () => {
    const el = document.createElement("div");
    const growing = await grow(el, "First paragraph.\n\nSecond one", 100);
    const first = el.querySelector("p");
    growing.write("First paragraph.\n\nSecond one grows.\n\nThird one");
    growing.end();
    expect(el.querySelectorAll("p")).toHaveLength(3);
    expect(el.querySelector("p")).toBe(first);
  });

  it("paints at most once a frame", async () => {
    const el = document.createElement("div");
    let painted = 0;
    const growing = new Growing(el, (paint) => {
      paint();
      painted++;
    });
    for (let end = 1; end < 50; end++) growing.write("word ".repeat(end));
    expect(painted).toBe(0);
    await eventually(() => painted === 1);
  });

  it("finds links that are defined at the end", () => {
    const el = document.createElement("div");
    const growing = new Growing(el);
    growing.write("See [this].\n\nMore words.\n\n[this]: https://x.example/");
    growing.end();
    expect(el.querySelector("a")?.href).toBe("https://x.example/");
  });

  it("becomes text where one block is too long, and grows on", async () => {
    const el = document.createElement("div");
    const growing = await grow(el, "Short.\n\n" + "word ".repeat(10), 30);
    const long = "Short.\n\n" + "word ".repeat(MOST_CHARACTERS);
    growing.write(long);
    growing.end();
    const text = el.querySelector(".plain")!.firstChild;
    growing.write(`${long}the end`);
    growing.end();
    expect(el.querySelector(".plain")!.firstChild).toBe(text);
    expect(el.textContent.endsWith("the end")).toBe(true);
  });

  it("takes line ends of any kind", () => {
    const el = document.createElement("div");
    const growing = new Growing(el);
    growing.write("One\r\n\r\nTwo\r\nthree\r");
    growing.end();
    expect(el.querySelectorAll("p")).toHaveLength(2);
  });
});
