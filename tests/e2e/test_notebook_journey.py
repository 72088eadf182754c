"""The whole journey in one notebook, with the widgets and a magic; what is saved holds none of it.

One story: each test goes on where the one before it ended.
"""

import re
from dataclasses import dataclass

import pytest
from playwright.sync_api import Locator, Page, expect

from local_hub import HubProcess
from support.api import alpaca
from support.browser import BrowserLog
from support.notebook_page import NotebookPage, strings_of
from support.view_pages import PATIENCE_MS, ChatPage, CuratePage, WatchPage

pytestmark = pytest.mark.timeout(600)

NAME = "ward"
VERSION = ADAPTER = f"@demo/{NAME}@1"
FIRST = "import adaptery\nfrom adaptery_widgets import Chat, Curate, Jobs, Train, Watch"
#: What stands in a record, was written into one, and was asked: nothing of it may be saved.
RECORD, EDIT, PROMPT = "canary-rec-51d7", "canary-edit-0e6b", "canary-prompt-c44a"


@dataclass
class Story:
    """The notebook and, by the name of a widget, the output of its cell."""

    notebook: NotebookPage
    outputs: dict[str, Locator]

    @property
    def page(self) -> Page:
        return self.notebook.page

    def view(self, cell: str, name: str) -> Locator:
        return self.notebook.view(self.outputs[cell], name)


@pytest.fixture(scope="module")
def story(hub: HubProcess, browser: tuple[Page, BrowserLog]) -> Story:
    page, _ = browser
    notebook = NotebookPage(page, hub, "journey.ipynb", FIRST)
    notebook.enter()
    return Story(notebook, {})


def test_a_dataset_is_made_and_a_dropped_file_goes_to_the_server_of_the_page(story: Story) -> None:
    story.outputs["Curate"] = story.notebook.run("Curate()")
    curate = CuratePage(story.view("Curate", "curate"))
    curate.make(NAME)
    server = re.compile(r"/user/demo/adaptery/api/datasets/ds_[0-9a-z]{26}/files/")
    with story.page.expect_request(server, timeout=PATIENCE_MS) as sent:
        curate.drop_file("ward.json", alpaca(12, RECORD))
    assert sent.value.method == "PUT"
    expect(curate.upload("ward.json")).to_contain_text("12 records", timeout=PATIENCE_MS)


def test_a_record_is_edited_and_the_draft_is_published(story: Story) -> None:
    curate = CuratePage(story.view("Curate", "curate"))
    curate.part("Records")
    curate.open_record(f"Patient 2: a {RECORD}.")
    curate.press("Edit")
    curate.write(f"S: {EDIT}.")
    curate.press("Save")
    expect(curate.said).to_have_text("Saved record 3.", timeout=PATIENCE_MS)
    curate.publish()
    expect(curate.published).to_contain_text(f"Published {VERSION}.")


def test_what_a_view_opens_is_shown_in_its_cell_with_a_way_back(story: Story) -> None:
    output = story.outputs["Curate"]
    back = output.get_by_role("button", name="← Back")
    expect(back).to_be_hidden()
    CuratePage(story.view("Curate", "curate")).published.get_by_role(
        "button", name="Train on it"
    ).click()
    train = story.view("Curate", "train")
    expect(output.locator(".ady-curate")).to_have_count(0)
    dataset = train.get_by_label("Dataset", exact=True)
    expect(dataset).to_have_value(f"@demo/{NAME}", timeout=PATIENCE_MS)
    expect(output.locator(".ady-cell")).to_be_focused()  # and not the notebook's own keys
    story.page.keyboard.press("Shift+Tab")
    expect(back).to_be_focused()
    story.page.keyboard.press("Enter")
    curate = story.view("Curate", "curate")
    expect(curate.get_by_role("heading", name=NAME)).to_be_visible(timeout=PATIENCE_MS)
    expect(back).to_be_hidden()


def test_a_job_is_submitted_and_watched_in_one_cell(story: Story) -> None:
    story.outputs["Train"] = story.notebook.run(f'Train("{VERSION}")')
    train = story.view("Train", "train")
    dataset = train.get_by_label("Dataset", exact=True)
    expect(dataset).to_have_value(f"@demo/{NAME}", timeout=PATIENCE_MS)
    train.get_by_label("Epochs").fill("20")
    story.page.keyboard.press("Enter")
    train.get_by_role("button", name="Watch it").click(timeout=PATIENCE_MS)
    WatchPage(story.view("Train", "watch")).wait_for_charts()


def test_another_cell_watches_the_job_to_its_end(story: Story) -> None:
    line = f'Watch(adaptery.connect().jobs.list(search="{NAME}")[0])'
    story.outputs["Watch"] = story.notebook.run(line)
    watch = WatchPage(story.view("Watch", "watch"))
    watch.wait_for_end()
    assert watch.points_of_loss() > 10


def test_jobs_lists_it(story: Story) -> None:
    story.outputs["Jobs"] = story.notebook.run("Jobs()")
    jobs = story.view("Jobs", "jobs")
    completed = jobs.get_by_role("table", name="Completed jobs")
    row = completed.get_by_role("row").filter(has_text=ADAPTER)
    expect(row).to_have_count(1, timeout=PATIENCE_MS)


def test_the_adapter_answers_in_a_view_and_to_a_magic(story: Story) -> None:
    story.outputs["Chat"] = story.notebook.run(f'Chat("@demo/{NAME}")')
    chat = ChatPage(story.view("Chat", "chat"))
    expect(chat.model).to_have_value(ADAPTER, timeout=PATIENCE_MS)
    chat.ask(f"What does {PROMPT} mean?")
    chat.wait_for_answer()
    said = story.notebook.run("%load_ext adaptery")
    line = f"%%chat @demo/{NAME} --max-tokens 20 --temperature 0"
    said = story.notebook.run(line, "Is this another question?")
    expect(said.locator(".jp-RenderedMarkdown")).not_to_be_empty(timeout=PATIENCE_MS)
    expect(story.notebook.page.locator('[data-mime-type$="stderr"]')).to_have_count(0)


def test_the_saved_notebook_holds_the_widgets_and_no_word_of_theirs(story: Story) -> None:
    answer = ChatPage(story.view("Chat", "chat")).said.inner_text().strip()
    words = list(strings_of(story.notebook.save_with_widget_state()))
    assert sum("anywidget" in text for text in words) > 0, "the state of widgets is saved"
    pieces = [RECORD, EDIT, PROMPT, answer[:12], answer[-12:]]
    assert [piece for piece in pieces if any(piece in text for text in words)] == []


def test_after_a_restart_of_the_kernel_a_view_still_opens_others(story: Story) -> None:
    story.notebook.restart_kernel()
    jobs = story.view("Jobs", "jobs")
    jobs.get_by_role("button", name=f"Watch {NAME}").click()
    expect(story.view("Jobs", "watch")).to_contain_text("Mean loss", timeout=PATIENCE_MS)


def test_nothing_complained_and_the_browser_asked_only_this_machine(
    story: Story, browser: tuple[Page, BrowserLog]
) -> None:
    """Runs last: it closes the browser, whose log is complete only then."""
    page, log = browser
    page.context.close()
    assert log.asked_hosts() == {"127.0.0.1"}
    assert log.console_errors == []
