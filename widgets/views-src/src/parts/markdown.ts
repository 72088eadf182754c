// Text of others as markdown, shown safely: what models and people wrote is never trusted.
//
// Two walls. HTML in the text is shown as the text that it is, save a few bare tags that models like;
// and what is made of the rest passes a list of what may be, and nothing else may. So nothing in it
// runs, loads, or looks like a part of this page, and a link says where it goes.

import DOMPurify, { type Config } from "dompurify";
import { Lexer, Parser, Renderer, type Token, type Tokens } from "marked";
import { copyButton } from "./copy";
import { element } from "./elements";

/** A longer text is shown as it is: what reading it costs grows faster than its length. */
export const MOST_CHARACTERS = 20_000;
/** More lists and quotations in each other than anybody reads; reading them would need too deep a stack. */
const TOO_DEEP = /^(?:[ \t]*(?:>|[-+*](?=[ \t])|\d{1,9}[.)](?=[ \t]))){13}/m;
/** More stars and underscores in one paragraph than anybody writes: each is held against all others. */
const MOST_MARKS = 1000;
const MARKS = /[*_]+/g;
const PARAGRAPHS = /\n[ \t]*\n/;
const BARE_TAG = /^<\/?(?:br|sub|sup|kbd|b|i)\s*\/?>$/i;
const LANGUAGE_CHARACTERS = 30;

const TAGS = "p br hr h3 h4 h5 h6 strong em b i del sub sup kbd code pre blockquote ul ol li a table thead tbody tr th td".split(" ");
const ALLOWED: Config = {
  ALLOWED_TAGS: TAGS,
  ALLOWED_ATTR: ["href", "align", "start", "data-language"],
  ADD_URI_SAFE_ATTR: ["align", "start", "data-language"], // no addresses: these are not looked at as such
  ALLOWED_URI_REGEXP: /^(?:https?:\/\/|mailto:)/i,
  ALLOWED_NAMESPACES: ["http://www.w3.org/1999/xhtml"],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
};

/** The markdown of `text` as nodes; they belong to this document and load nothing. */
export function render(text: string): DocumentFragment {
  if (text.length > MOST_CHARACTERS || isTooMuch(text)) return plain(text);
  let html: string;
  try {
    html = Parser.parse(read(text), { renderer: new Shown() });
  } catch {
    return plain(text); // whatever the parser chokes on is still a text
  }
  return sanitised(html) ?? plain(text);
}

/** The top-level blocks of `text`, as written; together they are `text` without carriage returns. */
export function blocksOf(text: string): string[] {
  return isTooMuch(text) ? [text] : read(text).map((block) => block.raw);
}

/** Whether reading a text could take so long that the page stands still. */
function isTooMuch(text: string): boolean {
  return TOO_DEEP.test(text) || text.split(PARAGRAPHS).some((part) => (part.match(MARKS)?.length ?? 0) > MOST_MARKS);
}

/** A text as it is, line by line. */
export function plain(text: string): DocumentFragment {
  const fragment = document.createDocumentFragment();
  fragment.append(element("p", { class: "plain" }, text));
  return fragment;
}

/** The second wall: nodes of what is allowed in `html`; null where nothing can be told of it. */
export function sanitised(html: string): DocumentFragment | null {
  if (!DOMPurify.isSupported) return null;
  const fragment = DOMPurify.sanitize(html, { ...ALLOWED, RETURN_DOM_FRAGMENT: true });
  if (fragment.querySelector(`:not(${TAGS.join()})`)) return null; // a DOM that DOMPurify cannot read
  for (const link of fragment.querySelectorAll("a")) finishLink(link);
  for (const block of fragment.querySelectorAll("pre")) finishCode(block);
  for (const table of fragment.querySelectorAll("table")) finishTable(table);
  return fragment;
}

/** Lines are kept, as in messages: small models end most of theirs with a single break. */
function read(text: string): Token[] {
  return Lexer.lex(text, { gfm: true, breaks: true });
}

/** How a text becomes HTML, where that differs from marked's own way. */
class Shown extends Renderer {
  private links = 0;

  override html({ text, block }: Tokens.HTML | Tokens.Tag): string {
    if (BARE_TAG.test(text.trim())) return text;
    return block ? code(text.replace(/\n+$/, ""), "html") : escaped(text);
  }

  override code({ text, lang }: Tokens.Code): string {
    return code(text, lang?.trim().split(/\s/)[0] ?? "");
  }

  /** The page has headings of its own, above these. */
  override heading({ tokens, depth }: Tokens.Heading): string {
    const tag = `h${Math.min(depth + 2, 6)}`;
    return `<${tag}>${this.parser.parseInline(tokens)}</${tag}>\n`;
  }

  override checkbox({ checked }: Tokens.Checkbox): string {
    return checked ? "☑ " : "☐ ";
  }

  override link({ href, tokens }: Tokens.Link): string {
    this.links++;
    const words = this.parser.parseInline(tokens);
    this.links--;
    return `<a href="${escaped(href)}">${words}</a>`;
  }

