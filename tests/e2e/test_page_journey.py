"""The whole journey on the service's own page, with mouse and keyboard; nobody else sees it.

One story: each test goes on where the one before it ended.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import expect

from local_hub import HubProcess
from support.api import alpaca
from support.browser import BrowserLog, open_browsers
from support.service_page import ServicePage
from support.view_pages import PATIENCE_MS, ChatPage, CuratePage, WatchPage

pytestmark = pytest.mark.timeout(600)

NAME = "rounds"
VERSION = ADAPTER = f"@demo/{NAME}@1"
#: What a view says instead of what is another user's.
NOTHING = re.compile("that you may (see|use)|right to see it|not yours to see", re.IGNORECASE)
#: What a browser writes down by itself of what was refused on purpose below.
REFUSED = ("422 (Unprocessable", "404 (Not Found)")


@dataclass
class Story:
    """Who takes part in it, and the addresses that demo was at."""

    demo: ServicePage
    guest: ServicePage
    log: BrowserLog
    #: View -> address.
    been: dict[str, str]

    @property
    def curate(self) -> CuratePage:
        return CuratePage(self.demo.view("curate"))

    def remember(self, view: str) -> None:
        assert "=" in self.demo.address, "the address names what is shown"
        self.been[view] = self.demo.address


@pytest.fixture(scope="module")
def story(hub: HubProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with open_browsers(tmp_path_factory.mktemp("browsers"), 2) as ((mine, other), log):
        demo, guest = ServicePage(mine, hub, "demo"), ServicePage(other, hub, "guest")
        demo.enter()
        yield Story(demo, guest, log, {})


def test_a_dataset_is_made_and_filled(story: Story, tmp_path: Path) -> None:
    demo = story.demo
    expect(demo.part("Datasets")).to_contain_text("No dataset yet")
    demo.part("Datasets").get_by_role("button", name="New dataset").click()
    curate = story.curate
    curate.make(NAME)
    expect(demo.page).to_have_url(re.compile(r"#curate\?dataset=ds_[0-9a-z]{26}&tab=[a-z]+$"))
    story.remember("curate")
    chosen = tmp_path / "chosen.json"
    chosen.write_bytes(alpaca(6, "cough"))
    curate.choose_file(chosen)
    expect(curate.upload("chosen.json")).to_contain_text("6 records", timeout=PATIENCE_MS)
    curate.drop_file("dropped.json", alpaca(6, "rash"))
    expect(curate.upload("dropped.json")).to_contain_text("6 records", timeout=PATIENCE_MS)
    wrong = json.dumps([{"instruction": "a", "output": "b"}, {"instruction": 3}])
    curate.drop_file("wrong.json", wrong.encode())
    row = curate.upload("wrong.json").get_by_role("row").nth(1)
    expect(row.get_by_role("cell").first).to_have_text("2", timeout=PATIENCE_MS)


def test_a_record_is_edited_and_a_reload_keeps_the_place(story: Story) -> None:
    curate = story.curate
    curate.part("Records")
    curate.open_record("Patient 2: a cough.")
    curate.press("Edit")
    curate.write("S: an edited answer.")
    curate.press("Save")
    expect(curate.said).to_have_text("Saved record 3.", timeout=PATIENCE_MS)
    story.demo.page.reload()
    curate = story.curate
    expect(curate.view.get_by_role("heading", name=NAME)).to_be_visible(timeout=PATIENCE_MS)
    curate.open_record("Patient 2: a cough.")
    expect(curate.record).to_contain_text("S: an edited answer.")
    expect(curate.count).to_have_text("12 records")


def test_it_is_published(story: Story) -> None:
    story.curate.publish()
    expect(story.curate.published).to_contain_text(f"Published {VERSION}.")
    story.remember("curate")
    story.curate.published.get_by_role("button", name="Train on it").click()


def test_the_form_says_what_is_wrong_and_submits(story: Story) -> None:
    train, keys = story.demo.view("train"), story.demo.page.keyboard
    expect(train.get_by_label("Dataset", exact=True)).to_have_value(f"@demo/{NAME}")
    story.remember("train")
    epochs = train.get_by_label("Epochs")
    epochs.fill("1000")
    keys.press("Enter")
    expect(epochs).to_have_attribute("aria-invalid", "true", timeout=PATIENCE_MS)
    expect(epochs).to_be_focused()
    keys.press("Control+A")
    keys.type("20")
    keys.press("Enter")
    watch = train.get_by_role("button", name="Watch it")
    expect(watch).to_be_visible(timeout=PATIENCE_MS)
    keys.press("Tab")
    expect(watch).to_be_focused()
    keys.press("Enter")


def test_it_is_watched_to_its_end(story: Story) -> None:
    watch = WatchPage(story.demo.view("watch"))
    story.remember("watch")
    watch.wait_for_charts()
    watch.wait_for_end()
    assert watch.points_of_loss() > 10
    expect(watch.log).not_to_be_empty()


def test_the_adapter_answers(story: Story) -> None:
    story.demo.view("watch").get_by_role("button", name="Chat with it").click()
    chat = ChatPage(story.demo.view("chat"))
    expect(chat.model).to_have_value(ADAPTER, timeout=PATIENCE_MS)
    story.remember("chat")
    chat.ask("What does a cough of three days mean?")
    chat.wait_for_answer()
    expect(chat.problem).to_be_empty()


def test_back_forward_and_reload_keep_the_place(story: Story) -> None:
    demo = story.demo
    for view in ("watch", "train", "curate"):
        demo.page.go_back()
        demo.view(view)
        assert demo.address == story.been[view]
    expect(story.curate.view.get_by_role("heading", name=NAME)).to_be_visible(timeout=PATIENCE_MS)
    for view in ("train", "watch", "chat"):
        demo.page.go_forward()
        demo.view(view)
        assert demo.address == story.been[view]
        demo.page.reload()
        shown = demo.view(view)
        if view == "train":
            dataset = shown.get_by_label("Dataset", exact=True)
            expect(dataset).to_have_value(f"@demo/{NAME}", timeout=PATIENCE_MS)
        else:
            expect(shown).to_contain_text(NAME, timeout=PATIENCE_MS)
        assert demo.address == story.been[view]


def test_the_links_show_what_there_is_by_now(story: Story) -> None:
    demo = story.demo
    completed = demo.go_to("Jobs", "jobs").get_by_role("table", name="Completed jobs")
    expect(completed.get_by_role("row").filter(has_text=ADAPTER)).to_have_count(1)
    demo.go_to("Overview", "panel")
    expect(demo.part("Datasets")).to_contain_text(f"@demo/{NAME}")
    expect(demo.part("Adapters")).to_contain_text(ADAPTER)


def test_another_user_sees_nothing_of_it(story: Story) -> None:
    guest = story.guest
    guest.enter()
    for part in ("dataset", "job", "adapter"):
        shown = guest.part(f"{part.capitalize()}s")
        expect(shown).to_contain_text(f"No {part} yet", timeout=PATIENCE_MS)
    expect(guest.main).not_to_contain_text(NAME)
    expect(guest.go_to("Jobs", "jobs")).not_to_contain_text(NAME)


@pytest.mark.parametrize("view", ["curate", "train", "watch", "chat"])
def test_the_addresses_of_the_owner_show_nothing_to_another_user(story: Story, view: str) -> None:
    shown = story.guest.open(story.been[view])
    expect(shown).to_contain_text(NOTHING, timeout=PATIENCE_MS)
    expect(shown).not_to_contain_text("cough")
    expect(story.guest.main).not_to_contain_text("could not be loaded")


def test_nothing_complained_and_the_browsers_asked_only_this_machine(story: Story) -> None:
    """Runs last: it closes the browser, whose log is complete only then."""
    browser = story.demo.page.context.browser
    assert browser is not None
    browser.close()
    assert story.log.asked_hosts() == {"127.0.0.1"}
    # A browser says here too what the policy of a page refuses.
    errors = story.log.console_errors
    assert [line for line in errors if not any(word in line for word in REFUSED)] == []
