"""What a model wrote, as Markdown that can do nothing but be read.

A notebook trusts the outputs of its own cells: it would run HTML, follow `javascript:` links and
fetch images that stand in an answer, and an image's address can carry the conversation away. A
formula can link too, dress as anything, and give other formulas of the page another meaning.

What always holds:
- Every tag in the result is one of ours; whatever could begin a tag, a link or an image is an
  entity, in any reading of Markdown.
- A formula only writes: what else MathJax would obey is an entity, and so an error in that formula.
- Code is made of tags of ours, because entities inside Markdown's own code would be seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["harmless"]

_FENCE = re.compile(r"\s*(`{3,}|~{3,})")
_CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")
_PUNCTUATION = re.compile(r"[^\w\s]|_")
#: Source: MathJax documentation, "TeX and LaTeX extensions": html, require, newcommand, mathtools.
_ACTS = (
    "href|class|cssId|style|data|require|mmlToken|g?def|let|(?:re)?new(?:command|environment|tagform)|"
    "Declare[A-Za-z]+"
)
_ACTIVE = re.compile(rf"[&<\[\]]|`{{3,}}|~{{3,}}|\\(?=(?:{_ACTS})(?![A-Za-z]))")


def harmless(text: str) -> str:
    """Return the text as Markdown without HTML, links and images."""
    return "\n".join(_blocks(text.splitlines()))


def _blocks(lines: list[str]) -> Iterator[str]:
    fence, code = "", list[str]()
    for line in lines:
        match = _FENCE.match(line)
        if fence:
            if match and match[1].startswith(fence) and line.strip() == match[1]:
                yield _block(code)
                fence, code = "", []
            else:
                code.append(line)
        elif match:
            fence = match[1]
        else:
            yield _prose(line)
    if fence:  # an answer that is still being written
        yield _block(code)


def _block(code: list[str]) -> str:
    return f"\n<pre><code>{_entities(_PUNCTUATION, chr(10).join(code))}\n</code></pre>\n"


def _prose(line: str) -> str:
    parts, end = list[str](), 0
    for match in _CODE.finditer(line):
        parts.append(_entities(_ACTIVE, line[end : match.start()]))
        parts.append(f"<code>{_entities(_PUNCTUATION, match[2])}</code>")
        end = match.end()
    return "".join([*parts, _entities(_ACTIVE, line[end:])])


def _entities(which: re.Pattern[str], text: str) -> str:
    return which.sub(lambda found: "".join(f"&#{ord(mark)};" for mark in found[0]), text)
