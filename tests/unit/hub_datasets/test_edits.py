"""Edits of a draft: each can be undone and redone by who made it, and none is done twice."""

import asyncio
import tempfile
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import astuple, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptery.errors import (
    ConflictError,
    NotFoundError,
    RecordChangedError,
    TooLargeError,
)
from adaptery.records import Record
from adaptery_hub.drafts import Draft, Drafts, RecordQuery
from support.examples import examples

DATASET = "ds_01hzzzzzzzzzzzzzzzzzzzzzzz"
ME, OTHER = "tn_me", "tn_other"


def text(word: str) -> Record:
    return Record.of_text(word)


@pytest.fixture
def drafts(tmp_path: Path):  # type: ignore[no-untyped-def]
    drafts = Drafts(tmp_path, max_records=10)
    asyncio.run(drafts.create(DATASET))
    yield drafts
    drafts.close()


def change(drafts: Drafts, fn: Callable[[Draft], object]) -> object:
    return asyncio.run(drafts.write(DATASET, fn))


def contents(drafts: Drafts) -> dict[int, str]:
    records, _ = drafts.read_now(DATASET, lambda d: d.page(RecordQuery(limit=200)))
    return {record.position: str(record.record["text"]) for record in records}


def test_undo_and_redo_of_each_action(drafts: Drafts) -> None:
    change(drafts, lambda d: d.import_records([text("one"), text("two")], "fi_x"))
    change(drafts, lambda d: d.replace(1, text("uno"), ME))
    change(drafts, lambda d: d.remove(2, ME))
    change(drafts, lambda d: d.add(text("three"), ME))
    after = {1: "uno", 3: "three"}
    assert contents(drafts) == after

    def step(draft: Draft) -> tuple[str, bool, int | None]:
        edit, record, *_ = draft.undo(ME)
        return edit.action, edit.undone, record.position if record else None

    assert change(drafts, step) == ("add", True, None)
    assert change(drafts, step) == ("remove", True, 2)
    assert change(drafts, step) == ("replace", True, 1)
    assert contents(drafts) == {1: "one", 2: "two"}
    with pytest.raises(ConflictError, match="nothing to undo"):
        change(drafts, lambda d: d.undo(ME))
    for _ in range(3):
        change(drafts, lambda d: d.redo(ME))
    assert contents(drafts) == after
    with pytest.raises(ConflictError, match="nothing to redo"):
        change(drafts, lambda d: d.redo(ME))


def test_a_record_that_comes_back_is_what_it_was(drafts: Drafts) -> None:
    change(drafts, lambda d: d.import_records([text("one"), text("two")], "fi_x"))
    before = drafts.read_now(DATASET, lambda d: d.get(1))
    change(drafts, lambda d: d.remove(1, ME))
    change(drafts, lambda d: d.undo(ME))
    after = drafts.read_now(DATASET, lambda d: d.get(1))
    assert replace(after, changed_at=before.changed_at) == before
    query = RecordQuery(search="one", file="fi_x")
    assert drafts.read_now(DATASET, lambda d: d.page(query))[1] == 1
    assert change(drafts, lambda d: d.add(text("new"), ME).position) == 3


def test_a_record_is_edited_as_long_as_an_edit_stands(drafts: Drafts) -> None:
    def edited() -> bool:
        return drafts.read_now(DATASET, lambda d: d.get(1).edited)

    change(drafts, lambda d: d.import_records([text("one")], "fi_x"))
    assert not edited()
    change(drafts, lambda d: d.replace(1, text("two"), OTHER))
    change(drafts, lambda d: d.replace(1, text("three"), ME))
    change(drafts, lambda d: d.undo(ME))
    assert edited()
    change(drafts, lambda d: d.undo(OTHER))
    assert not edited()


