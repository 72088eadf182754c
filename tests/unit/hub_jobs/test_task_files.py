"""Task files: what may be written, what is said of a mistake, and changes while it runs."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptery.errors import NotFoundError, SpecError
from adaptery_hub.tasks import TaskCatalog
from adaptery_hub.tasks.catalog import LOOK_SECONDS
from adaptery_hub.tasks.documents import FILE_LIMIT_BYTES, parse_document
from adaptery_hub.tasks.reading import check_section, read_task

TASK = """\
title: Notes
description: Learns from notes.
stage: sft
options:
  rank:
    into: lora.rank
    title: Rank
    description: Size of the adapter.
"""
SECTION = """\
title: Shape
options:
  rank:
    into: lora.rank
    title: Rank
    description: Size of the adapter.
  targets:
    into: lora.targets
    type: list
    title: Layers
    description: Where.
    choices: [q_proj, v_proj]
    default: [q_proj]
"""


class Folder:
    """A `tasks_dir` with a clock that a test sets forward."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = 0.0

    def write(self, name: str, text: str) -> None:
        file = self.path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)

    def catalog(self) -> TaskCatalog:
        return TaskCatalog(self.path, clock=lambda: self.now)

    async def look(self, catalog: TaskCatalog) -> None:
        self.now += LOOK_SECONDS
        await catalog.refresh()


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def faults(text: str, section: str = SECTION) -> list[str]:
    """Return what is wrong with a task that may use a section called `shape`."""
    try:
        shape = parse_document(section, "sections/shape.yaml")
        check_section(shape)
        read_task("notes", parse_document(text, "notes.yaml"), {"shape": shape})
    except SpecError as refused:
        return [f"{problem.where}: {problem.reason}" for problem in refused.errors]
    return []


def test_what_a_file_does_not_say_is_as_the_spec_has_it(folder: Folder) -> None:
    folder.write("notes.yaml", TASK)
    rank = folder.catalog().get("notes").options["rank"]
    assert (rank.type, rank.minimum, rank.maximum, rank.default) == ("integer", 1, 256, 8)


def test_tasks_share_sections_and_say_more_or_less_of_their_options(folder: Folder) -> None:
    folder.write("sections/shape.yaml", SECTION)
    own = "uses: [shape]\noptions:\n  rank: {maximum: 32, visibility: advanced}\n  targets: null\n"
    folder.write("notes.yaml", TASK[: TASK.index("options:")] + own)
    task = folder.catalog().get("notes")
    assert list(task.options) == ["rank"]
    rank = task.options["rank"]
    assert (rank.section, rank.maximum, rank.visibility) == ("Shape", 32, "advanced")


def test_a_hidden_option_is_decided_for_everyone(folder: Folder) -> None:
    folder.write("notes.yaml", TASK + "    visibility: hidden\n    default: 4\n")
    catalog = folder.catalog()
    task = catalog.get("notes")
    assert task.options == {} and task.fixed == {"lora.rank": 4}
    with pytest.raises(SpecError, match=r"options\.rank: is fixed in this task"):
        catalog.check_options("notes", {"rank": 8})


def test_the_digest_is_of_what_a_task_means(folder: Folder) -> None:
    def digest(text: str) -> str:
        folder.write("notes.yaml", text)
        return folder.catalog().get("notes", ["radiology"]).digest

    assert digest(TASK) == digest("# a comment\n" + TASK + "start_from: true\n")
    assert digest(TASK) != digest(TASK + "groups: [radiology]\n")
    folder.write("sections/shape.yaml", SECTION)
    shared = TASK[: TASK.index("options:")] + "uses: [shape]\n"
    before = digest(shared)
    folder.write("sections/shape.yaml", SECTION.replace("[q_proj]", "[v_proj]"))
    assert digest(shared) != before, "of what it shares too"


