"""The whole journey in Lab with mouse and keyboard, and that nobody else sees any of it.

One story: each test goes on where the one before it ended.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from local_hub import HubProcess
from support.api import Api, alpaca
from support.browser import BrowserLog, open_browsers
from support.view_pages import PATIENCE_MS, ChatPage, CuratePage, LabPages, WatchPage

pytestmark = pytest.mark.timeout(600)

NAME = "visits"
VERSION = f"@demo/{NAME}@1"
ADAPTER = f"@demo/{NAME}@1"
#: What a view says instead of what is another user's.
NOTHING = re.compile("that you may (see|use)|right to see it|yours to see|No job yet")
#: Asks a user's own Jupyter server for what tabs are kept in a workspace.
_ASK = """const ask = (workspace, options) => {
    const { baseUrl } = JSON.parse(document.getElementById("jupyter-config-data").textContent);
    const headers = { "X-XSRFToken": /_xsrf=([^;]*)/.exec(document.cookie)[1] };
    return fetch(`${baseUrl}lab/api/workspaces/${workspace}`, { headers, ...options });
}"""


@dataclass
class Story:
    """Who takes part in it."""

    demo: LabPages
    guest: LabPages
    api: Api
    log: BrowserLog

    @property
    def curate(self) -> CuratePage:
        return CuratePage(self.demo.view("curate"))

    def dataset(self) -> dict[str, Any]:
        (dataset,) = self.api.json("GET", "api/datasets")["items"]
        return dataset

    def answers(self) -> list[str]:
        """The last message of each record, as the service has it now."""
        dataset = self.dataset()["id"]
        items = self.api.json("GET", f"api/datasets/{dataset}/records?limit=100")["items"]
        return [item["record"]["messages"][-1]["content"] for item in items]


@pytest.fixture(scope="module")
def story(
    hub: HubProcess, demo_api: Api, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Story]:
    with open_browsers(tmp_path_factory.mktemp("browsers"), 2) as ((mine, other), log):
        demo, guest = LabPages(mine, hub, "demo"), LabPages(other, hub, "guest")
        demo.enter()
        yield Story(demo, guest, demo_api, log)


def test_a_dataset_is_made_from_the_panel(story: Story) -> None:
    story.demo.show_panel()
    expect(story.demo.part("Datasets")).to_contain_text("No dataset yet")
    story.demo.part("Datasets").get_by_role("button", name="New dataset").click()
    story.curate.make(NAME)
    expect(story.demo.part("Datasets")).to_contain_text(f"@demo/{NAME}")
    assert story.dataset()["name"] == NAME


def test_files_are_chosen_and_dropped_and_a_wrong_one_is_explained(
    story: Story, tmp_path: Path
) -> None:
    chosen = tmp_path / "chosen.json"
    chosen.write_bytes(alpaca(6, "cough"))
    curate = story.curate
    curate.choose_file(chosen)
    expect(curate.upload("chosen.json")).to_contain_text("6 records", timeout=PATIENCE_MS)
    curate.drop_file("dropped.json", alpaca(6, "rash"))
    expect(curate.upload("dropped.json")).to_contain_text("6 records", timeout=PATIENCE_MS)
    rows = [{"instruction": "a", "output": "b"}, {"instruction": 3}]
    curate.drop_file("wrong.jsonl", "\n".join(map(json.dumps, rows)).encode())
    wrong = curate.upload("wrong.jsonl")
    row = wrong.get_by_role("row").nth(1)
    expect(row.get_by_role("cell").first).to_have_text("2", timeout=PATIENCE_MS)
    files = curate.view.get_by_role("table", name="Files")
    expect(files).to_contain_text("wrong.jsonl refused")
    assert len(story.answers()) == 12


def test_records_are_edited_added_deleted_undone_and_redone(story: Story) -> None:
    curate = story.curate
    curate.part("Records")
    curate.open_record("Patient 2: a cough.")
    curate.press("Edit")
    curate.write("S: an edited answer.")
    curate.press("Save")
    expect(curate.said).to_have_text("Saved record 3.", timeout=PATIENCE_MS)
    curate.view.get_by_role("button", name="Add a record").click()
    for number, words in enumerate(["An added question?", "An added answer."]):
        curate.record.get_by_role("textbox").nth(number).fill(words)
    curate.press("Add")
    expect(curate.said).to_have_text("Added record 13.", timeout=PATIENCE_MS)
    curate.open_record("Patient 5: a rash.")
    curate.press("Delete")
    expect(curate.said).to_contain_text("Deleted record 12.", timeout=PATIENCE_MS)
    expect(curate.count).to_have_text("12 records", timeout=PATIENCE_MS)
    curate.undo.click()
    expect(curate.said).to_have_text("Undid: removed record 12.", timeout=PATIENCE_MS)
    expect(curate.count).to_have_text("13 records", timeout=PATIENCE_MS)
    assert "S: rash 5." in story.answers()
    curate.redo.click()
    expect(curate.count).to_have_text("12 records", timeout=PATIENCE_MS)
    answers = story.answers()
    assert "S: rash 5." not in answers and "S: cough 2." not in answers
    assert answers[2] == "S: an edited answer." and answers[-1] == "An added answer."


def test_a_tab_with_an_unsaved_edit_asks_before_it_closes(story: Story) -> None:
    curate = story.curate
    curate.open_record("Patient 3: a cough.")
    curate.press("Edit")
    curate.write("Not to be lost.")
    story.demo.close_tab(NAME)
    asked = story.demo.page.get_by_role("dialog").filter(has_text=f"Close {NAME}?")
    asked.get_by_role("button", name="Stay").click()
    expect(curate.record.get_by_role("textbox").last).to_have_value("Not to be lost.")
    curate.press("Save")
    expect(curate.said).to_have_text("Saved record 4.", timeout=PATIENCE_MS)
    assert story.answers()[3] == "Not to be lost."


def test_it_is_published_with_a_report(story: Story) -> None:
    curate = story.curate
    curate.publish()
    expect(curate.published).to_contain_text(f"Published {VERSION}.")
    for words in ("chosen.json (6)", "dropped.json (5)", "added by hand (1)"):
        expect(curate.published).to_contain_text(words)
    curate.published.get_by_role("button", name="Train on it").click()


def test_the_form_says_what_is_wrong_and_submits(story: Story) -> None:
    train = story.demo.view("train")
    expect(train.get_by_label("Dataset", exact=True)).to_have_value(f"@demo/{NAME}")
    expect(train.get_by_label("Name", exact=True)).to_have_value(NAME)
    epochs = train.get_by_label("Epochs")
    epochs.fill("1000")
    train.get_by_role("button", name="Start training").click()
    expect(epochs).to_have_attribute("aria-invalid", "true", timeout=PATIENCE_MS)
    expect(epochs).to_be_focused()
    expect(train.locator(".field .error:visible")).to_contain_text("100")
    story.demo.page.keyboard.press("Control+A")
    story.demo.page.keyboard.type("40")
    story.demo.page.keyboard.press("Enter")
    train.get_by_role("button", name="Watch it").click(timeout=PATIENCE_MS)


def test_it_is_watched_to_its_end(story: Story) -> None:
    watch = WatchPage(story.demo.view("watch"))
    watch.wait_for_charts()
    expect(watch.log).not_to_be_empty(timeout=PATIENCE_MS)
    watch.wait_for_end()
    (job,) = story.api.json("GET", "api/jobs")["items"]
    metrics = story.api.json("GET", f"api/jobs/{job['id']}/metrics?limit=2000")["items"]
    assert watch.points_of_loss() == len(metrics) > 10
    told = story.demo.toasts.filter(has_text=f"The job “{NAME}” is completed.")
    expect(told).to_have_count(1, timeout=PATIENCE_MS)


def test_the_adapter_answers(story: Story) -> None:
    watch = story.demo.view("watch")
    watch.get_by_role("button", name="Chat with it").click()
    chat = ChatPage(story.demo.view("chat"))
    expect(chat.model).to_have_value(ADAPTER, timeout=PATIENCE_MS)
    chat.ask("What does a cough of three days mean?")
    chat.wait_for_answer()


def test_the_job_is_under_completed(story: Story) -> None:
    jobs = story.demo.open("Jobs", "All jobs", "jobs")
    completed = jobs.get_by_role("table", name="Completed jobs")
    expect(completed.get_by_role("row").filter(has_text=ADAPTER)).to_have_count(1)


def test_a_reload_brings_every_tab_back(story: Story) -> None:
    demo = story.demo
    before = demo.titles()
    demo.reload()
    expect(demo.view("jobs")).to_contain_text(ADAPTER, timeout=PATIENCE_MS)
    expect(demo.tabs.filter(has_text=f"Chat: {ADAPTER}")).to_have_count(1, timeout=PATIENCE_MS)
    assert demo.titles() == before
    demo.go_to_tab(f"Chat: {ADAPTER}")
    expect(ChatPage(demo.view("chat")).model).to_have_value(ADAPTER, timeout=PATIENCE_MS)
    demo.go_to_tab("Train")
    expect(demo.view("train").get_by_label("Version")).to_contain_text("1", timeout=PATIENCE_MS)
    for tab in demo.tabs.filter(has_text=re.compile(rf"^\s*(Job )?{NAME}\s*$")).all():
        tab.click()
        expect(demo.page.locator("#jp-main-dock-panel .ady:visible")).to_contain_text(NAME)
    expect(demo.panel).to_contain_text(f"@demo/{NAME}", timeout=PATIENCE_MS)


def test_another_user_sees_nothing_of_it(story: Story) -> None:
    guest = story.guest
    guest.enter()
    guest.show_panel()
    for part, words in [("Datasets", "No dataset yet"), ("Jobs", "No job yet")]:
        expect(guest.part(part)).to_contain_text(words, timeout=PATIENCE_MS)
    expect(guest.part("Adapters")).to_contain_text("No adapter yet", timeout=PATIENCE_MS)
    expect(guest.panel).not_to_contain_text(NAME)


def test_the_tabs_of_the_owner_show_nothing_to_another_user(story: Story) -> None:
    demo, guest = story.demo, story.guest
    take_over_workspace(demo.page, guest.page)
    guest.page.goto(f"{guest.url}/lab/workspaces/taken")
    expect(guest.tabs.filter(has_text="Jobs")).to_have_count(1, timeout=PATIENCE_MS)
    for tab in guest.tabs.all():
        tab.click()
        shown = guest.page.locator("#jp-main-dock-panel .ady:visible")
        expect(shown).to_contain_text(NOTHING, timeout=PATIENCE_MS)
        expect(shown).not_to_contain_text("cough")


def test_nothing_complained_and_the_browsers_asked_only_this_machine(story: Story) -> None:
    """Runs last: it closes the browser, whose log is complete only then."""
    browser = story.demo.page.context.browser
    assert browser is not None
    browser.close()
    assert story.log.asked_hosts() == {"127.0.0.1"}
    # A browser writes down what was refused on purpose above.
    refused = ("422 (Unprocessable", "404 (Not Found)")
    ours = [line for line in story.log.console_errors if not any(word in line for word in refused)]
    assert ours == []


def take_over_workspace(owner: Page, taker: Page) -> None:
    """Give the tabs of one user's Lab to that of another one, who found the file."""
    found = owner.evaluate(f"{_ASK}; ask('default', {{}}).then((answer) => answer.json())")
    content = json.dumps({"data": found["data"], "metadata": {"id": "taken"}})
    sent = json.dumps({"method": "PUT", "body": content})
    assert taker.evaluate(f"{_ASK}; ask('taken', {sent}).then((answer) => answer.status)") == 204
