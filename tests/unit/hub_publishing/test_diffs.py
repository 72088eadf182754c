"""What changed between two versions: every record is told of once, and words add up."""

import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from adaptery.records import Message, Record
from adaptery_hub.publishing import indexes
from adaptery_hub.publishing.diffs import Item, Side, WordBudget, compare, counts, items
from adaptery_hub.publishing.shards import Row, ShardWriter, dump
from support.examples import examples


def chat(question: str, answer: str) -> Record:
    return Record.chat([Message("user", question), Message("assistant", answer)])


def side(root: Path, records: list[Record]) -> Side:
    folder = root / f"side-{len(list(root.iterdir()))}"
    folder.mkdir()
    rows = [
        Row(n, record.record_id(), dump(record.to_dict()))
        for n, record in enumerate(records, start=1)
    ]
    with ShardWriter(folder, 5) as shards:
        for row in rows:
            shards.add(row, "chat")
    indexes.build_index(folder / indexes.INDEX_NAME, rows)
    paths = {p.relative_to(folder).as_posix(): p for p in sorted(folder.rglob("*.parquet"))}
    return Side(folder / indexes.INDEX_NAME, paths)


def difference(root: Path, before: list[Record], after: list[Record]) -> tuple[Path, list[Item]]:
    target = root / f"diff-{len(list(root.iterdir()))}"
    compare(lambda done, total: None, side(root, before), side(root, after), target)
    return target, items(target, 0, 10_000)


def test_same_prompt_or_same_place_is_one_record_that_changed(tmp_path: Path) -> None:
    fine = "It is fine and well today."
    before = [chat("Why?", "Because."), chat("How is it?", fine), chat("X?", "x")]
    after = [
        chat("How was it?", fine),  # in the place of the first
        chat("Why?", "No reason."),
        chat("Entirely new", "other"),
    ]
    _, found = difference(tmp_path, before, after)
    assert Item("changed", 1, 2) in found
    assert Item("changed", 2, 1) in found or Item("added", None, 1) in found
    assert Item("removed", 3, None) in found and Item("added", None, 3) in found


def test_unlike_records_in_the_same_place_did_not_change(tmp_path: Path) -> None:
    same = chat("Same?", "Same.")
    before, after = [same, chat("apples pears", "plums")], [same, chat("iron zinc", "lead")]
    path, found = difference(tmp_path, before, after)
    assert found == [Item("removed", 2, None), Item("added", None, 2)] or found == [
        Item("added", None, 2),
        Item("removed", 2, None),
    ]
    assert counts(path).model_dump() == {"added": 1, "removed": 1, "changed": 0, "same": 1}


RECORDS = [chat(f"Question {n % 7}?", f"Answer {n} of some words.") for n in range(20)]


@settings(max_examples=examples(25), deadline=None)
@given(
    st.lists(st.sampled_from(RECORDS), unique_by=lambda r: r.record_id()),
    st.lists(st.sampled_from(RECORDS), unique_by=lambda r: r.record_id()),
)
def test_every_record_is_told_of_once(
    tmp_path_factory, before: list[Record], after: list[Record]
) -> None:
    path, found = difference(tmp_path_factory.mktemp("diff"), before, after)
    told = counts(path)
    old = [item.before for item in found if item.before is not None]
    new = [item.after for item in found if item.after is not None]
    stayed = {r.record_id() for r in before} & {r.record_id() for r in after}
    assert sorted(old) == [n for n, r in enumerate(before, 1) if r.record_id() not in stayed]
    assert sorted(new) == [n for n, r in enumerate(after, 1) if r.record_id() not in stayed]
    assert (told.same, told.added + told.removed + told.changed) == (len(stayed), len(found))
    assert [items(path, n, 1)[0] for n in range(len(found))] == found


@given(st.text(max_size=60), st.text(max_size=60))
def test_pieces_of_words_add_up_to_both_texts(old: str, new: str) -> None:
    fields = WordBudget().fields({"text": old}, {"text": new})
    assert fields is not None
    if old == new:
        assert fields == ()
        return
    pieces = fields[0].pieces
    assert "".join(p.text for p in pieces if p.change != "added") == old
    assert "".join(p.text for p in pieces if p.change != "removed") == new


def test_what_is_too_long_is_not_compared_word_by_word() -> None:
    long = {"text": "word " * 5_000}
    assert WordBudget().fields(long, {"text": "word"}) is None
    budget = WordBudget(words=10)
    short = ({"text": "one two three four five six"}, {"text": "one two"})
    assert budget.fields(*short) is not None
    assert budget.fields(*short) is None  # the page has had its share


def test_fields_are_named_by_their_path() -> None:
    before = {"messages": [{"role": "user", "content": "a"}], "label": True}
    after = json.loads(json.dumps(before))
    after["messages"][0]["content"] = "b"
    after["label"] = False
    fields = WordBudget().fields(before, after)
    assert fields is not None
    assert [field.where for field in fields] == ["messages[0].content", "label"]
