// Markdown that is still being written. Blocks that are complete stay as they are, so that what each
// new word costs depends on the block it is in and not on the length of the text.

import { blocksOf, MOST_CHARACTERS, plain, render } from "./markdown";

/** Painting takes at most one part in this many of the time, however slow it is. */
const SHARE = 5;
/** A link that is defined elsewhere in the text. */
const DEFINITION = /^ {0,3}\[[^\]\n]+\]:/m;
/** The first word of a block and more: from here on it is known what the block is. */
const BEGUN = /^\s*\S+\s+\S/;

export class Growing {
  private text = "";
  /** Characters of `text` whose blocks are complete. */
  private settled = 0;
  /** The nodes of the rest. */
  private tail: ChildNode[] = [];
  /** The rest as it is, once it is too long for a block. */
  private raw: Text | null = null;
  private frame: number | null = null;
  private notBefore = 0;

  /** `painted` is called with what paints, so that it can look at `el` before and after it. */
  constructor(
    private readonly el: HTMLElement,
    private readonly painted: (paint: () => void) => void = (paint) => paint(),
  ) {}

  /** Show `text`, which begins with what was shown before; at most once a frame. */
  write(text: string): void {
    this.text = text.replaceAll("\r", "");
    this.frame ??= requestAnimationFrame(this.tick);
  }

  /** Show all of it now. */
  end(): void {
    if (this.frame !== null) cancelAnimationFrame(this.frame);
    this.frame = null;
    this.painted(() => {
      if (DEFINITION.test(this.text) && this.text.length <= MOST_CHARACTERS) this.el.replaceChildren(render(this.text));
      else this.paint();
    });
  }

  private readonly tick = (now: number): void => {
    if (now < this.notBefore) {
      this.frame = requestAnimationFrame(this.tick);
      return;
    }
    this.frame = null;
    const start = performance.now();
    this.painted(() => this.paint());
    const end = performance.now();
    this.notBefore = end + (end - start) * (SHARE - 1);
  };

  private paint(): void {
    if (this.raw) return this.raw.appendData(this.text.slice(this.settled + this.raw.length));
    const rest = this.text.slice(this.settled);
    if (rest.length > MOST_CHARACTERS) return this.paintRaw(rest);
    const blocks = blocksOf(rest);
    const last = blocks.findLastIndex((block) => block.trim() !== "");
    const complete = last > 0 && BEGUN.test(blocks[last]!) ? blocks.slice(0, last).join("") : "";
    for (const node of this.tail) node.remove();
    if (complete) this.el.append(render(complete));
    this.settled += complete.length;
    const shown = render(rest.slice(complete.length));
    this.tail = [...shown.childNodes];
    this.el.append(shown);
  }

  private paintRaw(rest: string): void {
    for (const node of this.tail) node.remove();
    const shown = plain(rest);
    this.raw = shown.querySelector("p")!.firstChild as Text;
    this.el.append(shown);
  }
}
