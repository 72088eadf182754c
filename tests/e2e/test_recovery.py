"""The views outlive what goes down around them: kernel, Jupyter server, service and network.

What was typed arrives, and once. What the service holds then is read over its API.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from local_hub import HubProcess, HubUser
from support.api import Api, Journey, submit, wait_for_job
from support.browser import BrowserLog
from support.view_pages import PATIENCE_MS, ChatPage, CuratePage, LabPages, WatchPage
from support.waiting import eventually_sync

pytestmark = pytest.mark.timeout(600)

NOTEBOOK = "curate.ipynb"
SERVICE = "adaptery_hub.app"
OUTAGE_MS = 60_000


@pytest.fixture(scope="module")
def lab(hub: HubProcess, journey: Journey, browser: tuple[Page, BrowserLog]) -> LabPages:
    page, _ = browser
    write_notebook(hub.state / "home/demo" / NOTEBOOK, journey.dataset["id"])
    lab = LabPages(page, hub, "demo")
    lab.enter()
    lab.show_panel()
    # Lab says in dialogs of its own that it has no server; they are in the way of the views.
    dismiss = page.locator(".jp-Dialog").get_by_role("button", name="Dismiss")
    page.add_locator_handler(dismiss, lambda button: button.click())
    return lab


@pytest.fixture
def curate(lab: LabPages, journey: Journey) -> CuratePage:
    """The journey's dataset, opened from the panel."""
    return CuratePage(lab.open("Datasets", journey.dataset["full_name"], "curate"))


class Draft:
    """What the service holds of the journey's dataset."""

    def __init__(self, api: Api, dataset: str) -> None:
        self._api = api
        self._path = f"api/datasets/{dataset}"

    def answers(self, words: str) -> int:
        """How many records answer with these words."""
        records = self._api.json("GET", f"{self._path}/records?limit=100")["items"]
        answers = [item["record"]["messages"][-1]["content"] for item in records]
        return answers.count(words)

    def edits(self) -> int:
        return len(self._api.json("GET", f"{self._path}/edits?limit=100")["items"])

    def files(self) -> dict[str, Any]:
        files = self._api.json("GET", f"{self._path}/files")["items"]
        return {file["name"]: file["records"] for file in files if file["state"] == "ready"}


@pytest.fixture
def draft(demo_api: Api, journey: Journey) -> Draft:
    return Draft(demo_api, journey.dataset["id"])


def test_charts_go_on_without_a_gap_when_the_service_was_killed(
    hub: HubProcess, lab: LabPages, demo_api: Api, journey: Journey
) -> None:
    job = submit(demo_api, "long", journey.version["name"], max_steps=400)
    watch = WatchPage(lab.open("Jobs", "long", "watch"))
    watch.wait_for_charts()
    seen = watch.points_of_loss()
    kill_service(hub, demo_api)
    wait_for_job(demo_api, job["id"], timeout_seconds=180)
    watch.wait_for_end()
    metrics = demo_api.json("GET", f"api/jobs/{job['id']}/metrics?limit=2000")["items"]
    steps = [event["data"]["step"] for event in metrics]
    assert seen < watch.points_of_loss() == len(set(steps))
    expect(watch.view.get_by_role("alert")).to_be_empty()
    expect(lab.panel.get_by_role("alert")).to_be_empty(timeout=PATIENCE_MS)
    expect(lab.part("Adapters")).to_contain_text("@demo/long@1", timeout=PATIENCE_MS)


def test_a_minute_without_network_loses_nothing_and_does_nothing_twice(
    lab: LabPages, curate: CuratePage, draft: Draft, demo_api: Api, journey: Journey
) -> None:
    page = lab.page
    edits = draft.edits()
    curate.part("Files")
    with one_part_held(page, "big.json") as let_go:
        curate.drop_file("big.json", big_file())
        expect(curate.upload("big.json")).to_contain_text(re.compile(r"4\.19 MB of 9\.\d+ MB"))
        curate.part("Records")
        edit(curate, "Patient 1: a cough.", "Written without network.")
        jobs = lab.open("Jobs", "All jobs", "jobs")
        chat = ChatPage(lab.open("Adapters", journey.adapter["full_name"], "chat"))
        expect(chat.model).to_have_value(journey.adapter["full_name"], timeout=PATIENCE_MS)
        began = page.evaluate("performance.now()")
        page.context.set_offline(True)
        let_go()
    chat.ask("Is anyone there?")
    expect(chat.problem).to_contain_text("The connection is lost.", timeout=PATIENCE_MS)
    lab.part("Jobs").get_by_role("button", name="Train", exact=True).click()
    expect(page.get_by_text("The Jupyter server does not answer.")).to_be_visible()
    lab.go_to_tab(journey.dataset["name"])
    curate.press("Save")
    expect(curate.record).to_contain_text("Not saved yet: the connection is lost.")
    page.wait_for_function(
        f"performance.now() > {began + OUTAGE_MS}", polling=500, timeout=2 * OUTAGE_MS
    )
    page.context.set_offline(False)
    expect(curate.said).to_have_text("Saved record 2.", timeout=PATIENCE_MS)
    assert (draft.answers("Written without network."), draft.edits()) == (1, edits + 1)
    curate.part("Files")
    expect(curate.upload("big.json")).to_contain_text("records", timeout=PATIENCE_MS)
    assert draft.files()["big.json"] == 1500
    lab.go_to_tab("Chat: ")
    chat.problem.get_by_role("button", name="Retry").click()
    chat.wait_for_answer()
    lab.go_to_tab("Train")
    lab.view("train")
    lab.go_to_tab("Jobs")
    submit(demo_api, "after-the-outage", journey.version["name"], epochs=1)
    expect(jobs).to_contain_text("after-the-outage", timeout=PATIENCE_MS)


