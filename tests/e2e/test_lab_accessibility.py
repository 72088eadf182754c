"""In Lab, light and dark, axe finds nothing in the panel, the tabs and the cells of a notebook."""

import re

import pytest
from playwright.sync_api import Page, expect

from local_hub import HubProcess
from support.accessibility import serious_violations, walk
from support.api import Journey
from support.browser import BrowserLog
from support.notebook_page import NotebookPage
from support.view_pages import PATIENCE_MS, CuratePage, LabPages, WatchPage

pytestmark = pytest.mark.timeout(600)

#: A wide window, and one in which a tab beside the panel is about 320 pixels wide.
WIDTHS = (1200, 700)


@pytest.fixture(scope="module")
def lab(hub: HubProcess, journey: Journey, browser: tuple[Page, BrowserLog]) -> LabPages:
    """Demo's Lab with the panel, every view in a tab, and one in a notebook."""
    page, _ = browser
    first = "from adaptery_widgets import Jobs"
    notebook = NotebookPage(page, hub, "seen.ipynb", first)
    notebook.enter()
    output = notebook.run("Jobs()")
    jobs = notebook.view(output, "jobs")
    jobs.get_by_role("button", name=f"Watch {journey.job['name']}").click(timeout=PATIENCE_MS)
    WatchPage(notebook.view(output, "watch")).wait_for_charts()
    expect(output.get_by_role("button", name="← Back")).to_be_visible()
    lab = notebook.lab
    lab.show_panel()
    curate = CuratePage(lab.open("Datasets", journey.dataset["full_name"], "curate"))
    curate.open_record("Patient 2: a cough.")
    lab.open("Jobs", "All jobs", "jobs")
    lab.open("Jobs", journey.job["name"], "watch")
    lab.open("Adapters", journey.adapter["full_name"], "chat")
    curate.page.keyboard.press("Control+Shift+L")
    page.locator(".jp-LauncherCard[data-category='Adaptery']").filter(has_text="Train").click()
    expect(lab.view("train").get_by_label("Epochs")).to_be_visible(timeout=PATIENCE_MS)
    return lab


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_axe_finds_nothing_of_ours(lab: LabPages, journey: Journey, theme: str) -> None:
    choose_theme(lab.page, theme)
    found = {}
    for tab in lab.tabs.all():
        tab.click()
        expect(lab.page.locator("#jp-main-dock-panel .ady:visible").first).to_be_visible()
        for width in WIDTHS:
            lab.page.set_viewport_size({"width": width, "height": 800})
            violations = serious_violations(lab.page, ".ady", "#adaptery-sidebar")
            found |= {f"{tab.inner_text()} {width}": violations} if violations else {}
        lab.page.set_viewport_size({"width": WIDTHS[0], "height": 800})
    assert found == {}


def test_tab_reaches_everything_in_the_panel(lab: LabPages) -> None:
    walked = walk(lab.panel.locator(".ady-panel"))
    assert walked.stops > 5
    assert walked.unreached == []
    assert walked.unmarked == []


def choose_theme(page: Page, theme: str) -> None:
    """Choose one of Lab's own themes in the command palette."""
    page.keyboard.press("Control+Shift+C")
    page.locator(".lm-CommandPalette-input").fill(f"Use Theme: JupyterLab {theme}")
    item = page.locator(".lm-CommandPalette-item.lm-mod-active")
    expect(item).to_have_text(re.compile(rf"JupyterLab {theme}\s*$"), timeout=PATIENCE_MS)
    page.keyboard.press("Enter")
    light = str(theme == "Light").lower()
    body = page.locator(f"body[data-jp-theme-light='{light}']")
    expect(body).to_have_count(1, timeout=PATIENCE_MS)
