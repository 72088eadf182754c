"""Markdown of others in a real browser: nothing in it runs, loads, or takes the page over.

Both walls hold each attack alone: the reading of markdown, which shows HTML as text, and what
sanitises the result.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route

from support.browser import open_browser

VIEWS = Path(__file__).parents[2] / "widgets" / "views-src"
ATTACKS: list[tuple[str, str]] = json.loads((VIEWS / "test" / "parts" / "attacks.json").read_text())
PAGE = "http://markdown.test/"
#: What answers are made of; anything else is a way through.
TAGS = (
    "p, br, hr, h3, h4, h5, h6, strong, em, b, i, del, sub, sup, kbd, code, pre, blockquote, a, "
    "ul, ol, li, table, thead, tbody, tr, th, td, "
    "div.code, div.wide, div.code-head, div.code-head > span, div.code-head > button"
)
ATTRIBUTES = (
    "href align start target rel title scope tabindex role type class aria-label "
    "data-owner data-lm-suppress-shortcuts"
)
#: Each is slow or deep in some reader of markdown when there is much of it.
PIECES = (
    *(
        ">",
        "> a\n",
        "- ",
        "- a\n",
        "1. ",
        "[",
        "![",
        "[a](",
        "[a]: b\n\na",
        "**a *b ",
        "`a``",
        "~a~~",
    ),
    *("<a ", "<b>a", "<sub>a", "&amp", "|a", "|a|\n|-|\n", "```\n", "www.a"),
)
SHOW = """([wall, attack, tags, attributes]) => {
    const place = document.createElement("div");
    document.body.replaceChildren(place);
    place.append(window.walls[wall](attack) ?? "");
    const strange = (node) => !node.matches(tags)
        || node.getAttributeNames().some((name) => !attributes.split(' ').includes(name))
        || (node.hasAttribute("href") && !/^(https?|mailto):/.test(node.href));
    const nodes = [...place.querySelectorAll("*")];
    const still = nodes.filter((node) => !node.matches("button, a"));
    for (const event of ["click", "mouseover", "focus"]) {
        const made = new Event(event, { bubbles: true, cancelable: true });
        still.forEach((node) => node.dispatchEvent(made));
    }
    return nodes.filter(strange).map((node) => node.outerHTML);
}"""


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The markdown part as a script that puts its two walls on the window."""
    folder = tmp_path_factory.mktemp("markdown")
    entry = folder / "entry.ts"
    source = json.dumps(str(VIEWS / "src" / "parts" / "markdown"))
    entry.write_text(
        f"import {{ render, sanitised }} from {source};\n"
        "Object.assign(window, { walls: { render, sanitised } });\n"
    )
    esbuild = VIEWS / "node_modules" / ".bin" / "esbuild"
    if not esbuild.exists() or shutil.which("node") is None:
        pytest.fail("There is no esbuild; `make views` installs it.")
    made = folder / "markdown.js"
    subprocess.run([esbuild, entry, "--bundle", f"--outfile={made}"], check=True, timeout=60)
    return made


@pytest.fixture(scope="module")
def asked() -> list[str]:
    """Every address that the page asked for."""
    return []


@pytest.fixture(scope="module")
def page(
    module: Path, asked: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Page]:
    """A page that holds the walls, and answers no other address."""

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        if route.request.url == PAGE:
            route.fulfill(
                body="<!doctype html><meta charset=utf-8><body>", content_type="text/html"
            )
        else:
            route.abort()

    with open_browser(tmp_path_factory.mktemp("browser")) as (page, _):
        page.route("**/*", answer)
        page.goto(PAGE)
        page.add_script_tag(path=module)
        yield page


@pytest.mark.parametrize("wall", ["render", "sanitised"])
@pytest.mark.parametrize(("name", "attack"), ATTACKS, ids=[name for name, _ in ATTACKS])
def test_an_attack_does_nothing(
    page: Page, asked: list[str], wall: str, name: str, attack: str
) -> None:
    del name
    ways = page.evaluate(SHOW, [wall, attack, TAGS, ATTRIBUTES])
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    assert ways == []
    assert page.evaluate("window.hit") is None
    assert asked == [PAGE]
    assert page.url == PAGE


@pytest.mark.parametrize("text", PIECES)
def test_long_and_deep_text_is_shown(page: Page, text: str) -> None:
    shown = """(text) => {
        const place = document.createElement("div");
        document.body.replaceChildren(place);
        place.append(window.walls.render(text));
        return [place.childElementCount > 0, place.getBoundingClientRect().height > 0];
    }"""
    assert page.evaluate(shown, text * (19_000 // len(text))) == [True, True]
