"""Adaptery in JupyterLab and Jupyter Notebook as a user has it: real Hub, real browser."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Response, expect

from local_hub import HubProcess
from support.api import Api, Journey, alpaca, submit, wait_for_job
from support.browser import BrowserLog

pytestmark = pytest.mark.timeout(600)

#: Lab on a machine that is busy with other tests.
PATIENCE_MS = 90_000
CARDS = ["Curate datasets", "Train an adapter", "Jobs", "Chat", "Keys"]


class Lab:
    """An open Lab, found as a user finds things: by their words."""

    def __init__(self, page: Page, hub: HubProcess) -> None:
        self.page = page
        self.url = f"{hub.url}/user/demo"
        self.sidebar = page.get_by_role("region", name="Adaptery", exact=True)
        self.sidebar_tab = page.locator(".jp-SideBar.jp-mod-left .lm-TabBar-tab[title='Adaptery']")
        self.tab_labels = page.locator(
            ".jp-MainAreaPanel .lm-TabBar-tabLabel, #jp-main-dock-panel .lm-TabBar-tabLabel"
        )

    def open(self, path: str) -> None:
        self.page.goto(f"{self.url}/{path}")

    def start_over(self) -> None:
        """Open Lab with the launcher and nothing else."""
        self.open("lab?reset")
        expect(self.page.locator(".jp-Launcher")).to_be_visible(timeout=PATIENCE_MS)

    def show_sidebar(self) -> None:
        if not self.sidebar.is_visible():
            self.sidebar_tab.click()
        expect(self.sidebar).to_be_visible()

    def card(self, label: str) -> Locator:
        return self.page.locator('.jp-LauncherCard[data-category="Adaptery"][title]').filter(
            has=self.page.locator(".jp-LauncherCard-label", has_text=label)
        )

    def choose_command(self, words: str) -> None:
        """Choose a command of the palette with the keyboard."""
        self.page.evaluate("document.activeElement.blur()")  # a field of a view keeps shortcuts off
        self.page.keyboard.press("Control+Shift+C")
        field = self.page.locator(".lm-CommandPalette-input")
        expect(field).to_be_visible()
        field.fill(words)
        expect(self.page.locator(".lm-CommandPalette-item.lm-mod-active")).to_contain_text(words)
        self.page.keyboard.press("Enter")

    def view(self, name: str) -> Locator:
        """The visible view of this name."""
        return self.page.locator(f".ady-{name}:visible").first

    def tabs(self) -> list[str]:
        return [text for text in self.tab_labels.all_inner_texts() if text != "Launcher"]

    def file(self, name: str) -> Locator:
        """A file in the file browser."""
        row = self.page.locator(".jp-DirListing-item", has_text=name)
        expect(row).to_have_count(1, timeout=PATIENCE_MS)
        if not row.is_visible():
            self.page.locator(".jp-SideBar .lm-TabBar-tab[data-id='filebrowser']").click()
        return row

    def new_dataset_from(self, file: str, name: str) -> None:
        """Choose the action in the file browser and answer with a name."""
        self.file(file).click(button="right")
        self.page.get_by_role("menuitem", name="New dataset from this file").click()
        self.page.locator(".jp-Dialog input").fill(name)
        self.page.keyboard.press("Enter")


def saves_two_tabs(answer: Response) -> bool:
    """Whether Lab has just saved a layout with two tabs of ours."""
    request = answer.request
    if request.method != "PUT" or "/lab/api/workspaces/" not in request.url:
        return False
    layout = json.loads(request.post_data or "{}")["data"].get("layout-restorer:data", {})
    return json.dumps(layout.get("main", {}).get("dock")).count('"adaptery:') == 2


@pytest.fixture(scope="module")
def files(hub: HubProcess) -> None:
    """Files where demo's server looks for files."""
    folder = Path(hub.state) / "home/demo"
    (folder / "Rounds.json").write_bytes(alpaca(30, "rash"))
    bad = [{"instruction": "a", "output": "b"}, {"instruction": 3}]
    (folder / "bad.jsonl").write_text("\n".join(json.dumps(row) for row in bad))
    (folder / "code.py").write_text("")