  /** Nothing is fetched: a picture is its words, and a link to it. */
  override image({ href, text }: Tokens.Image): string {
    const words = escaped(text.trim() || "image");
    return this.links > 0 ? words : `<a href="${escaped(href)}">${words}</a>`;
  }
}

function code(text: string, language: string): string {
  return `<pre data-language="${escaped(language.slice(0, LANGUAGE_CHARACTERS))}"><code>${escaped(text)}</code></pre>\n`;
}

const ESCAPES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ESCAPES[character]!);
}

/** A link opens elsewhere, tells the other side nothing, and shows whose it is unless its words do. */
function finishLink(link: HTMLAnchorElement): void {
  const address = link.getAttribute("href");
  if (address === null || !URL.canParse(address)) return link.replaceWith(...link.childNodes);
  const { host, pathname, protocol } = new URL(address);
  const words = link.textContent;
  const owner = protocol === "mailto:" ? decoded(pathname) : host;
  link.target = "_blank";
  link.rel = "noopener noreferrer nofollow";
  link.title = address;
  link.dataset.lmSuppressShortcuts = "true";
  if (words !== address && words !== owner) link.dataset.owner = owner;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function finishCode(block: HTMLElement): void {
  const language = block.dataset.language ?? "";
  delete block.dataset.language;
  const head = element("div", { class: "code-head" }, element("span", {}, language || "code"));
  head.append(copyButton("Copy", "Copy this code", () => block.textContent));
  const frame = element("div", { class: "code" }, head);
  block.replaceWith(frame);
  frame.append(block);
  scrolls(block, language ? `Code, ${language}` : "Code");
}

function finishTable(table: HTMLTableElement): void {
  for (const head of table.querySelectorAll("th")) head.scope = "col";
  const frame = element("div", { class: "wide" });
  table.replaceWith(frame);
  frame.append(table);
  scrolls(frame, "Table");
}

/** What scrolls sideways can be reached with the keyboard. */
function scrolls(area: HTMLElement, name: string): void {
  area.tabIndex = 0;
  area.setAttribute("role", "region");
  area.setAttribute("aria-label", name);
  area.dataset.lmSuppressShortcuts = "true";
}

/** How it looks, inside an element of class `prose`. */
export const PROSE_STYLE = `
.ady .prose { min-width: 0; overflow-wrap: anywhere; }
.ady .prose > * { margin: 0 0 8px; } .ady .prose > :last-child { margin-bottom: 0; }
.ady .prose p.plain { white-space: pre-wrap; }
.ady .prose h3 { font-size: 17px; } .ady .prose h4 { font-size: 15px; } .ady .prose :is(h5, h6) { font-size: 14px; }
.ady .prose :is(h3, h4, h5, h6) { margin: 12px 0 4px; font-weight: 600; line-height: 1.35; } .ady .prose > :is(h3, h4, h5, h6):first-child { margin-top: 0; }
.ady .prose :is(ul, ol) { padding-left: 1.7em; list-style-position: outside; } .ady .prose ul { list-style-type: disc; } .ady .prose ol { list-style-type: decimal; }
.ady .prose li { margin: 2px 0; } .ady .prose li > :is(ul, ol, p) { margin: 2px 0; }
.ady .prose blockquote { margin-left: 0; padding: 0 0 0 12px; border-left: 3px solid var(--rim); color: var(--soft); } .ady .prose blockquote > * { margin: 0 0 6px; }
.ady .prose hr { height: 0; border: 0; border-top: 1px solid var(--edge); }
.ady .prose a { unicode-bidi: isolate; color: color-mix(in srgb, var(--focus) 60%, var(--ink)); text-decoration: underline; text-underline-offset: 2px; }
.ady .prose a::after { content: "↗"; display: inline-block; margin-left: 4px; } .ady .prose a[data-owner]::after { content: "(" attr(data-owner) ") ↗"; color: var(--soft); font-size: 12px; }
.ady .prose :not(pre) > code, .ady .prose kbd { padding: 1px 4px; border: 1px solid var(--edge); border-radius: 4px; background: var(--paper); color: inherit; }
.ady .prose .code { border: 1px solid var(--edge); border-radius: 6px; background: var(--paper); overflow: hidden; }
.ady .prose .code-head { display: flex; justify-content: space-between; align-items: center; gap: 8px; padding: 3px 4px 3px 10px; border-bottom: 1px solid var(--edge); font-size: 12px; color: var(--soft); }
.ady .prose .code-head span { min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; } .ady .prose .code-head button { flex: none; border-color: transparent; font-size: 12px; }
.ady .prose pre { margin: 0; padding: 8px 10px; overflow-x: auto; line-height: 1.45; white-space: pre; overflow-wrap: normal; background: none; color: inherit; }
.ady .prose pre code { padding: 0; background: none; color: inherit; white-space: inherit; }
.ady .prose :is(pre, .wide):focus-visible { outline-offset: -2px; }
.ady .prose .wide { overflow-x: auto; } .ady .prose .wide table { width: auto; margin: 0; table-layout: auto; } .ady .prose :is(th, td) { overflow-wrap: normal; }
.ady .prose [align=center] { text-align: center; } .ady .prose [align=right] { text-align: right; }
`;