def test_a_new_edit_ends_redo(drafts: Drafts) -> None:
    change(drafts, lambda d: d.add(text("one"), ME))
    change(drafts, lambda d: d.undo(ME))
    change(drafts, lambda d: d.add(text("two"), OTHER))  # of somebody else: ends nothing
    change(drafts, lambda d: d.redo(ME))
    change(drafts, lambda d: d.undo(ME))
    change(drafts, lambda d: d.add(text("three"), ME))
    with pytest.raises(ConflictError):
        change(drafts, lambda d: d.redo(ME))
    change(drafts, lambda d: d.undo(ME))
    change(drafts, lambda d: d.redo(ME))
    assert contents(drafts) == {2: "two", 3: "three"}


@pytest.mark.parametrize(
    "theirs", [lambda d: d.replace(1, text("x"), OTHER), lambda d: d.remove(1, OTHER)]
)
def test_what_somebody_else_changed_since_is_left_alone(
    drafts: Drafts, theirs: Callable[[Draft], object]
) -> None:
    change(drafts, lambda d: d.import_records([text("one")], "fi_x"))
    change(drafts, lambda d: d.replace(1, text("two"), ME))
    change(drafts, theirs)
    kept = contents(drafts)
    with pytest.raises(RecordChangedError):
        change(drafts, lambda d: d.undo(ME))
    assert contents(drafts) == kept
    change(drafts, lambda d: d.undo(OTHER))
    change(drafts, lambda d: d.undo(ME))
    assert contents(drafts) == {1: "one"}
    change(drafts, theirs)
    with pytest.raises(RecordChangedError):
        change(drafts, lambda d: d.redo(ME))


def test_a_removed_record_does_not_come_back_into_a_full_draft(drafts: Drafts) -> None:
    change(drafts, lambda d: d.import_records([text(word) for word in "abcdefghij"], "fi_x"))
    change(drafts, lambda d: d.remove(1, ME))
    change(drafts, lambda d: d.add(text("k"), OTHER))
    with pytest.raises(TooLargeError):
        change(drafts, lambda d: d.undo(ME))


def test_what_was_deleted_with_a_file_is_not_in_the_log(drafts: Drafts, tmp_path: Path) -> None:
    canary = "canary" * 20
    records = [text(canary), text(f"{canary} 2"), text(f"{canary} 3")]
    change(drafts, lambda d: d.import_records(records, "fi_x"))
    change(drafts, lambda d: d.add(text("mine"), ME))
    change(drafts, lambda d: d.replace(1, text(f"{canary} 4"), ME))
    change(drafts, lambda d: d.remove(1, ME))
    change(drafts, lambda d: d.remove(2, OTHER))
    change(drafts, lambda d: d.undo(OTHER))
    change(drafts, lambda d: d.remove_file("fi_x"))
    edits = drafts.read_now(DATASET, lambda d: d.edits(None, 9))
    assert [edit.action for edit in edits] == ["add"]
    change(drafts, lambda d: d.undo(ME))
    assert contents(drafts) == {}
    for path in tmp_path.iterdir():
        assert canary.encode() not in path.read_bytes(), path.name


def test_a_key_adds_one_record(drafts: Drafts) -> None:
    def add(word: str, editor: str = ME) -> object:
        return change(drafts, lambda d: d.add(text(word), editor, "key-1").position)

    assert add("one") == add("one") == 1
    with pytest.raises(ConflictError):
        add("another")
    assert add("one", OTHER) == 2
    assert contents(drafts) == {1: "one", 2: "one"}
    change(drafts, lambda d: d.remove(1, OTHER))
    with pytest.raises(RecordChangedError):
        add("one")


def test_an_edit_of_what_is_not_there_any_more_is_refused(drafts: Drafts) -> None:
    one, two, three = text("one"), text("two"), text("three")
    change(drafts, lambda d: d.add(one, ME))
    seen = one.record_id()
    change(drafts, lambda d: d.replace(1, two, OTHER, seen))
    with pytest.raises(RecordChangedError) as caught:
        change(drafts, lambda d: d.replace(1, three, ME, seen))
    assert caught.value.hint
    with pytest.raises(RecordChangedError):
        change(drafts, lambda d: d.remove(1, ME, seen))
    assert contents(drafts) == {1: "two"}
    change(drafts, lambda d: d.replace(1, two, ME, seen))  # the same: it is there already
    assert drafts.read_now(DATASET, Draft.count_edits) == 2
    change(drafts, lambda d: d.remove(1, ME, two.record_id()))
    with pytest.raises(NotFoundError):
        change(drafts, lambda d: d.remove(1, ME, two.record_id()))


