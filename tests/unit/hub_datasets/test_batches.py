"""Edits of many records: one entry of the log, one undo; what is forgotten is gone."""

import asyncio
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adaptery.errors import ConflictError, NotFoundError, RecordChangedError, TooLargeError
from adaptery.records import Record
from adaptery_hub.drafts import Draft, DraftRecord, Drafts, RecordEdit, RecordQuery
from adaptery_hub.drafts.contents import PACK_CHANGES

DATASET = "ds_01hzzzzzzzzzzzzzzzzzzzzzzz"
ME, OTHER = "tn_me", "tn_other"


def text(word: str) -> Record:
    return Record.of_text(word)


@pytest.fixture
def drafts(tmp_path: Path) -> Iterator[Drafts]:
    drafts = Drafts(tmp_path, max_records=1000)
    asyncio.run(drafts.create(DATASET))
    yield drafts
    drafts.close()


def change(drafts: Drafts, fn: Callable[[Draft], object]) -> object:
    return asyncio.run(drafts.write(DATASET, fn))


def contents(drafts: Drafts) -> dict[int, str]:
    rows = drafts.read_now(DATASET, lambda d: list(d.iterate(("position", "record"))))
    return {position: str(record)[23:-2] for position, record in rows}  # type: ignore[misc]


def record(drafts: Drafts, position: int) -> DraftRecord:
    return drafts.read_now(DATASET, lambda d: d.get(position))


def fill(drafts: Drafts, count: int) -> None:
    first, rest = [text(f"w{i}") for i in range(1, 4)], range(4, count + 1)
    change(drafts, lambda d: d.import_records(first, "fi_x"))
    change(drafts, lambda d: d.import_records((text(f"w{i}") for i in rest), "fi_y"))


def test_a_batch_is_one_edit_and_one_undo(drafts: Drafts) -> None:
    count = PACK_CHANGES * 2 + 10
    fill(drafts, count)
    before = contents(drafts)
    edits = [RecordEdit(at, text(f"new{at}") if at % 2 else None) for at in range(1, count + 1)]
    done = change(drafts, lambda d: d.change_many([*edits, RecordEdit(9999, None)], ME, "a test"))
    assert done[1:] == (count, 1)  # type: ignore[index]
    after = contents(drafts)
    assert after == {at: f"new{at}" for at in range(1, count + 1, 2)}
    assert drafts.read_now(DATASET, Draft.count_edits) == 0, "no edit by hand"
    (edit,) = drafts.read_now(DATASET, lambda d: d.edits(None, 9))
    assert (edit.action, edit.batch, edit.records, edit.position) == (
        "mixed",
        "a test",
        count,
        None,
    )
    assert change(drafts, lambda d: d.undo(ME)[2:]) == (count, 0)
    assert contents(drafts) == before and not record(drafts, 1).edited
    assert change(drafts, lambda d: d.redo(ME)[2:]) == (count, 0)
    assert contents(drafts) == after and record(drafts, 1).edited
    query = RecordQuery(search="new", duplicates=False, edited=True)
    assert drafts.read_now(DATASET, lambda d: d.page(query))[1] == len(after)


def test_undoing_a_batch_leaves_what_others_changed_since(drafts: Drafts) -> None:
    fill(drafts, 6)
    edits = [RecordEdit(at, text("same")) for at in range(1, 5)]
    change(drafts, lambda d: d.change_many(edits, ME, "a test"))
    change(drafts, lambda d: d.replace(2, text("theirs"), OTHER))
    assert change(drafts, lambda d: d.undo(ME)[2:]) == (3, 1)
    assert contents(drafts) == {1: "w1", 2: "theirs", 3: "w3", 4: "w4", 5: "w5", 6: "w6"}
    query = RecordQuery(duplicates=True)
    assert drafts.read_now(DATASET, lambda d: d.page(query))[1] == 0
    change(drafts, lambda d: d.change_many([RecordEdit(1, text("x"))], ME, "a test"))
    change(drafts, lambda d: d.replace(1, text("theirs"), OTHER))
    with pytest.raises(RecordChangedError):
        change(drafts, lambda d: d.undo(ME))


def test_what_was_expected_decides(drafts: Drafts) -> None:
    fill(drafts, 3)
    seen = text("w1").record_id()
    edits = [RecordEdit(at, None, seen) for at in (1, 2)] + [RecordEdit(3, text("w3"))]
    assert change(drafts, lambda d: d.change_many(edits, ME, "a test"))[1:] == (1, 2)  # type: ignore[index]
    assert contents(drafts) == {2: "w2", 3: "w3"}
    nothing = change(drafts, lambda d: d.change_many([RecordEdit(9, None)], ME, "a test"))
    assert nothing == (None, 0, 1)


def test_an_edit_is_undone_by_name(drafts: Drafts) -> None:
    fill(drafts, 3)
    for at in (1, 2):
        change(drafts, lambda d, at=at: d.remove(at, ME))
    assert change(drafts, lambda d: d.undo(ME, 1)[1].position) == 1  # type: ignore[union-attr]
    for verb in (Draft.undo, Draft.redo):
        with pytest.raises(ConflictError):
            change(drafts, lambda d, verb=verb: verb(d, OTHER, 2))
        with pytest.raises(NotFoundError):
            change(drafts, lambda d, verb=verb: verb(d, ME, 99))


