"""The dashboard and the comparison of jobs as a user has them."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from local_hub import HubProcess
from support.api import Api, Journey, submit, wait_for_job
from support.browser import BrowserLog
from support.service_page import ServicePage
from support.view_pages import PATIENCE_MS, WatchPage

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def demo(hub: HubProcess, journey: Journey, browser: tuple[Page, BrowserLog]) -> ServicePage:
    page = ServicePage(browser[0], hub, "demo")
    page.enter()
    return page


@pytest.fixture(scope="module")
def other(journey: Journey, demo_api: Api) -> str:
    """The name of a job like the journey's, with another rank."""
    job = submit(demo_api, "wide", journey.version["name"], epochs=1, rank=16)
    wait_for_job(demo_api, job["id"])
    return "wide"


@pytest.fixture
def jobs(demo: ServicePage, other: str) -> Locator:
    demo.go_to("Overview", "panel")
    view = demo.go_to("Jobs", "jobs")
    expect(table(view, "Completed")).to_contain_text(other, timeout=PATIENCE_MS)
    return view


def table(view: Locator, section: str) -> Locator:
    return view.get_by_role("table", name=f"{section} jobs")


def press(view: Locator, job: str, action: str) -> None:
    """Press what is behind the button "More" of a job."""
    view.get_by_label(f"More for {job}", exact=True).click()
    view.locator(".menu[open]").get_by_text(action, exact=True).click()


def test_a_section_counts_its_jobs_and_offers_what_can_be_done(jobs: Locator) -> None:
    expect(jobs.get_by_role("heading", name="Completed 2")).to_be_visible()
    expect(jobs.get_by_role("button", name="Chat soap", exact=True)).to_be_visible()
    more = jobs.get_by_label("More for soap", exact=True)
    more.focus()
    jobs.page.keyboard.press("Enter")
    items = jobs.locator(".menu[open] .items > button:visible")
    expect(items).to_have_text(["Run again", "Clone", "Statistics", "Download", "Delete"])
    for index in range(5):
        jobs.page.keyboard.press("Tab")
        expect(items.nth(index)).to_be_focused()
    jobs.page.keyboard.press("Escape")
    expect(items).to_have_count(0)
    expect(more).to_be_focused()


def test_statistics_tell_what_a_job_cost(jobs: Locator) -> None:
    press(jobs, "soap", "Statistics")
    dialog = jobs.get_by_role("dialog", name="Statistics of soap")
    for words in ("Waited", "Tokens per second", "train_loss", "Attempts", "@demo/soap@1"):
        expect(dialog).to_contain_text(words, timeout=PATIENCE_MS)
    jobs.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_the_adapter_is_downloaded(jobs: Locator) -> None:
    with jobs.page.expect_download(timeout=PATIENCE_MS) as given:
        press(jobs, "soap", "Download")
    assert given.value.suggested_filename.endswith(".zip")
    expect(jobs.get_by_text(f"Downloaded {given.value.suggested_filename}.")).to_be_visible()


def test_jobs_are_laid_over_each_other(demo: ServicePage, jobs: Locator, other: str) -> None:
    compare = jobs.get_by_role("button", name="Compare charts")
    jobs.get_by_label("Compare soap", exact=True).check()
    expect(compare).to_be_disabled()
    jobs.get_by_label(f"Compare {other}", exact=True).check()
    compare.click()
    expect(jobs.get_by_role("heading", name="Compare jobs")).to_be_focused(timeout=PATIENCE_MS)
    expect(jobs.get_by_role("img", name=re.compile("^soap: .* wide: "))).not_to_have_count(0)
    WatchPage(jobs).wait_for_charts(count=6)  # nothing was held out: no eval loss
    ranks = jobs.get_by_role("row").filter(has_text="LoRA rank")
    expect(ranks).to_have_text(re.compile("LoRA rank816"))
    assert re.fullmatch(r"jobs\?compare=jb_\w+,jb_\w+", demo.address)
    jobs.page.reload()
    expect(jobs.get_by_role("button", name="By time")).to_be_visible(timeout=PATIENCE_MS)
    jobs.get_by_role("button", name="By time").click()
    WatchPage(jobs).wait_for_charts(count=6)
    jobs.get_by_role("button", name="← All jobs").click()
    expect(table(jobs, "Completed")).to_be_visible(timeout=PATIENCE_MS)


def test_a_job_is_run_again_as_it_was_and_deleted(jobs: Locator, other: str) -> None:
    press(jobs, other, "Run again")
    expect(jobs.get_by_text(f"{other} is submitted again")).to_be_visible(timeout=PATIENCE_MS)
    twice = table(jobs, "Completed").get_by_role("row").filter(has_text=other)
    expect(twice).to_have_count(2, timeout=PATIENCE_MS)
    jobs.get_by_label(f"More for {other}", exact=True).first.click()
    jobs.locator(".menu[open]").get_by_text("Delete", exact=True).click()
    jobs.get_by_role("dialog").get_by_role("button", name="Delete the job").click()
    expect(twice).to_have_count(1, timeout=PATIENCE_MS)


def test_the_page_complained_of_nothing(browser: tuple[Page, BrowserLog]) -> None:
    assert browser[1].console_errors == []