@pytest.mark.parametrize(
    "old, new, said",
    [
        ("stage: sft", "stage: ppo", "notes.yaml:3 stage"),
        ("title: Notes", "titel: Notes", "notes.yaml:1 titel: is not a known field"),
        ("into: lora.rank", "into: lora.rnak", "notes.yaml:6 options.rank.into: is no field"),
        ("into: lora.rank", "into: limits.memory_bytes", "is no field of the spec"),
        ("into: lora.rank", "into: resume_from.step", "is no field of the spec"),
        ("into: lora.rank", "into: reward.weight_digest", "is no field of the spec"),
        ("title: Rank", "maximum: 512", "notes.yaml:5 options.rank.title: is required"),
        ("title: Rank", "title: Rank\n    maximum: 512", "notes.yaml:8 options.rank.maximum"),
        ("title: Rank", "title: Rank\n    default: 0", "notes.yaml:8 options.rank.default"),
        ("title: Rank", "title: Rank\n    default: eight", "is not what lora.rank takes"),
        ("title: Rank", "title: Rank\n    type: string", "is not what lora.rank takes"),
        ("title: Rank", "title: Rank\n    values: {all: 999}", "options.rank.choices"),
        ("into: lora.rank", "into: lora.alpha", "options.rank.minimum: is missing"),
        ("stage: sft", "stage: sft\nstage: pt", "notes.yaml:4 stage: stands twice"),
        ("stage: sft", "stage: sft\nuses: [shapes]", "no sound section shapes"),
        ("stage: sft", "stage: sft\nfixed: {lora: {rank: 4}}", "where a fixed value goes"),
        ("stage: sft", "stage: sft\nfixed: {optim: {sede: 4}}", "fixed.optim.sede: is no field"),
        ("stage: sft", "stage: sft\nfixed: {optim: {seed: -1}}", "is not what this field takes"),
        ("stage: sft", "stage: sft\nlora_alpha_per_rank: 5", "makes an alpha of 1280"),
        ("stage: sft", "stage: sft\ntemplate: ../x", "is no name of a template"),
        ("stage: sft", "stage: sft\nlimits: {wall_seconds: 0}", "limits.wall_seconds"),
        ("rank:", "other: null\n  rank:", "options.other: is in no section"),
        ("title: Notes", "title: &it Notes\nqueue: *it", "notes.yaml:2: uses an alias"),
        ("title: Notes", "title: !!python/name:os.system", "is not valid YAML"),
        ("title: Notes", "title: [", "is not valid YAML"),
        ("stage: sft", "stage: sft\nfixed: {lora: {dora: true}}", "defaults, lora.dora cannot"),
        ("stage: sft", "stage: sft\nfixed: {optim: {rope: {factor: 2}}}", "optim.rope.kind is re"),
        (TASK, "- a list", "notes.yaml:1: is not a mapping"),
        (TASK, "", "notes.yaml:1: is not a mapping"),
        (TASK, "\t", "is not valid YAML"),
    ],
)
def test_a_mistake_is_told_with_its_file_and_line(old: str, new: str, said: str) -> None:
    found = faults(TASK.replace(old, new))
    assert any(said in problem for problem in found)


def test_two_options_cannot_go_to_the_same_place() -> None:
    second = TASK[TASK.index("  rank:") :].replace("  rank:", "  size:")
    assert "goes where rank goes" in faults(TASK + second)[0]


def test_a_mistake_in_a_section_is_told_of_the_section() -> None:
    bad = SECTION.replace("default: [q_proj]", "default: [k_proj]")
    assert faults(TASK, bad)[0].startswith("sections/shape.yaml:13 options.targets.default")
    assert faults(TASK, SECTION.replace("title: Layers", "titel: Layers"))


def test_a_default_of_a_section_is_checked_against_what_the_task_says_more() -> None:
    narrow = "uses: [shape]\noptions:\n  targets: {choices: [v_proj]}\n"
    [fault] = faults(TASK[: TASK.index("options:")] + narrow)
    assert fault.startswith("sections/shape.yaml:13 options.targets.default")


def test_a_file_that_is_too_large_is_not_read(folder: Folder) -> None:
    folder.write("notes.yaml", TASK + "#" * FILE_LIMIT_BYTES)
    assert "is too large" in folder.catalog().problems[0].reason


def test_a_file_that_is_not_read_is_told(folder: Folder) -> None:
    folder.write("notes.yml", TASK)
    [problem] = folder.catalog().problems
    assert (problem.where, problem.remedy) == ("notes.yml", "name it .yaml")


def test_all_mistakes_of_a_file_are_told_at_once() -> None:
    bad = TASK.replace("title: Rank", "title: Rank\n    default: 0\n    maximum: 999")
    second = "  seed: {into: optim.sede, title: Seed, description: Order.}\n"
    found = faults(bad + second + "fixed: {optim: {epochs: 0}}\ntemplate: A\n")
    assert [fault.split(" ")[1].rstrip(":") for fault in found] == [
        "options.rank.default",
        "options.rank.maximum",
        "options.seed.into",
        "fixed.optim.epochs",
        "template",
    ]


def test_a_file_is_called_as_a_task_can_be(folder: Folder) -> None:
    folder.write("Our Notes.yaml", TASK)
    [problem] = folder.catalog().problems
    assert problem.where == "Our Notes.yaml:1 name" and "pattern" in problem.reason