def test_a_record_comes_back_with_all_that_is_known_of_it(drafts: Drafts) -> None:
    fill(drafts, 4)

    def note(draft: Draft) -> None:
        draft.set_language([(1, "en"), (2, "de")])
        draft.set_flags([(1, 5)])
        draft.set_groups([(1, 1), (2, 1)])
        draft.split_many([(1, "test"), (9, "test")], ME, "a test")

    change(drafts, note)
    before = record(drafts, 1)
    assert (before.language, before.flags, before.group, before.split) == ("en", 5, 1, "test")
    change(drafts, lambda d: d.replace(1, text("new"), ME))
    now = record(drafts, 1)
    assert (now.language, now.flags, now.group, now.split) == (None, 0, None, "test")
    change(drafts, lambda d: d.undo(ME))
    assert record(drafts, 1).state == before.state
    change(drafts, lambda d: d.remove(1, OTHER))
    assert change(drafts, lambda d: d.restore(1, ME)).split == "test"  # type: ignore[attr-defined]
    change(drafts, lambda d: d.undo(ME))
    change(drafts, lambda d: d.undo(OTHER))
    change(drafts, lambda d: d.undo(ME))  # the split
    assert record(drafts, 1).split is None and record(drafts, 1).language == "en"
    change(drafts, Draft.clear_groups)
    assert record(drafts, 2).group is None


def test_what_is_forgotten_is_in_no_part_of_the_file(drafts: Drafts, tmp_path: Path) -> None:
    fill(drafts, 6)
    change(drafts, lambda d: d.replace(1, text("canary"), ME))
    change(drafts, lambda d: d.replace(1, text("clean"), ME))
    edits = [RecordEdit(at, text("canary")) for at in (2, 3)]
    batch = change(drafts, lambda d: d.change_many(edits, ME, "a test"))[0]  # type: ignore[index]
    edits = [RecordEdit(at, text(f"clean {at}")) for at in (2, 3)]
    change(drafts, lambda d: d.change_many(edits, ME, "a test"))
    assert change(drafts, lambda d: d.forget_record(1)) == 2
    assert change(drafts, lambda d: d.forget_record(2)) == 2
    change(drafts, lambda d: d.undo(ME))  # what is left of the newest batch
    assert contents(drafts)[3] == "canary"
    assert contents(drafts)[2] == "clean 2"
    change(drafts, lambda d: d.redo(ME))
    assert change(drafts, lambda d: d.forget_edit(batch)) == 1
    change(drafts, lambda d: d.forget_record(3))
    with pytest.raises(ConflictError):
        change(drafts, lambda d: d.undo(ME))
    for path in tmp_path.iterdir():
        assert b"canary" not in path.read_bytes(), path.name


def test_forgetting_an_edit_reaches_those_that_made_what_it_replaced(drafts: Drafts) -> None:
    fill(drafts, 3)
    change(drafts, lambda d: d.replace(1, text("secret"), OTHER))
    change(drafts, lambda d: d.replace(2, text("harmless"), OTHER))
    change(drafts, lambda d: d.split_many([(1, "test")], OTHER, "a test"))
    edits = [RecordEdit(1, text("hidden"))]
    batch = change(drafts, lambda d: d.change_many(edits, ME, "a test"))[0]  # type: ignore[index]
    change(drafts, lambda d: d.replace(1, text("later"), ME))
    assert change(drafts, lambda d: d.forget_edit(batch)) == 2
    left = drafts.read_now(DATASET, lambda d: [(e.before, e.after) for e in d.edits(None, 9)])
    assert "secret" not in str(left) and "harmless" in str(left) and "later" in str(left)
    change(drafts, lambda d: d.undo(OTHER))  # the split, which tells nothing
    assert record(drafts, 1).split is None


def test_a_file_takes_its_part_of_a_batch_along(drafts: Drafts) -> None:
    fill(drafts, 6)
    edits = [RecordEdit(at, None) for at in range(1, 7)]
    change(drafts, lambda d: d.change_many(edits, ME, "a test"))
    change(drafts, lambda d: d.remove_file("fi_x"))
    assert change(drafts, lambda d: d.undo(ME)[2]) == 3
    assert contents(drafts) == {4: "w4", 5: "w5", 6: "w6"}


def test_the_log_keeps_so_many_bytes(drafts: Drafts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adaptery_hub.drafts.edits.BYTES_KEPT", 300)
    fill(drafts, 6)
    for at in (1, 2, 3, 4):
        change(drafts, lambda d, at=at: d.remove(at, ME))
    assert 0 < len(drafts.read_now(DATASET, lambda d: d.edits(None, 9))) < 4
    edits = [RecordEdit(at, text(random.Random(at).randbytes(400).hex())) for at in (5, 6)]
    with pytest.raises(TooLargeError):
        change(drafts, lambda d: d.change_many(edits, ME, "a test"))
    assert contents(drafts) == {5: "w5", 6: "w6"}


async def test_words_are_found_by_field(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path / "more", max_records=10)
    await drafts.create(DATASET)
    chat = {
        "kind": "preference",
        "tools": [{"name": "thermometer"}],
        "messages": [
            {"role": "system", "content": "A nurse."},
            {"role": "user", "content": "A cough?"},
        ],
        "chosen": {"role": "assistant", "content": "Rest."},
        "rejected": {"role": "assistant", "content": "Run."},
    }
    await drafts.write(DATASET, lambda d: d.add(Record.from_dict(chat), ME))
    for word, field in {
        "nurse": "system",
        "cough": "user",
        "rest": "chosen",
        "run": "rejected",
        "thermo": "tools",
    }.items():
        for other in ("system", "user", "assistant", "chosen", "rejected", "tools", "text"):
            query = RecordQuery(search=word, field=other)  # type: ignore[arg-type]
            _, total = await drafts.read(DATASET, lambda d, query=query: d.page(query))
            assert total == (other == field)
    drafts.close()