def test_an_unsaved_edit_outlives_the_jupyter_server(
    hub: HubProcess, lab: LabPages, curate: CuratePage, draft: Draft, demo_api: Api
) -> None:
    edits = draft.edits()
    curate.part("Records")
    edit(curate, "Patient 4: a cough.", "Written before the restart.")
    demo = HubUser(hub, "demo")
    demo.stop_server()
    curate.press("Save")
    expect(curate.record).to_contain_text("Not saved yet: the connection is lost.")
    demo.spawn(timeout_seconds=PATIENCE_MS / 1000)
    # The Hub forgets the sessions of a server that it stops.
    expect(curate.record).to_contain_text("Log in again in another tab", timeout=PATIENCE_MS)
    expect(curate.record.get_by_role("textbox").last).to_have_value("Written before the restart.")
    other = lab.page.context.new_page()
    other.goto(f"{lab.url}/tree")
    expect(other.locator(".jp-DirListing-item").first).to_be_visible(timeout=PATIENCE_MS)
    other.close()
    curate.press("Save")
    expect(curate.said).to_have_text("Saved record 5.", timeout=PATIENCE_MS)
    assert (draft.answers("Written before the restart."), draft.edits()) == (1, edits + 1)
    # Whoever looked in between was refused, and offers to look again.
    retry = lab.panel.get_by_role("alert").get_by_role("button", name="Retry")
    lab.page.add_locator_handler(retry, lambda button: button.click())
    demo_api.json("POST", "api/datasets", 201, json={"name": "after-the-restart"})
    expect(lab.part("Datasets")).to_contain_text("@demo/after-the-restart", timeout=PATIENCE_MS)


def test_a_view_in_a_notebook_outlives_its_kernel(lab: LabPages, draft: Draft) -> None:
    page = lab.page
    page.goto(f"{lab.url}/lab/tree/{NOTEBOOK}")
    run_cell(page)
    view = page.locator(".jp-Notebook .ady-curate").first
    curate = CuratePage(view)
    edit(curate, "Patient 6: a cough.", "Written without a kernel.")
    edits = draft.edits()
    page.get_by_role("menuitem", name="Kernel", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("^Restart Kernel…")).click()
    page.get_by_role("dialog").get_by_role("button", name="Confirm Kernel Restart").click()
    expect(page.locator(".jp-Notebook-ExecutionIndicator")).to_have_attribute(
        "data-status", "idle", timeout=PATIENCE_MS
    )
    curate.press("Save")
    expect(curate.said).to_have_text("Saved record 7.", timeout=PATIENCE_MS)
    assert (draft.answers("Written without a kernel."), draft.edits()) == (1, edits + 1)
    run_cell(page)
    expect(view.get_by_role("row").filter(has_text="Written without a kernel.")).to_have_count(
        1, timeout=PATIENCE_MS
    )


def test_the_browser_asked_only_this_machine(
    lab: LabPages, browser: tuple[Page, BrowserLog]
) -> None:
    """Runs last: it closes the browser, whose log is complete only then."""
    page, log = browser
    page.context.close()
    assert log.asked_hosts() == {"127.0.0.1"}


def write_notebook(path: Path, dataset: str) -> None:
    """Write a notebook of one cell, which shows a dataset."""
    cell = {
        "cell_type": "code",
        "id": "curate",
        "execution_count": None,
        "metadata": {},
        "outputs": [],
        "source": f"import adaptery_widgets\nadaptery_widgets.Curate({dataset!r})",
    }
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    content = {
        "cells": [cell],
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.write_text(json.dumps(content))


def run_cell(page: Page) -> None:
    """Run the first cell with the keyboard, once there is a kernel."""
    page.locator(".jp-Notebook .jp-CodeCell .cm-content").first.click(timeout=PATIENCE_MS)
    expect(page.locator(".jp-Notebook-ExecutionIndicator")).to_have_attribute(
        "data-status", "idle", timeout=PATIENCE_MS
    )
    page.keyboard.press("Shift+Enter")


def edit(curate: CuratePage, record: str, words: str) -> None:
    """Open a record and write another answer, which is not saved yet."""
    curate.open_record(record)
    curate.press("Edit")
    curate.write(words)


def kill_service(hub: HubProcess, api: Api) -> None:
    """Kill the service and wait until the supervisor has brought it back."""
    service = hub.find(SERVICE)
    assert service is not None
    service.kill()
    service.wait(30)

    def back() -> bool:
        return hub.find(SERVICE) is not None and api.get("health").status_code == 200

    eventually_sync(back, timeout_seconds=90, every_seconds=0.2)


def big_file() -> bytes:
    """Make an Alpaca file that is sent in three parts."""
    words = "word " * 1250
    rows = [{"instruction": f"Note {i}.", "output": f"{i} {words}"} for i in range(1500)]
    return json.dumps(rows).encode()


@contextmanager
def one_part_held(page: Page, file: str) -> Iterator[Any]:
    """Hold all parts of an upload but the first, so that it is under way; yields what lets go."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        if route.request.headers.get("content-range", "bytes 0-").startswith("bytes 0-"):
            route.continue_()
        else:
            held.append(route)

    def let_go() -> None:
        for route in held:
            route.abort("internetdisconnected")
        assert held, "the second part was on its way"

    page.route(f"**/files/{file}**", hold)
    try:
        yield let_go
    finally:
        page.unroute(f"**/files/{file}**")
