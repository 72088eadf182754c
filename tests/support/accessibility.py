"""What axe finds in a page, and where the Tab key leads in a view."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page

REPOSITORY = Path(__file__).resolve().parents[2]
#: A pinned development dependency of the views; `make dev` installs it.
AXE = REPOSITORY / "widgets/views-src/node_modules/axe-core/axe.min.js"
SERIOUS = ("serious", "critical")
#: More steps than any view has stops, so that a trap is found.
STEPS_LIMIT = 200

_RUN = """async (include) => {
    const context = include.length > 0 ? { include } : document;
    const { violations } = await axe.run(context, { resultTypes: ["violations"] });
    return violations.flatMap(({ id, impact, nodes }) =>
        nodes.map(({ html, target, failureSummary }) =>
            ({ id, impact, html, target: target.join(" "), why: failureSummary })));
}"""

# Of radio buttons with one name, and of what has a roving tabindex, Tab reaches only one.
_STOPS = """(root) => {
    const all = [...root.querySelectorAll(
        "a[href], button, input, select, textarea, summary, [tabindex], [contenteditable=true]")];
    const stops = all.filter((one) => one.tabIndex >= 0 && !one.disabled && one.checkVisibility(
        { checkVisibilityCSS: true, contentVisibilityAuto: true })
        && !(one.type === "radio" && !one.checked));
    window.unreached = new Map(stops.map((one) => [one, wordsOf(one)]));
    window.unmarked = [];
    function wordsOf(one) {
        const label = one.getAttribute("aria-label") ?? one.labels?.[0]?.textContent;
        const words = label ?? one.textContent;
        return `${one.tagName.toLowerCase()} ${words.trim().slice(0, 60)}`;
    }
    root.addEventListener("focusin", ({ target }) => {
        const { outlineStyle, outlineWidth } = getComputedStyle(target);
        window.unreached.delete(target);
        if (outlineStyle !== "none" && outlineWidth !== "0px") return;
        window.unmarked.push(wordsOf(target));
    });
    return stops.length;
}"""


@dataclass(frozen=True)
class Walk:
    """What a walk with the Tab key through an element showed."""

    stops: int
    unreached: list[str]
    #: Reached, but nothing shows that the keyboard is there.
    unmarked: list[str]


def serious_violations(page: Page, *include: str) -> list[dict[str, Any]]:
    """Return what axe finds in the page, or in these parts of it, that keeps somebody out."""
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(AXE.read_text())
    found: list[dict[str, Any]] = page.evaluate(_RUN, list(include))
    return [violation for violation in found if violation["impact"] in SERIOUS]


def walk(root: Locator) -> Walk:
    """Press Tab from before an element until all of its stops were reached."""
    stops: int = root.evaluate(_STOPS)
    page = root.page
    root.evaluate(
        """(root) => {
            const start = document.createElement("span");
            start.tabIndex = -1;
            root.before(start);
            start.focus();
            start.addEventListener("blur", () => start.remove());
        }"""
    )
    for _ in range(min(stops + 5, STEPS_LIMIT)):
        page.keyboard.press("Tab")
        if page.evaluate("window.unreached.size") == 0:
            break
    unreached: list[str] = page.evaluate("[...window.unreached.values()]")
    return Walk(stops, unreached, page.evaluate("window.unmarked"))