def test_edits_are_listed_newest_first_in_pages(drafts: Drafts) -> None:
    for word in "abcde":
        change(drafts, lambda d, word=word: d.add(text(word), ME))
    first = drafts.read_now(DATASET, lambda d: d.edits(None, 3))
    rest = drafts.read_now(DATASET, lambda d: d.edits(first[-1].seq, 3))
    assert [edit.position for edit in [*first, *rest]] == [5, 4, 3, 2, 1]


def test_only_the_newest_edits_are_kept(drafts: Drafts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adaptery_hub.drafts.edits.EDITS_KEPT", 3)
    change(drafts, lambda d: d.add(text("first"), ME))
    for word in "abcd":
        change(drafts, lambda d, word=word: d.replace(1, text(word), ME))
    assert len(drafts.read_now(DATASET, lambda d: d.edits(None, 9))) == 3
    for _ in range(3):
        change(drafts, lambda d: d.undo(ME))
    with pytest.raises(ConflictError):
        change(drafts, lambda d: d.undo(ME))
    assert contents(drafts) == {1: "a"}


WORDS = st.sampled_from(["a", "b", "ab", "a b", "é"])
STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "replace", "remove", "undo", "redo"]), st.integers(), WORDS),
    max_size=25,
)


def state(draft: Draft) -> list[tuple[object, ...]]:
    """Return all that undo and redo must bring back; the moment of the last change is not."""
    records, total = draft.page(RecordQuery(limit=200))
    duplicates, _ = draft.page(RecordQuery(limit=200, duplicates=True))
    found = [draft.page(RecordQuery(limit=200, search=word))[1] for word in ("a", "ab", "é")]
    plain = [astuple(replace(record, changed_at=record.created_at)) for record in records]
    return [*plain, (total, *found), tuple(record.position for record in duplicates)]


def take(draft: Draft, action: str, which: int, word: str) -> None:
    records, _ = draft.page(RecordQuery(limit=200))
    target = records[which % len(records)].position if records else 1
    steps: dict[str, Callable[[], object]] = {
        "add": lambda: draft.add(text(word), ME),
        "replace": lambda: draft.replace(target, text(word), ME),
        "remove": lambda: draft.remove(target, ME),
        "undo": lambda: draft.undo(ME),
        "redo": lambda: draft.redo(ME),
    }
    with suppress(ConflictError, NotFoundError):  # nothing there to change, undo or redo
        steps[action]()


def all_of(step: Callable[[], object]) -> int:
    count = 0
    while True:
        try:
            step()
        except RecordChangedError:
            raise  # nobody else is here
        except ConflictError:
            return count
        count += 1


@given(STEPS)
@settings(deadline=None, max_examples=examples(60))
def test_undoing_all_is_the_beginning_and_redoing_all_the_end(
    steps: list[tuple[str, int, str]],
) -> None:
    def walk(draft: Draft) -> None:
        for step in steps:
            take(draft, *step)
        all_of(lambda: draft.redo(ME))  # what the walk had undone is part of its end

    with tempfile.TemporaryDirectory() as folder, closing(Drafts(Path(folder), 200)) as drafts:
        asyncio.run(drafts.create(DATASET))
        change(drafts, lambda d: d.import_records([text("a"), text("b"), text("a")], "fi_x"))
        beginning = drafts.read_now(DATASET, state)
        change(drafts, walk)
        end = drafts.read_now(DATASET, state)
        undone = change(drafts, lambda d: all_of(lambda: d.undo(ME)))
        assert drafts.read_now(DATASET, state) == beginning
        assert change(drafts, lambda d: all_of(lambda: d.redo(ME))) == undone
        assert drafts.read_now(DATASET, state) == end
