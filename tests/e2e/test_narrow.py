"""The first half of the journey in a window of 320 px, on the service's own page."""

import pytest
from playwright.sync_api import Locator, Page, expect

from local_hub import HubProcess
from support.api import Api, alpaca
from support.browser import BrowserLog
from support.view_pages import PATIENCE_MS, CuratePage

pytestmark = pytest.mark.timeout(600)

WIDTH = 320


@pytest.fixture(scope="module")
def page(hub: HubProcess, browser: tuple[Page, BrowserLog]) -> Page:
    page, _ = browser
    page.set_viewport_size({"width": WIDTH, "height": 640})
    page.goto(hub.service_url)
    page.get_by_label("Username").fill("demo")
    page.get_by_label("Password").fill(hub.passwords["demo"])
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(".ady-panel")).to_contain_text("No dataset yet", timeout=PATIENCE_MS)
    return page


def test_curate_and_train_are_usable_from_the_panel_on(page: Page, demo_api: Api) -> None:
    check_fit(page.locator(".ady-panel"))
    page.get_by_role("button", name="New dataset").click()
    view = page.locator(".ady-curate")
    curate = CuratePage(view)
    curate.make("narrow")
    check_fit(view)
    curate.drop_file("a-file-with-quite-a-long-name.json", alpaca(8))
    expect(curate.upload("a-file-with")).to_contain_text("8 records", timeout=PATIENCE_MS)
    check_fit(view)
    curate.part("Records")
    curate.open_record("Patient 2: a cough.")
    check_fit(view)
    curate.press("Edit")
    curate.write("Written in a narrow window.")
    check_fit(view)
    check_that_it_stays(page)
    curate.press("Save")
    expect(curate.said).to_have_text("Saved record 3.", timeout=PATIENCE_MS)
    curate.publish()
    check_fit(view)
    curate.published.get_by_role("button", name="Train on it").click()
    train = page.locator(".ady-train")
    expect(train.get_by_label("Name", exact=True)).to_have_value("narrow", timeout=PATIENCE_MS)
    check_fit(train)
    train.get_by_label("Epochs").fill("1")
    train.get_by_role("button", name="Start training").click()
    expect(train.get_by_role("button", name="Watch it")).to_be_visible(timeout=PATIENCE_MS)
    check_fit(train)
    (job,) = demo_api.json("GET", "api/jobs")["items"]
    assert job["name"] == "narrow"


def check_that_it_stays(page: Page) -> None:
    """Check that nobody is led away from an unsaved edit unasked."""
    address = page.url
    page.get_by_role("navigation").get_by_role("link", name="Train").click()
    asked = page.get_by_role("dialog", name="Leave this view?")
    check_fit(asked)
    asked.get_by_role("button", name="Stay").click()
    expect(page).to_have_url(address)


_BOXES = """buttons => buttons.filter(button => button.checkVisibility()).map(button => {
    button.scrollIntoView({ block: "nearest", inline: "nearest" });
    const box = button.getBoundingClientRect();
    return [button.innerText, box.left, box.width];
})"""


def check_fit(view: Locator) -> None:
    """Check that the page does not scroll sideways, and that each button can be reached."""
    assert view.page.evaluate("document.documentElement.scrollWidth") == WIDTH
    boxes = view.get_by_role("button").evaluate_all(_BOXES)  # at once: buttons come and go
    for words, left, width in boxes:
        assert left >= 0 and left + width <= WIDTH, (words, left, width)
