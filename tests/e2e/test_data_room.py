"""A table of dialogues becomes versions that are compared and traced: real Hub, real browser."""

import csv
import io
import random
import re

import pytest
from playwright.sync_api import Locator, Page, expect

from local_hub import HubProcess
from support.browser import BrowserLog

pytestmark = pytest.mark.timeout(900)

SECTIONS = ("GENHX", "MEDICATIONS", "ALLERGY")
#: Long enough for an analysis on a machine that is busy with other tests.
PATIENCE_MS = 60_000


def words(seed: int, count: int) -> str:
    """Return words that hardly any other seed gives: what is alike shall be so on purpose."""
    rng = random.Random(seed)
    return " ".join("".join(rng.choices("abcdefghiklmnoprstuvw", k=6)) for _ in range(count))


def visits() -> list[dict[str, str]]:
    """Return invented visits: two are alike, two are the same, one holds a phone number."""
    rows = [
        {
            "ID": str(i),
            "section_header": SECTIONS[i % 3],
            "section_text": f"The patient reports {words(i, 14)}; "
            f"treated with {words(i + 500, 8)}.",
            "dialogue": f"Doctor: What brings you here, visitor {i}?\n"
            f'Patient: It is "{words(i + 900, 10)}", since {words(i + 1300, 8)}.',
        }
        for i in range(40)
    ]
    near = dict(
        rows[7], section_text=rows[7]["section_text"].replace("treated with", "treated with some")
    )
    rows[9]["section_text"] += " Call (555) 010-9999 before the next visit."
    return [*rows, near, dict(rows[3])]


