"""The form of a job as a user has it: every task, several versions, the pre-flight, a copy."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from local_hub import HubProcess
from support.api import Api, Journey, alpaca, make_version
from support.browser import BrowserLog
from support.service_page import ServicePage
from support.view_pages import PATIENCE_MS

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def demo(hub: HubProcess, journey: Journey, browser: tuple[Page, BrowserLog]) -> ServicePage:
    page = ServicePage(browser[0], hub, "demo")
    page.enter()
    return page


@pytest.fixture
def train(demo: ServicePage, journey: Journey) -> Locator:
    """The form with demo's version chosen."""
    demo.go_to("Overview", "panel")
    view = demo.open(f"train?version={journey.version['id']}")
    version = view.get_by_label("Version", exact=True)
    expect(version).to_have_value(journey.version["id"], timeout=PATIENCE_MS)
    return view


def test_every_task_has_its_form(train: Locator, demo_api: Api) -> None:
    expect(train.get_by_label("Task", exact=True)).to_have_value("training-v0")  # the short one
    tasks = demo_api.json("GET", "api/tasks")["items"]
    for task in sorted(tasks, key=lambda task: task["name"] == "training-v0"):
        train.get_by_label("Task", exact=True).select_option(task["name"])
        expect(train).to_contain_text(task["description"].strip())
        for name, option in task["schema"]["properties"].items():
            field = train.get_by_label(option["title"], exact=True)
            legend = train.get_by_role("group", name=option["title"], exact=True)
            assert field.count() + legend.count() >= 1, (task["name"], name)


def test_what_follows_is_told_in_the_words_of_the_worker(train: Locator, journey: Journey) -> None:
    train.get_by_text("More about this job").click()
    row = train.get_by_role("row")
    expect(row.filter(has_text=re.compile("^dataset@"))).to_contain_text(journey.version["name"])
    expect(row.filter(has_text="stage")).to_contain_text("sft")


def test_a_pre_flight_tells_what_a_job_would_come_to(train: Locator) -> None:
    flight = train.get_by_role("region", name="Pre-flight")
    flight.get_by_role("button", name="Run the pre-flight").click()
    tiles = flight.locator(".tile")
    expect(tiles.filter(has_text="Steps")).to_contain_text("in an epoch", timeout=PATIENCE_MS)
    expect(tiles.filter(has_text="Examples")).to_contain_text("12")
    flight.get_by_role("button", name="Show the first batch").click()
    batch = flight.locator(".tokens").first
    expect(batch).to_contain_text("Patient", timeout=PATIENCE_MS)
    expect(batch.locator("mark").first).to_contain_text("S: cough")
    expect(batch.locator("mark").first).not_to_contain_text("Patient")  # what was asked is read
    stale = flight.get_by_text("The form has changed since")
    expect(stale).to_be_hidden()
    epochs = train.get_by_label("Epochs")
    before = epochs.input_value()
    epochs.fill("2")
    expect(stale).to_be_visible()
    epochs.fill(before)
    expect(stale).to_be_hidden()


def test_what_the_service_refuses_stands_at_its_field(train: Locator) -> None:
    train.get_by_label("Epochs").fill("1000")
    train.get_by_role("button", name="Run the pre-flight").click()
    expect(train.get_by_label("Epochs")).to_be_focused(timeout=PATIENCE_MS)
    expect(train.get_by_label("Epochs")).to_have_attribute("aria-invalid", "true")
    train.get_by_label("Epochs").fill("1")  # the form keeps what was typed


def test_a_job_learns_from_several_versions(
    demo: ServicePage, train: Locator, journey: Journey, demo_api: Api
) -> None:
    _, rashes = make_version(demo_api, "rashes", alpaca(6, "rash"))
    train.get_by_role("button", name="Add another version").click()
    second = train.get_by_label("Dataset 2", exact=True)
    expect(second).to_be_focused()
    second.fill("rashes")
    train.get_by_role("option", name="@demo/rashes").click(timeout=PATIENCE_MS)
    expect(train.get_by_label("Version 2")).to_have_value(rashes["id"], timeout=PATIENCE_MS)
    train.get_by_label("Name", exact=True).fill("both")
    train.get_by_role("button", name="Start training").click()
    expect(train.get_by_role("heading", name="both")).to_be_visible(timeout=PATIENCE_MS)
    job = demo_api.json("GET", "api/jobs?search=both")["items"][0]
    assert job["datasets"] == [journey.version["name"], rashes["name"]]


def test_a_copy_of_a_job_marks_what_is_changed(
    demo: ServicePage, journey: Journey, demo_api: Api
) -> None:
    demo.go_to("Overview", "panel")
    view = demo.open(f"train?job={journey.job['id']}")
    notice = view.get_by_text("A copy of the job")
    expect(notice).to_contain_text("Nothing is changed yet", timeout=PATIENCE_MS)
    view.get_by_label("Epochs").fill("2")
    expect(notice).to_contain_text("1 change, marked below")
    expect(view.get_by_text(f"Was {journey.job['options']['epochs']:g}")).to_be_visible()
    view.get_by_label("Name", exact=True).fill("soap-twice")
    view.get_by_role("button", name="Start training").click()
    expect(view.get_by_role("heading", name="soap-twice")).to_be_visible(timeout=PATIENCE_MS)
    job = demo_api.json("GET", "api/jobs?search=soap-twice")["items"][0]
    assert job["cloned_from"] == journey.job["id"]
    assert job["options"] == journey.job["options"] | {"epochs": 2}


def test_the_page_complained_of_nothing(browser: tuple[Page, BrowserLog]) -> None:
    refused = re.compile("status of 422")  # the browser tells each refusal, even one that is shown
    assert [words for words in browser[1].console_errors if not refused.search(words)] == []