def test_no_task_takes_the_place_of_the_list_of_problems(folder: Folder) -> None:
    folder.write("problems.yaml", TASK)
    assert "cannot have this name" in folder.catalog().problems[0].reason


def test_the_examples_of_the_documentation_are_tasks(folder: Folder) -> None:
    page = Path(__file__).parents[3] / "docs/howto/tasks.md"
    examples = re.findall(r"^```yaml\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)
    for number, text in enumerate(examples):
        folder.write(f"example-{number}.yaml", text)
    assert len(examples) == 2 and folder.catalog().problems == ()


@settings(max_examples=60)
@given(st.text(max_size=200) | st.text("a:-[]{}#&*!|>'\"%@`?, \n\t", max_size=60))
def test_any_text_is_a_document_or_refused_as_one(text: str) -> None:
    try:
        parse_document(text, "x.yaml")
    except SpecError as refused:
        assert refused.errors[0].where.startswith("x.yaml")


def test_a_deep_document_is_refused() -> None:
    with pytest.raises(SpecError):
        parse_document("a: " + "[" * 100_000, "x.yaml")


# ---- while the service runs ----


async def test_changes_are_taken_in_without_a_restart(folder: Folder) -> None:
    catalog = folder.catalog()
    folder.write("notes.yaml", TASK)
    await catalog.refresh()
    with pytest.raises(NotFoundError):
        catalog.get("notes")
    await folder.look(catalog)
    assert catalog.get("notes").title == "Notes"
    (folder.path / "notes.yaml").unlink()
    await folder.look(catalog)
    with pytest.raises(NotFoundError):
        catalog.get("notes")


async def test_a_file_that_went_bad_takes_nothing_away(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    folder.write("notes.yaml", TASK)
    catalog = folder.catalog()
    with caplog.at_level(logging.WARNING, "adaptery_hub"):
        folder.write("notes.yaml", TASK.replace("sft", "nonsense"))
        await folder.look(catalog)
    assert catalog.get("notes").stage == "sft"
    assert [problem.task for problem in catalog.problems] == ["notes"]
    assert "task_file_refused" in caplog.text
    folder.write("notes.yaml", TASK.replace("Notes", "Better notes"))
    await folder.look(catalog)
    assert catalog.get("notes").title == "Better notes" and catalog.problems == ()


async def test_a_section_that_went_bad_takes_nothing_away(folder: Folder) -> None:
    folder.write("sections/shape.yaml", SECTION)
    folder.write("notes.yaml", TASK[: TASK.index("options:")] + "uses: [shape]\n")
    catalog = folder.catalog()
    folder.write("sections/shape.yaml", "- no section")
    await folder.look(catalog)
    assert list(catalog.get("notes").options) == ["rank", "targets"]
    assert catalog.problems[0].where.startswith("sections/shape.yaml:1")


async def test_a_folder_that_is_away_takes_nothing_away(folder: Folder) -> None:
    folder.write("notes.yaml", TASK)
    catalog = folder.catalog()
    away = folder.path.rename(folder.path.with_name("away"))
    await folder.look(catalog)
    assert catalog.get("notes") and catalog.problems[0].where == "tasks_dir"
    away.rename(folder.path)
    await folder.look(catalog)
    assert catalog.get("notes") and catalog.problems == ()


def test_a_shipped_task_does_not_stand_in_for_one_that_is_not_sound(folder: Folder) -> None:
    folder.write("training-v0.yaml", "groups: [radiology]\n")
    with pytest.raises(NotFoundError):
        folder.catalog().get("training-v0")


def test_a_task_is_there_for_its_groups_only(folder: Folder) -> None:
    folder.write("notes.yaml", TASK + "groups: [radiology, pathology]\n")
    catalog = folder.catalog()
    assert "notes" not in {task.name for task in catalog.seen_by(["surgery"])}
    shown = catalog.describe(catalog.get("notes", ["pathology"]), [], ["pathology"])
    assert shown.groups == ("pathology",), "which other groups there are is theirs to know"
    with pytest.raises(NotFoundError) as hidden:
        catalog.get("notes", ["surgery"])
    with pytest.raises(NotFoundError) as missing:
        catalog.get("nothing", ["surgery"])
    assert str(hidden.value) == str(missing.value)


def test_a_task_says_which_base_models_it_takes(folder: Folder) -> None:
    folder.write("notes.yaml", TASK + "base_models: ['meta/*', tiny/one]\n")
    catalog = folder.catalog()
    names = ["meta/8b", "meta/70b", "tiny/one", "tiny/two"]
    shown = catalog.describe(catalog.get("notes"), names)
    assert shown.base_models == ("meta/70b", "meta/8b", "tiny/one")
