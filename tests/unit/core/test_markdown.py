"""An answer as Markdown can do nothing but be read, however it is written."""

import re
from html import unescape
from html.parser import HTMLParser

import mistune
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptery.client.markdown import harmless

#: A renderer that lets HTML through, as a notebook does for outputs that it trusts.
render = mistune.create_markdown(escape=False, plugins=["table", "strikethrough", "url"])
#: What Markdown makes of plain letters; a bare address is a link, which only a click follows.
TAGS = """
p em strong h1 h2 h3 h4 h5 h6 ul ol li pre code blockquote hr br del a table thead tbody tr th td
"""


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def check(text: str) -> None:
    for tag, attributes in Tags(str(render(harmless(text)))).seen:
        assert tag in TAGS.split(), (tag, text)
        assert set(attributes) <= {"href", "start", "style"}, (attributes, text)
        assert re.match(r"https?:|mailto:", attributes.get("href") or "https:"), text
        assert re.fullmatch(
            r"text-align:(left|right|center)", attributes.get("style") or "text-align:left"
        )


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "\\<script>alert(1)</script>",
        "`\n<script>alert(1)</script>\n`",
        "``` \n</code></pre><script>alert(1)</script>\n```\n<script>",
        "```\n<script>\n~~~\n<script>\n```\n<script>",
        "~~~\n```\n~~~\n<script>alert(1)</script>",
        "````\n```\n</pre><script>x</script>",
        "[x](javascript:alert(1))",
        "![x](https://evil.example/?q=1)",
        "![x][1]\n\n[1]: https://evil.example/",
        "<javascript:alert(1)>",
        "<https://evil.example/>",
        "`a` <b> `c`",
        "``a ` <b>`` <i>",
        "&lt;script&gt; &#60;script&#62;",
        "- ```\n  <script>\n  ```\n",
        "> ```\n> <script>\n\n<script>",
        "    <script>alert(1)</script>",
        "<!-- --><script>1</script>",
        "<!DOCTYPE x>\n<?php ?>\n<![CDATA[x]]>",
        "\u2028<script>\u2029\x0b<script>\x00<script>",
        "| a |\n|---|\n| <b> `<i>` |",
    ],
)
def test_nothing_of_an_answer_becomes_a_tag_of_its_own(text: str) -> None:
    check(text)


MARKS = r"""
<script> </code> </pre> < > ` ``` ~~~ [ ] ( ) ! \ javascript:x & lt; $ - > # * _ a |
"""
PIECES = st.lists(st.sampled_from([*MARKS.split(), "\n", "\n\n", "    ", " "]), max_size=25)


@given(PIECES.map("".join) | st.text(max_size=60))
def test_no_mixture_of_marks_does_either(text: str) -> None:
    check(text)


@pytest.mark.parametrize(
    "formula",
    [
        "$\\href{javascript:alert(1)}{x}$",
        "$$\n\\href {https://evil.example}{x}\n$$",
        "\\(\\style{position:fixed}{x}\\)",
        "$\\\\\\cssId{main}{\\class{jp-Button}{x}}$",
        "$\\require{html}$ $\\let\\x\\href$",
        "$\\def\\frac#1#2{1}$ $\\renewcommand{\\sum}{0}$ $\\DeclareMathOperator{\\x}{y}$",
    ],
)
def test_a_formula_does_nothing_but_write(formula: str) -> None:
    left = re.findall(r"\\([A-Za-z]+)", harmless(formula))
    assert set(left) <= {"frac", "sum", "x"}, left
    assert harmless("$\\frac{1}{2} \\leq \\definitely$") == "$\\frac{1}{2} \\leq \\definitely$"


def test_what_is_harmless_is_still_markdown() -> None:
    text = "# Plan\n\n- *rest*\n- `a[0] < b`\n\n```python\nif a[0] < b & c:\n    print('*')\n```\n"
    html = str(render(harmless(text)))
    assert "<h1>Plan</h1>" in html and "<em>rest</em>" in html
    seen = re.sub(r"<[^>]+>", "", html)
    assert "a[0] < b" in unescape(seen) and "if a[0] < b & c:\n    print('*')" in unescape(seen)