@pytest.fixture(scope="module")
def opened(hub: HubProcess, journey: Journey, files: None, browser: tuple[Page, BrowserLog]) -> Lab:
    """Demo's Lab, after login."""
    page, _ = browser
    page.goto(f"{hub.url}/hub/login?next=/hub/home")
    page.get_by_label("Username").fill("demo")
    page.get_by_label("Password").fill(hub.passwords["demo"])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Start My Server").click(timeout=PATIENCE_MS)
    page.wait_for_url("**/user/demo/lab**", timeout=PATIENCE_MS)
    news = page.get_by_role("button", name="No", exact=True)
    page.add_locator_handler(news, lambda button: button.click())
    return Lab(page, hub)


@pytest.fixture
def lab(opened: Lab) -> Iterator[Lab]:
    opened.start_over()
    yield opened


def test_the_sidebar_shows_what_i_have(lab: Lab, journey: Journey) -> None:
    lab.show_sidebar()
    expect(lab.sidebar).to_contain_text(journey.dataset["full_name"])
    expect(lab.sidebar).to_contain_text(journey.adapter["full_name"])


def test_the_launcher_has_a_card_for_each_step(lab: Lab) -> None:
    expect(lab.page.locator('.jp-LauncherCard[data-category="Adaptery"]')).to_have_count(len(CARDS))
    drawn = [lab.card(label).locator("svg").inner_html() for label in CARDS]
    assert len(set(drawn)) == len(CARDS)  # each has an icon of its own
    lab.card("Jobs").click()
    expect(lab.view("jobs")).to_be_visible()
    assert "Launcher" not in lab.tab_labels.all_inner_texts()


def test_the_palette_opens_the_views(lab: Lab) -> None:
    lab.choose_command("Train an adapter")
    expect(lab.view("train")).to_be_visible()
    lab.choose_command("Show the Adaptery panel")
    expect(lab.sidebar).to_be_visible()


def test_a_tab_survives_a_reload_with_what_it_shows(lab: Lab, journey: Journey) -> None:
    lab.show_sidebar()
    lab.sidebar.get_by_text(journey.adapter["full_name"]).first.click()
    expect(lab.view("chat")).to_be_visible()
    expect(lab.tab_labels.filter(has_text=journey.adapter["full_name"])).to_have_count(1)
    # Lab saves its layout about a second after a change; a reload before that brings back the old.
    with lab.page.expect_response(saves_two_tabs, timeout=PATIENCE_MS):
        lab.choose_command("Jobs")
        expect(lab.view("jobs")).to_be_visible()
    before = lab.tabs()
    assert len(before) == 2
    lab.page.reload()
    expect(lab.view("jobs")).to_be_visible(timeout=PATIENCE_MS)
    expect(lab.tab_labels.filter(has_text=journey.adapter["full_name"])).to_have_count(1)
    assert lab.tabs() == before
    lab.tab_labels.filter(has_text=journey.adapter["full_name"]).click()
    expect(lab.view("chat").get_by_label("Model", exact=True)).to_have_value(
        journey.adapter["full_name"]
    )


def test_what_is_open_is_shown_again_and_not_twice(lab: Lab, journey: Journey) -> None:
    lab.show_sidebar()
    adapter = lab.sidebar.get_by_text(journey.adapter["full_name"]).first
    adapter.click()
    expect(lab.view("chat")).to_be_visible()
    expect(lab.tab_labels.filter(has_text=journey.adapter["full_name"])).to_have_count(1)
    lab.choose_command("Jobs")
    expect(lab.view("jobs")).to_be_visible()
    adapter.click()
    expect(lab.view("chat")).to_be_visible()
    assert len(lab.tabs()) == 2


