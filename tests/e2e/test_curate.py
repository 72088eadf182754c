"""A dataset from nothing to a version on the service's page: real Hub, real browser."""

import json
import re

import pytest
from playwright.sync_api import Locator, Page, expect

from local_hub import HubProcess
from support.browser import BrowserLog

pytestmark = pytest.mark.timeout(600)

VISITS = [
    {"instruction": f"Note {i}.", "input": "", "output": f"Rest, day {i}."} for i in range(40)
]


@pytest.fixture(scope="module")
def curate(hub: HubProcess, browser: tuple[Page, BrowserLog]) -> Locator:
    """Demo's new dataset `visits`, without a record."""
    page, _ = browser
    page.goto(hub.service_url)
    page.get_by_label("Username").fill("demo")
    page.get_by_label("Password").fill(hub.passwords["demo"])
    page.keyboard.press("Enter")
    page.get_by_role("navigation").get_by_role("link", name="Curate").click()
    view = page.get_by_role("region", name="Curate", exact=True)
    view.get_by_role("button", name="New dataset").click()
    view.get_by_label("Name").fill("Visits")
    view.get_by_role("button", name="Create").click()
    expect(view.get_by_label("Name")).to_have_attribute("aria-invalid", "true")
    view.get_by_label("Name").fill("visits")
    page.keyboard.press("Enter")
    expect(view.get_by_role("heading", name="visits", exact=True)).to_be_visible()
    return view


def upload(view: Locator, name: str, content: object) -> None:
    view.get_by_role("tab", name="Files", exact=True).click()
    data = json.dumps(content).encode()
    file = {"name": name, "mimeType": "application/json", "buffer": data}
    view.locator("input[type=file]").set_input_files(file)  # type: ignore[arg-type]


def open_record(view: Locator, number: int) -> None:
    view.get_by_role("tab", name="Records", exact=True).click()
    view.get_by_role("row", name=re.compile(rf"picked {number} ")).click()
    panel = view.get_by_role("region", name="Record", exact=True)
    expect(panel.get_by_role("heading", name=f"Record {number}")).to_be_visible()


def answer(view: Locator, text: str) -> None:
    """Give the record that is open another answer."""
    panel = view.get_by_role("region", name="Record", exact=True)
    panel.get_by_role("button", name="Edit").click()
    panel.get_by_role("textbox", name="Message 2").fill(text)
    panel.get_by_role("button", name="Save").click()


def test_a_wrong_file_is_explained_record_by_record(curate: Locator) -> None:
    upload(curate, "wrong.json", [*VISITS[:3], {"output": "no question"}])
    box = curate.get_by_role("group", name="Import of wrong.json")
    problems = box.get_by_role("region", name="What is wrong")
    expect(problems.get_by_role("row")).to_have_count(2)
    expect(problems.get_by_role("cell").first).to_have_text("4")
    box.get_by_role("button", name="Refuse the file").click()
    expect(curate).to_contain_text("No files yet")


def test_a_file_becomes_records(curate: Locator) -> None:
    upload(curate, "visits.json", VISITS + VISITS[:5])
    expect(curate).to_contain_text("✓ visits.json · Alpaca, 45 records")
    curate.get_by_role("tab", name="Records").click()
    grid = curate.get_by_role("grid", name="Records of visits")
    expect(grid).to_have_attribute("aria-rowcount", "46")
    curate.get_by_role("button", name="Filters").click()
    curate.get_by_label("Duplicates", exact=True).check()
    expect(grid).to_have_attribute("aria-rowcount", "11")
    curate.get_by_role("button", name="Take the filter away: duplicates").click()
    curate.get_by_role("searchbox", name="Search").fill("day 39")
    expect(grid).to_have_attribute("aria-rowcount", "2")
    curate.get_by_role("searchbox", name="Search").fill("")
    expect(grid).to_have_attribute("aria-rowcount", "46")


def test_a_record_is_changed_and_that_is_undone(curate: Locator) -> None:
    open_record(curate, 2)
    answer(curate, "Tea and rest.")
    expect(curate).to_contain_text("Saved record 2.")
    grid = curate.get_by_role("grid")
    expect(grid).to_contain_text("Tea and rest.")
    grid.focus()
    curate.page.keyboard.press("Control+z")
    expect(curate).to_contain_text("Undid: changed record 2.")
    expect(grid).not_to_contain_text("Tea and rest.")
    curate.page.keyboard.press("Control+Shift+z")
    expect(curate).to_contain_text("Redid: changed record 2.")
    expect(grid).to_contain_text("Tea and rest.")


def test_a_change_outlives_a_lost_network(curate: Locator) -> None:
    curate.page.context.set_offline(True)
    try:
        answer(curate, "Written without a network.")
        expect(curate).to_contain_text("Not saved yet")
    finally:
        curate.page.context.set_offline(False)
    expect(curate).to_contain_text("Saved record 2.")
    expect(curate.get_by_role("grid")).to_contain_text("Written without a network.")


def test_the_draft_becomes_a_version_to_train_on(curate: Locator) -> None:
    curate.get_by_role("button", name="Publish", exact=True).click()
    curate.get_by_role("dialog").get_by_role("button", name="Publish").click()
    expect(curate).to_contain_text("Published @demo/visits@1.")
    curate.get_by_role("tab", name="Versions", exact=True).click()
    curate.get_by_role("button", name="Details of @demo/visits@1").click()
    curate.get_by_role("tab", name="Contents", exact=True).click()
    grid = curate.get_by_role("grid", name="Records of @demo/visits@1")
    expect(grid).to_contain_text("Written without a network.")
    curate.get_by_role("button", name="Train on it: @demo/visits@1").first.click()
    expect(curate.page).to_have_url(re.compile(r"#train\?version=dv_[0-9a-z]{26}$"))
    curate.page.go_back()
    expect(curate.get_by_role("heading", name="visits")).to_be_visible()


def test_the_view_complained_of_nothing(curate: Locator, browser: tuple[Page, BrowserLog]) -> None:
    _, log = browser
    expect(curate).to_be_visible()
    # Chromium itself reports each answer that is no success; the view must not add to that.
    assert [error for error in log.console_errors if "Failed to load resource" not in error] == []
