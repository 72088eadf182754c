"""The service's own page as a user has it: real Hub, real browser, mouse and keyboard, no Lab."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from local_hub import HubProcess
from support.api import Journey
from support.browser import BrowserLog

pytestmark = pytest.mark.timeout(600)

PREFIX = "/services/adaptery/"


@pytest.fixture(scope="module")
def opened(
    hub: HubProcess, journey: Journey, browser: tuple[Page, BrowserLog]
) -> tuple[Page, HubProcess]:
    """Demo's page, reached through the login of the Hub."""
    page, _ = browser
    log_in(page, hub, "demo")
    expect(part(page, "Adapters")).to_contain_text(journey.adapter["full_name"])
    return page, hub


@pytest.fixture
def page(opened: tuple[Page, HubProcess]) -> Page:
    page, hub = opened
    page.goto(hub.service_url + "#panel")
    expect(part(page, "Jobs").get_by_role("listitem")).to_have_count(1)
    return page


def log_in(page: Page, hub: HubProcess, name: str) -> None:
    """Open the page, which sends to the login and takes whoever comes back from it."""
    page.goto(hub.service_url)
    page.get_by_label("Username").click()
    page.keyboard.type(name)
    page.keyboard.press("Tab")
    page.keyboard.type(hub.passwords[name])
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{PREFIX}**")


def part(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True)


def go_to(page: Page, name: str) -> None:
    page.get_by_role("navigation").get_by_role("link", name=name).click()


def test_the_overview_shows_what_is_mine(page: Page, journey: Journey) -> None:
    expect(page).to_have_title("Overview · Adaptery")
    expect(page.get_by_role("banner")).to_contain_text("demo")
    expect(part(page, "Datasets")).to_contain_text(journey.dataset["full_name"])
    expect(part(page, "Jobs")).to_contain_text("completed")
    expect(part(page, "Agents")).to_contain_text("live")


def test_each_view_has_an_address_that_a_reload_comes_back_to(page: Page, journey: Journey) -> None:
    name = journey.adapter["full_name"]
    part(page, "Adapters").locator("button.line", has_text=name).click()
    expect(page).to_have_url(re.compile(r"#chat\?model=@demo/soap@1$"))
    page.reload()
    chosen = page.get_by_role("region", name="Chat").get_by_label("Model", exact=True)
    expect(chosen).to_have_value(journey.adapter["full_name"])
    page.go_back()
    expect(part(page, "Jobs").get_by_role("listitem")).to_have_count(1)
    page.go_forward()
    expect(chosen).to_be_visible()


def test_the_journey_goes_by_links_and_keys(page: Page, journey: Journey) -> None:
    line = part(page, "Jobs").get_by_role("button", name=journey.job["name"])
    line.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(rf"#watch\?job={journey.job['id']}$"))
    expect(page.get_by_role("main")).to_contain_text(journey.job["name"])
    expect(page.get_by_role("link", name="Jobs")).to_have_attribute("aria-current", "page")
    for name in ("Curate", "Train", "Jobs", "Chat", "Keys", "Overview"):
        go_to(page, name)
        link = page.get_by_role("link", name=name)
        expect(link).to_have_attribute("aria-current", "page")
        expect(page.locator("main .ady")).not_to_have_count(0)
        expect(page.get_by_role("main")).not_to_contain_text("could not be loaded")


def test_it_fits_a_narrow_window(page: Page) -> None:
    page.set_viewport_size({"width": 320, "height": 800})
    try:
        for name in ("Curate", "Train", "Jobs", "Chat", "Keys", "Overview"):
            go_to(page, name)
            expect(page.get_by_role("link", name=name)).to_have_attribute("aria-current", "page")
            assert page.evaluate("document.documentElement.scrollWidth") == 320, name
    finally:
        page.set_viewport_size({"width": 1200, "height": 800})


def test_a_view_says_when_the_session_is_over_and_another_user_gets_their_own_page(
    page: Page, opened: tuple[Page, HubProcess]
) -> None:
    _, hub = opened
    other = page.context.new_page()
    other.goto(f"{hub.url}/hub/logout")
    said = page.get_by_text("You are logged out. Load this page again to log in.")
    expect(said.first).to_be_visible()
    log_in(other, hub, "guest")
    expect(part(other, "Datasets")).to_contain_text("No dataset yet")
    other.close()
    page.bring_to_front()
    page.evaluate("dispatchEvent(new Event('focus'))")
    expect(page.get_by_role("banner")).to_contain_text("guest")
    expect(part(page, "Datasets")).to_contain_text("No dataset yet")
    expect(page.get_by_role("main")).not_to_contain_text("@demo")


def test_nothing_was_refused_and_the_browser_asked_only_this_machine(
    opened: tuple[Page, HubProcess], browser: tuple[Page, BrowserLog]
) -> None:
    """Runs last: it closes the browser, whose log is complete only then."""
    page, log = browser
    page.context.close()
    assert log.asked_hosts() == {"127.0.0.1"}
    # A browser says here what the policy of a page refuses. 403 is the session that was ended.
    assert [line for line in log.console_errors if "403 (Forbidden)" not in line] == []
