"""Whoever sees little, or has no mouse, can use the views: axe finds nothing, Tab reaches all."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Locator, Page, ViewportSize, expect

from local_hub import HubProcess
from support.accessibility import serious_violations, walk
from support.api import Api, Journey, alpaca
from support.browser import open_browsers
from support.service_page import ServicePage
from support.view_pages import PATIENCE_MS, ChatPage, CuratePage, LabPages, WatchPage

pytestmark = pytest.mark.timeout(900)

SIZES: tuple[ViewportSize, ...] = (
    {"width": 1200, "height": 800},
    {"width": 320, "height": 800},
)


@dataclass
class Stage:
    """Somebody who has things, somebody who has none, and the things."""

    demo: ServicePage
    guest: ServicePage
    lab: LabPages
    journey: Journey
    keys: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def stage(
    hub: HubProcess,
    journey: Journey,
    demo_api: Api,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stage]:
    twins = json.loads(alpaca(4, "twin"))
    path = f"api/datasets/{journey.dataset['id']}/files/twins.json"
    assert demo_api.put(path, content=json.dumps(twins + twins[:2]).encode()).status_code == 201
    with open_browsers(tmp_path_factory.mktemp("browsers"), 2) as ((mine, other), _):
        demo, guest = ServicePage(mine, hub, "demo"), ServicePage(other, hub, "guest")
        demo.enter()
        guest.enter()
        yield Stage(demo, guest, LabPages(mine.context.new_page(), hub, "demo"), journey)


State = Callable[[Stage], Page]


def overview(stage: Stage) -> Page:
    stage.demo.go_to("Overview", "panel")
    expect(stage.demo.part("Adapters")).to_contain_text("@demo/soap@1", timeout=PATIENCE_MS)
    return stage.demo.page


def overview_of_nothing(stage: Stage) -> Page:
    stage.guest.go_to("Overview", "panel")
    expect(stage.guest.part("Adapters")).to_contain_text("No adapter yet", timeout=PATIENCE_MS)
    return stage.guest.page


def curate(stage: Stage) -> CuratePage:
    stage.demo.go_to("Overview", "panel")
    page = CuratePage(stage.demo.open(f"curate?dataset={stage.journey.dataset['id']}"))
    expect(page.view.get_by_role("heading", name="soap")).to_be_visible(timeout=PATIENCE_MS)
    return page


def curate_datasets(stage: Stage) -> Page:
    view = stage.demo.go_to("Curate", "curate")
    expect(view.get_by_role("button", name="soap", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    return view.page


def curate_no_datasets(stage: Stage) -> Page:
    view = stage.guest.go_to("Curate", "curate")
    expect(view.locator(".empty")).to_be_visible(timeout=PATIENCE_MS)
    return view.page


def curate_new_dataset(stage: Stage) -> Page:
    page = curate_datasets(stage)
    form = stage.demo.view("curate")
    form.get_by_role("button", name="New dataset").click()
    form.get_by_label("Name").fill("Not A Name")
    page.keyboard.press("Enter")
    expect(form.get_by_label("Name")).to_have_attribute("aria-invalid", "true")
    return page


def curate_records(stage: Stage) -> Page:
    page = curate(stage)
    page.part("Records")
    page.open_record("Patient 2: a cough.")
    return page.page


def curate_editor(stage: Stage) -> Page:
    page = curate_records(stage)
    CuratePage(stage.demo.view("curate")).press("Edit")
    return page


def curate_files(stage: Stage) -> Page:
    page = curate(stage)
    page.part("Files")
    page.drop_file("wrong.json", b'[{"instruction": "Why?", "output": 3}]')
    expect(page.upload("wrong.json").get_by_role("row").nth(1)).to_be_visible(timeout=PATIENCE_MS)
    return page.page


def curate_versions(stage: Stage) -> Page:
    page = curate(stage)
    page.part("Versions")
    page.view.get_by_role("button", name="Details of @demo/soap@1").click()
    page.part("Contents")
    expect(page.view.get_by_role("grid")).to_contain_text("cough", timeout=PATIENCE_MS)
    return page.page


def curate_lineage(stage: Stage) -> Page:
    page = curate(stage)
    page.part("Versions")
    page.view.get_by_role("button", name="Details of @demo/soap@1").click()
    page.part("Lineage")
    expect(page.view.locator(".node.adapter")).to_be_visible(timeout=PATIENCE_MS)
    return page.page


def curate_filters(stage: Stage) -> Page:
    page = curate(stage)
    page.part("Records")
    page.view.get_by_role("button", name="Filters").click()
    page.view.get_by_role("checkbox", name="Near duplicates").check()
    page.view.locator("summary", has_text="History").click()
    return page.page


def curate_import(stage: Stage) -> Page:
    page = curate(stage)
    page.part("Files")
    page.drop_file("asked.csv", b"dialogue,section_text\nDoctor: Any pain?,No pain.\n")
    expect(page.view.get_by_role("region", name="Preview")).to_be_visible(timeout=PATIENCE_MS)
    return page.page


def curate_review(stage: Stage) -> Page:
    page = curate(stage)
    page.part("Review")
    page.view.get_by_role("button", name=re.compile("^Run (the review|it again)")).click()
    page.view.get_by_role("dialog").get_by_role("button", name="Run", exact=True).click()
    near = page.view.get_by_role("button", name=re.compile("^Near duplicates"))
    expect(near).to_contain_text("decided", timeout=PATIENCE_MS)
    near.click()
    expect(page.view.locator(".finding").first).to_be_visible(timeout=PATIENCE_MS)
    return page.page


def curate_splits(stage: Stage) -> Page:
    page = curate(stage)
    page.part("Splits")
    expect(page.view.get_by_role("region", name="Leaks")).to_be_visible()
    return page.page


def curate_publish(stage: Stage) -> Page:
    page = curate(stage)
    page.view.get_by_role("button", name="Publish", exact=True).click()
    expect(page.view.get_by_role("dialog")).to_be_visible()
    return page.page


def curate_nothing(stage: Stage) -> Page:
    view = stage.guest.open(f"curate?dataset={stage.journey.dataset['id']}")
    expect(view).to_contain_text("There is no such dataset", timeout=PATIENCE_MS)
    return view.page


def train(stage: Stage) -> Page:
    stage.demo.go_to("Overview", "panel")
    view = stage.demo.open(f"train?version={stage.journey.version['id']}")
    task = view.get_by_label("Task", exact=True)
    task.select_option("training-v0", timeout=PATIENCE_MS)
    epochs = view.get_by_label("Epochs")
    epochs.fill("1000", timeout=PATIENCE_MS)
    view.page.keyboard.press("Enter")
    expect(epochs).to_have_attribute("aria-invalid", "true", timeout=PATIENCE_MS)
    view.get_by_text("Advanced options").click()
    return view.page


def train_on_nothing(stage: Stage) -> Page:
    view = stage.guest.go_to("Train", "train")
    expect(view.locator("form")).to_be_visible(timeout=PATIENCE_MS)
    return view.page


def train_all_options(stage: Stage) -> Page:
    page = train(stage)
    view = stage.demo.view("train")
    view.get_by_label("Task", exact=True).select_option("sft")
    view.get_by_text("Advanced options").click()
    view.get_by_role("button", name="Add another version").click()
    page.keyboard.press("Escape")
    view.get_by_role("button", name="Remove dataset 2").click()
    return page


def train_preflight(stage: Stage) -> Page:
    stage.demo.go_to("Overview", "panel")
    view = stage.demo.open(f"train?job={stage.journey.job['id']}")
    view.get_by_label("Epochs").fill("2", timeout=PATIENCE_MS)
    view.get_by_text("More about this job").click()
    view.get_by_role("button", name="Run the pre-flight").click()
    view.get_by_role("button", name="Show the first batch").click(timeout=PATIENCE_MS)
    expect(view.locator(".tokens").first).to_be_visible(timeout=PATIENCE_MS)
    view.get_by_text("All numbers").click()
    return view.page


def jobs_more(stage: Stage) -> Page:
    page = jobs(stage)
    view = stage.demo.view("jobs")
    view.get_by_label("Compare soap", exact=True).check()
    view.get_by_label("More for soap", exact=True).click()
    return page


def jobs_statistics(stage: Stage) -> Page:
    page = jobs_more(stage)
    page.locator(".menu[open]").get_by_text("Statistics", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text("Attempts", timeout=PATIENCE_MS)
    return page


def jobs_compared(stage: Stage) -> Page:
    stage.demo.go_to("Overview", "panel")
    job = stage.journey.job["id"]
    view = stage.demo.open(f"jobs?compare={job},{job}")
    expect(view.get_by_role("img").first).to_be_visible(timeout=PATIENCE_MS)
    view.get_by_label("Show what is the same too").check()
    return view.page


def jobs(stage: Stage) -> Page:
    view = stage.demo.go_to("Jobs", "jobs")
    expect(view).to_contain_text("@demo/soap@1", timeout=PATIENCE_MS)
    return view.page


def jobs_none(stage: Stage) -> Page:
    view = stage.guest.go_to("Jobs", "jobs")
    expect(view).to_contain_text("No job yet", timeout=PATIENCE_MS)
    return view.page


def watch(stage: Stage) -> Page:
    stage.demo.go_to("Overview", "panel")
    page = WatchPage(stage.demo.open(f"watch?job={stage.journey.job['id']}"))
    page.wait_for_charts()
    page.points_of_loss()
    return stage.demo.page


def watch_nothing(stage: Stage) -> Page:
    view = stage.guest.open(f"watch?job={stage.journey.job['id']}")
    expect(view.get_by_role("button", name="All jobs")).to_be_visible(timeout=PATIENCE_MS)
    return view.page


def chat_begins(stage: Stage) -> Page:
    view = stage.guest.go_to("Chat", "chat")
    expect(view.get_by_role("option")).to_have_count(1, timeout=PATIENCE_MS)
    return view.page


def chat(stage: Stage) -> Page:
    page = ChatPage(stage.demo.go_to("Chat", "chat"))
    expect(page.model).to_have_value("@demo/soap@1", timeout=PATIENCE_MS)
    page.view.get_by_label("Base model beside it").check()
    page.view.get_by_role("button", name="Parameters").click()
    page.view.get_by_label("Longest answer").fill("20")
    page.ask("What does a cough mean?")
    page.wait_for_answer()
    return stage.demo.page


def keys_none(stage: Stage) -> Page:
    view = stage.guest.go_to("Keys", "keys")
    expect(view).to_contain_text("You have no key yet", timeout=PATIENCE_MS)
    return view.page


def keys(stage: Stage) -> Page:
    for dialog in stage.demo.page.get_by_role("dialog").all():
        dialog.evaluate("(dialog) => dialog.close()")
    stage.demo.go_to("Overview", "panel")
    view = stage.demo.go_to("Keys", "keys")
    if not stage.keys:
        stage.keys = [_new_key(stage, view, name) for name in ("kept", "ended")]
        view.get_by_role("button", name="Revoke: ended").click()
        view.get_by_role("button", name="Revoke the key").click()
    expect(view.get_by_text("revoked", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    return view.page


def _new_key(stage: Stage, view: Locator, name: str) -> str:
    view.get_by_role("button", name="New key").click()
    view.get_by_label("Name", exact=True).fill(name)
    view.get_by_label("Adapters", exact=True).click()
    view.get_by_role("option", name=stage.journey.adapter["full_name"]).click()
    view.get_by_label("Tokens per day").fill("1000")
    view.get_by_role("button", name="Create key").click()
    view.get_by_role("button", name="Show the secret").click(timeout=PATIENCE_MS)
    view.get_by_role("button", name="Close").click()
    return name


def keys_new(stage: Stage) -> Page:
    page = keys(stage)
    page.get_by_role("button", name="New key").click()
    page.get_by_label("Adapters", exact=True).click()
    page.get_by_role("option", name=stage.journey.adapter["full_name"]).click()
    page.get_by_role("button", name="Create key").click()
    expect(page.get_by_label("Name", exact=True)).to_have_attribute("aria-invalid", "true")
    return page


def keys_secret(stage: Stage) -> Page:
    page = keys(stage)
    page.get_by_role("button", name="Rotate: kept").click()
    page.get_by_role("button", name="Make a new secret").click()
    page.get_by_role("button", name="Show the secret").click(timeout=PATIENCE_MS)
    return page


def keys_use(stage: Stage) -> Page:
    page = keys(stage)
    page.get_by_role("button", name="Use it: kept").click()
    page.get_by_role("tab", name="curl").click()
    return page


STATES: tuple[State, ...] = (
    overview,
    overview_of_nothing,
    curate_datasets,
    curate_no_datasets,
    curate_new_dataset,
    curate_records,
    curate_editor,
    curate_files,
    curate_versions,
    curate_lineage,
    curate_filters,
    curate_import,
    curate_review,
    curate_splits,
    curate_publish,
    curate_nothing,
    train,
    train_all_options,
    train_preflight,
    train_on_nothing,
    jobs,
    jobs_more,
    jobs_statistics,
    jobs_compared,
    jobs_none,
    watch,
    watch_nothing,
    chat_begins,
    chat,
    keys_none,
    keys,
    keys_new,
    keys_secret,
    keys_use,
)
#: States with all that one may press in a view; the others have no more kinds of it.
BUSY: tuple[State, ...] = (
    overview,
    curate_datasets,
    curate_new_dataset,
    curate_records,
    curate_editor,
    curate_files,
    curate_versions,
    curate_lineage,
    curate_filters,
    curate_import,
    curate_review,
    curate_splits,
    train,
    train_all_options,
    train_preflight,
    jobs,
    jobs_compared,
    watch,
    chat,
    keys,
)


def name_of(state: State) -> str:
    return state.__name__


@pytest.mark.parametrize("state", STATES, ids=name_of)
def test_axe_finds_nothing_on_the_page(stage: Stage, state: State) -> None:
    page = state(stage)
    found = {}
    try:
        for size in SIZES:
            page.set_viewport_size(size)
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                violations = serious_violations(page)
                found |= {f"{size['width']} {scheme}": violations} if violations else {}
    finally:
        leave(page)
    assert found == {}


@pytest.mark.parametrize("state", BUSY, ids=name_of)
def test_tab_reaches_everything_and_shows_where_it_is(stage: Stage, state: State) -> None:
    page = state(stage)
    walked = walk(page.get_by_role("main").locator(".ady").first)
    leave(page)
    assert walked.stops > 1
    assert walked.unreached == []
    assert walked.unmarked == []


def test_a_dialog_keeps_the_focus_and_gives_it_back(stage: Stage) -> None:
    page = curate(stage)
    button = page.view.get_by_role("button", name="Publish", exact=True)
    button.focus()
    page.page.keyboard.press("Enter")
    dialog = page.view.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Publish")).to_be_focused()
    for _ in range(4):
        page.page.keyboard.press("Tab")
        assert focus_is_in(dialog)
    page.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(button).to_be_focused()
    page.page.keyboard.press("Enter")
    page.page.keyboard.press("Enter")
    expect(page.published).to_contain_text("Published @demo/soap@2.", timeout=PATIENCE_MS)
    expect(button).to_be_focused()
    drawn = page.view.locator(".title").element_handle()
    page.page.wait_for_function("(drawn) => !drawn.isConnected", arg=drawn, timeout=PATIENCE_MS)
    expect(button).to_be_focused()  # the heading looks every 20 s whether something changed


def test_the_page_has_a_way_past_its_navigation(stage: Stage) -> None:
    page = overview(stage)
    page.reload()
    expect(stage.demo.view("panel")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(stage.demo.main).to_be_focused()


def focus_is_in(dialog: Locator) -> bool:
    """Whether the focus is in a dialog, or in the browser's own bar."""
    words = "(dialog) => [dialog, document.body].includes(active) || dialog.contains(active)"
    return bool(dialog.evaluate(words.replace("active", "document.activeElement")))


def leave(page: Page) -> None:
    """Put a page back as the next test expects it."""
    page.set_viewport_size(SIZES[0])
    page.emulate_media(color_scheme="light")
    page.keyboard.press("Escape")