def as_csv(rows: list[dict[str, str]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


@pytest.fixture(scope="module")
def curate(hub: HubProcess, browser: tuple[Page, BrowserLog]) -> Locator:
    """Demo's new dataset `visits`, without a record."""
    page, _ = browser
    page.goto(hub.service_url)
    page.get_by_label("Username").fill("demo")
    page.get_by_label("Password").fill(hub.passwords["demo"])
    page.keyboard.press("Enter")
    page.get_by_role("navigation").get_by_role("link", name="Curate").click()
    view = page.get_by_role("region", name="Curate", exact=True)
    view.get_by_role("button", name="New dataset").click()
    view.get_by_label("Name").fill("visits")
    page.keyboard.press("Enter")
    expect(view.get_by_role("heading", name="visits")).to_be_visible()
    return view


def go_to(view: Locator, part: str) -> None:
    view.get_by_role("tab", name=part, exact=True).click()


def choose(view: Locator, name: str, content: bytes) -> Locator:
    """Upload a file and return what is said of its import."""
    go_to(view, "Files")
    file = {"name": name, "mimeType": "text/csv", "buffer": content}
    view.locator("input[type=file]").set_input_files(file)  # type: ignore[arg-type]
    return view.get_by_role("group", name=f"Import of {name}")


def choice(view: Locator, name: str) -> Locator:
    """The list to choose from with this label."""
    return view.get_by_role("combobox", name=name, exact=True)


def publish(view: Locator, number: int, words: str) -> None:
    view.get_by_role("button", name="Publish", exact=True).click()
    dialog = view.get_by_role("dialog")
    dialog.get_by_label("What is new in it").fill(words)
    dialog.get_by_role("button", name="Publish").click()
    done = view.get_by_text(f"Published @demo/visits@{number}.")
    expect(done).to_be_visible(timeout=PATIENCE_MS)


def look_into(view: Locator, number: int, part: str) -> Locator:
    """Open the details of a version at one of their parts."""
    go_to(view, "Versions")
    name = f"Details of @demo/visits@{number}"
    view.get_by_role("button", name=name, exact=True).click()
    details = view.get_by_role("region", name=name)
    details.get_by_role("tab", name=part, exact=True).click()
    return details


def test_a_table_is_imported_with_one_confirmation(curate: Locator) -> None:
    box = choose(curate, "visits.csv", as_csv(visits()))
    expect(choice(box, "Prompt")).to_have_value("dialogue")
    expect(choice(box, "Completion")).to_have_value("section_text")
    expect(box.get_by_role("region", name="Preview")).to_contain_text("What brings you here")
    box.get_by_role("button", name="Import visits.csv").click()
    expect(curate).to_contain_text("✓ visits.csv · Prompt and completion, 42 records")
    go_to(curate, "Records")
    grid = curate.get_by_role("grid", name="Records of visits")
    expect(grid).to_have_attribute("aria-rowcount", "43")
    expect(grid).to_contain_text("The patient reports")


def test_bad_records_are_listed_and_left_out_where_that_is_wanted(curate: Locator) -> None:
    rows = [dict(row, section_text=row["section_text"] + " Seen again.") for row in visits()[:5]]
    rows[2]["section_text"] = ""
    box = choose(curate, "more.csv", as_csv(rows))
    box.get_by_role("button", name="Import more.csv").click()
    problems = box.get_by_role("region", name="What is wrong")
    expect(problems.get_by_role("row")).to_have_count(2, timeout=PATIENCE_MS)
    expect(problems).to_contain_text("3")
    with curate.page.expect_download() as saved:
        box.get_by_role("button", name="Download the list").click()
    assert "reason" in saved.value.path().read_text()
    box.get_by_role("button", name="Go on without it").click()
    expect(curate).to_contain_text("4 records; 1 bad record left out")


def test_records_are_searched_in_a_field_and_filtered(curate: Locator) -> None:
    go_to(curate, "Records")
    grid = curate.get_by_role("grid", name="Records of visits")
    curate.get_by_role("searchbox", name="Search").fill("visitor")
    choice(curate, "In").select_option("assistant")
    expect(curate).to_contain_text("No record fits.")
    choice(curate, "In").select_option("user")
    expect(grid).to_have_attribute("aria-rowcount", "47")
    curate.get_by_role("searchbox", name="Search").fill("")
    curate.get_by_role("button", name="Filters").click()
    choice(curate, "File").select_option("more.csv")
    expect(grid).to_have_attribute("aria-rowcount", "5")


def test_many_records_go_and_come_back_together(curate: Locator) -> None:
    bulk = curate.get_by_role("group", name="Many records at once")
    expect(bulk).to_contain_text("All 4 that fit:")
    bulk.get_by_role("button", name="Remove").click()
    curate.get_by_role("dialog").get_by_role("button", name="Remove them").click()
    expect(curate).to_contain_text("Removed 4 records.")
    curate.get_by_role("button", name=re.compile("^Take the filter away")).click()
    grid = curate.get_by_role("grid", name="Records of visits")
    expect(grid).to_have_attribute("aria-rowcount", "43")
    curate.get_by_role("button", name=re.compile("^Undo: removed")).first.click()
    expect(grid).to_have_attribute("aria-rowcount", "47")
    curate.get_by_role("button", name=re.compile("^Redo: removed")).first.click()
    expect(grid).to_have_attribute("aria-rowcount", "43")


def test_the_review_finds_and_changes_nothing(curate: Locator) -> None:
    go_to(curate, "Review")
    curate.get_by_role("button", name="Run the review").click()
    curate.get_by_role("dialog").get_by_role("button", name="Run", exact=True).click()
    exact = curate.get_by_role("button", name=re.compile("^Exact duplicates"))
    # The same record, and the same question with another answer.
    expect(exact).to_contain_text("2 open", timeout=PATIENCE_MS)
    near = curate.get_by_role("button", name=re.compile("^Near duplicates"))
    expect(near).to_contain_text(re.compile("[1-9] open"))
    expect(curate.locator("header.head")).to_contain_text("42 records")


def test_a_decision_is_made_and_undone(curate: Locator) -> None:
    curate.get_by_role("button", name=re.compile("^Exact duplicates")).click()
    queue = curate.get_by_role("region", name="Exact duplicates")
    choice(queue, "What").select_option("record")
    expect(queue).to_contain_text("1 finding open")
    queue.get_by_role("button", name="Drop 1, keep 1").click()
    expect(queue).to_contain_text("1 finding decided, 1 record changed.")
    expect(curate.locator("header.head")).to_contain_text("41 records")
    queue.get_by_role("button", name="Undo your last decision in this queue").click()
    expect(queue).to_contain_text("Undone: 1 finding open again")
    expect(curate.locator("header.head")).to_contain_text("42 records")
    expect(queue).to_contain_text("1 finding open")
    queue.get_by_role("button", name="Drop 1, keep 1").click()
    expect(curate.locator("header.head")).to_contain_text("41 records")


def test_near_duplicates_stand_side_by_side(curate: Locator) -> None:
    curate.get_by_role("button", name=re.compile("^Near duplicates")).click()
    queue = curate.get_by_role("region", name="Near duplicates")
    expect(queue.locator("ins").first).to_contain_text("some")


def test_personal_data_is_replaced_where_it_stands(curate: Locator) -> None:
    curate.get_by_role("button", name=re.compile("^Personal data")).click()
    queue = curate.get_by_role("region", name="Personal data")
    choice(queue, "What").select_option("phone")
    hit = queue.get_by_role("listitem").filter(has_text="phone number")
    expect(hit.locator("mark")).to_contain_text("010-9999")
    hit.get_by_role("button", name=re.compile(r"^Replace by \[")).click()
    expect(queue).to_contain_text("1 finding decided, 1 record changed.")
    go_to(curate, "Records")
    curate.get_by_role("searchbox", name="Search").fill("9999")
    expect(curate).to_contain_text("No record fits.")
    curate.get_by_role("searchbox", name="Search").fill("")


def test_lengths_say_what_a_cutoff_cuts(curate: Locator) -> None:
    go_to(curate, "Review")
    curate.get_by_role("button", name=re.compile("^Lengths")).click()
    queue = curate.get_by_role("region", name="Lengths")
    queue.get_by_role("button", name="Count").click()
    cuts = re.compile("A cutoff of 2,048 tokens cuts nothing")
    expect(queue).to_contain_text(cuts, timeout=PATIENCE_MS)
    queue.get_by_label("Cutoff, in tokens").fill("10")
    expect(queue).to_contain_text("A cutoff of 10 tokens cuts 41 records")


def test_the_draft_is_split_and_nothing_leaks(curate: Locator) -> None:
    go_to(curate, "Splits")
    curate.get_by_label("Validation, %").fill("20")
    choice(curate, "Kept together by").select_option("near_duplicates")
    curate.get_by_role("button", name="Split", exact=True).click()
    expect(curate.locator(".splits")).to_contain_text("Validation", timeout=PATIENCE_MS)
    expect(curate.locator(".splits .counts")).to_contain_text("Train", timeout=PATIENCE_MS)
    curate.get_by_role("button", name="Check for leaks").click()
    leaks = curate.get_by_role("region", name="Leaks")
    expect(leaks).to_contain_text(re.compile("Checked just now"), timeout=PATIENCE_MS)


def test_it_is_published_with_what_was_found(curate: Locator) -> None:
    publish(curate, 1, "First visits")
    details = look_into(curate, 1, "Report")
    expect(details).to_contain_text("Personal data: 1 decided")
    expect(details).to_contain_text("Train")


def test_a_second_version_is_compared_word_by_word(curate: Locator) -> None:
    go_to(curate, "Records")
    curate.get_by_role("row", name=re.compile("picked 2 ")).first.click()
    panel = curate.get_by_role("region", name="Record", exact=True)
    panel.get_by_role("button", name="Edit").click()
    panel.get_by_role("textbox", name="Message 2").fill("The patient reports nothing new.")
    panel.get_by_role("button", name="Save").click()
    expect(curate).to_contain_text("Saved record 2.")
    publish(curate, 2, "Record 2 is mended")
    details = look_into(curate, 2, "Changes")
    expect(details).to_contain_text("Since @demo/visits@1:", timeout=PATIENCE_MS)
    expect(details.locator(".finding")).to_have_count(1)
    expect(details.locator("ins").last).to_contain_text("new")


def test_a_version_is_exported_in_another_format(curate: Locator) -> None:
    details = curate.get_by_role("region", name="Details of @demo/visits@2")
    details.get_by_role("button", name="Export @demo/visits@2").click()
    dialog = curate.get_by_role("dialog")
    choice(dialog, "Format").select_option("sharegpt")
    with curate.page.expect_download() as saved:
        dialog.get_by_role("button", name="Download").click()
    assert "nothing new" in saved.value.path().read_text()
    expect(dialog).to_have_count(0)


def test_lineage_leads_from_the_file_to_the_versions(curate: Locator) -> None:
    details = look_into(curate, 2, "Lineage")
    expect(details.get_by_role("button", name="visits.csv")).to_be_visible()
    details.locator("summary", has_text="As a table").click()
    expect(details.get_by_role("table", name="Lineage")).to_contain_text("@demo/visits@2")
    go_to(curate, "Records")
    curate.get_by_role("row", name=re.compile("picked 5 ")).first.click()
    panel = curate.get_by_role("region", name="Record", exact=True)
    expect(panel.get_by_role("heading", name="Record 5")).to_be_visible()
    panel.locator("summary", has_text="Which adapters saw it?").click()
    expect(panel).to_contain_text("No adapter has seen it yet.", timeout=PATIENCE_MS)
    expect(panel).to_contain_text("@demo/visits@1")


def test_versions_are_merged(curate: Locator) -> None:
    go_to(curate, "Versions")
    curate.get_by_role("button", name="Merge versions").click()
    dialog = curate.get_by_role("dialog")
    choice(dialog, "Dataset").select_option("@demo/visits")
    expect(choice(dialog, "Version")).to_contain_text("@2")
    dialog.get_by_label("Max. records").fill("10")
    dialog.get_by_role("button", name="Merge").click()
    expect(curate).to_contain_text("Merged into @demo/visits@3.", timeout=PATIENCE_MS)
    expect(curate.get_by_role("row", name=re.compile("visits@3"))).to_contain_text("merged")


def test_a_version_is_withdrawn_with_a_reason(curate: Locator) -> None:
    details = look_into(curate, 1, "Report")
    details.get_by_role("button", name="Withdraw @demo/visits@1").click()
    dialog = curate.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Withdraw it")).to_be_disabled()
    dialog.get_by_label("Reason").fill("It was a trial.")
    dialog.get_by_role("button", name="Withdraw it").click()
    row = curate.get_by_role("row", name=re.compile("visits@1"))
    expect(row).to_contain_text("withdrawn")
    expect(row.get_by_role("button", name="Train on it")).to_have_count(0)


def test_it_is_erased_by_its_name(curate: Locator) -> None:
    curate.get_by_role("button", name="Remove visits").click()
    dialog = curate.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Erase it")).to_be_disabled()
    dialog.get_by_label("Type @demo/visits").fill("@demo/visits")
    dialog.get_by_role("button", name="Erase it").click()
    expect(curate).to_contain_text("Erased @demo/visits.", timeout=PATIENCE_MS)


def test_the_view_complained_of_nothing(curate: Locator, browser: tuple[Page, BrowserLog]) -> None:
    _, log = browser
    expect(curate).to_be_visible()
    # Chromium itself reports each answer that is no success; the view must not add to that.
    assert [error for error in log.console_errors if "Failed to load resource" not in error] == []