def test_a_new_dataset_is_begun_in_one_tab(lab: Lab) -> None:
    lab.show_sidebar()
    for _ in range(3):
        lab.sidebar.get_by_role("button", name="New dataset").click()
        expect(lab.view("curate").get_by_role("form", name="New dataset")).to_be_visible()
    assert len(lab.tabs()) == 1
    lab.view("curate").get_by_role("button", name="Cancel").click()
    expect(lab.tab_labels.filter(has_text="Datasets")).to_have_count(1)


def test_a_file_becomes_a_dataset(lab: Lab, demo_api: Api) -> None:
    lab.new_dataset_from("Rounds.json", "rounds")
    expect(lab.view("curate")).to_be_visible()
    datasets = demo_api.json("GET", "api/datasets")["items"]
    (made,) = [dataset for dataset in datasets if dataset["name"] == "rounds"]
    assert made["records"] == 30


def test_a_file_that_is_refused_is_explained_and_leaves_nothing(lab: Lab, demo_api: Api) -> None:
    lab.new_dataset_from("bad.jsonl", "refused")
    dialog = lab.page.get_by_role("dialog")
    expect(dialog).to_contain_text("bad.jsonl was not taken")
    expect(dialog.get_by_role("listitem").first).to_contain_text("record 2")
    lab.page.keyboard.press("Escape")
    names = [dataset["name"] for dataset in demo_api.json("GET", "api/datasets")["items"]]
    assert "refused" not in names


def test_a_name_that_is_taken_is_asked_again(lab: Lab, journey: Journey) -> None:
    lab.new_dataset_from("Rounds.json", journey.dataset["name"])
    dialog = lab.page.get_by_role("dialog")
    expect(dialog.get_by_role("textbox")).to_have_value(journey.dataset["name"])
    expect(dialog).to_contain_text("Choose another name.")
    lab.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_other_files_have_no_such_action(lab: Lab) -> None:
    lab.file("code.py").click(button="right")
    expect(lab.page.get_by_role("menuitem", name="Copy Path")).to_be_visible()
    action = lab.page.get_by_role("menuitem", name="New dataset from this file")
    expect(action).not_to_be_visible()


def test_the_end_of_a_job_is_told_once(lab: Lab, demo_api: Api, journey: Journey) -> None:
    expect(lab.card("Chat")).to_be_visible()  # a service was found: jobs are looked at from now on
    job = submit(demo_api, "soap-two", journey.version["name"], epochs=1)
    wait_for_job(demo_api, job["id"])
    told = lab.page.get_by_text("The job “soap-two” is completed.")
    expect(told).to_be_visible(timeout=PATIENCE_MS)
    expect(told).to_have_count(1)
    lab.page.get_by_role("button", name="Watch", exact=True).click()
    expect(lab.view("watch")).to_be_visible()
    expect(told).not_to_be_visible()


def test_notebook_has_the_panel_and_the_views_in_it(opened: Lab, journey: Journey) -> None:
    opened.open("tree")
    expect(opened.page.locator(".jp-DirListing-item").first).to_be_visible(timeout=PATIENCE_MS)
    opened.choose_command("Show the Adaptery panel")
    expect(opened.sidebar).to_contain_text(journey.dataset["full_name"])
    opened.sidebar.get_by_text(journey.adapter["full_name"]).first.click()
    expect(opened.view("chat")).to_be_visible()
    opened.sidebar.get_by_role("button", name="← Back").click()
    expect(opened.view("panel")).to_be_visible()


def test_nothing_complained_and_the_browser_asked_only_this_machine(
    opened: Lab, browser: tuple[Page, BrowserLog]
) -> None:
    """Runs last: it closes the browser, whose log is complete only then."""
    page, log = browser
    page.context.close()
    assert log.asked_hosts() == {"127.0.0.1"}
    # A browser writes down what was refused on purpose above; Notebook has an error of its own.
    refused = ("422 (Unprocessable", "409 (Conflict)", "404 (Not Found)")
    ours = [line for line in log.console_errors if not any(word in line for word in refused)]
    assert [line for line in ours if "/static/notebook/" not in line] == []
