"""What a recipe makes of its sources: the same records every time, each once."""

import json
from pathlib import Path

import pytest

from adaptery.errors import InvalidInputError, RecordError
from adaptery.records import Message, Record
from adaptery.schemas.lineage import MergeFilter, Split
from adaptery_hub.publishing.merging import Merge, Merged, Source, write_merged_shards
from adaptery_hub.publishing.shards import Row, ShardWriter, dump, read_rows


def chat(text: str) -> Record:
    return Record.chat([Message("user", text), Message("assistant", f"About {text}.")])


def kto(text: str, label: bool) -> Record:
    messages = [{"role": "user", "content": text}, {"role": "assistant", "content": "Yes."}]
    return Record.from_dict({"kind": "kto", "messages": messages, "label": label})


def source(
    root: Path,
    records: list[Record],
    *,
    share: float = 1,
    sample: int | None = None,
    seed: int = 0,
    wanted: MergeFilter | None = None,
    split: Split | None = None,
) -> Source:
    folder = root / f"source-{len(list(root.iterdir()))}"
    folder.mkdir()
    with ShardWriter(folder, 7) as shards:
        for n, record in enumerate(records, start=1):
            shards.add(Row(n, record.record_id(), dump(record.to_dict()), split), record.kind)
    paths = {p.relative_to(folder).as_posix(): p for p in sorted(folder.rglob("*.parquet"))}
    return Source(len(records), paths, share, sample, seed, wanted)


def merged(*sources: Source, kind: str | None = None) -> tuple[Merge, list[Merged]]:
    merge = Merge(sources, kind)  # type: ignore[arg-type]
    return merge, list(merge.records(lambda done, total: None))


def texts(found: list[Merged]) -> list[str]:
    return [json.loads(one.row.text)["messages"][0]["content"] for one in found]


def test_sources_come_in_their_order_and_a_record_once(tmp_path: Path) -> None:
    one = source(tmp_path, [chat("a"), chat("b")])
    two = source(tmp_path, [chat("c"), chat("a"), chat("d")], split="test")
    merge, found = merged(one, two)
    assert texts(found) == ["a", "b", "c", "d"]
    assert [one.row.position for one in found] == [1, 2, 3, 4]
    assert [one.row.split for one in found] == [None, None, "test", "test"]
    assert (merge.duplicates, merge.taken) == (1, [2, 2])


def test_a_share_and_a_sample_are_drawn_by_the_seed(tmp_path: Path) -> None:
    records = [chat(f"n{n}") for n in range(40)]
    half = texts(merged(source(tmp_path, records, share=0.5, seed=1))[1])
    again = texts(merged(source(tmp_path, records, share=0.5, seed=1))[1])
    other = texts(merged(source(tmp_path, records, share=0.5, seed=2))[1])
    assert half == again != other and len(half) == len(other) == 20
    assert half == sorted(half, key=lambda text: int(text[1:]))  # in their order
    few = texts(merged(source(tmp_path, records, share=0.5, sample=5, seed=1))[1])
    assert len(few) == 5 and set(few) <= set(half)
    backwards = texts(merged(source(tmp_path, records[::-1], share=0.5, seed=1))[1])
    assert set(backwards) == set(half)  # what is drawn does not depend on the order


def test_only_what_the_filter_lets_through_is_drawn_from(tmp_path: Path) -> None:
    records = [chat(f"n{n}") for n in range(10)] + [Record.of_text("a long text indeed")]
    wanted = MergeFilter(kind="chat", max_length=100, min_length=2)
    _, found = merged(source(tmp_path, records, sample=4, wanted=wanted))
    assert len(found) == 4 and {one.kind for one in found} == {"chat"}
    for nothing in (MergeFilter(min_length=1000), MergeFilter(split="train")):
        assert merged(source(tmp_path, records, wanted=nothing))[1] == []


def test_kinds_that_go_together_need_no_translation(tmp_path: Path) -> None:
    one = source(tmp_path, [chat("a"), Record.of_text("b")])
    assert len(merged(one)[1]) == 2
    two = source(tmp_path, [kto("c", True)])
    with pytest.raises(InvalidInputError):
        merged(one, two)


def test_what_a_translation_leaves_out_is_counted(tmp_path: Path) -> None:
    one = source(tmp_path, [chat("a")])
    two = source(tmp_path, [kto("b", True), kto("c", False)])
    merge, found = merged(one, two, kind="chat")
    assert texts(found) == ["a", "b"]
    assert merge.dropped == {"labels": 1, "records that cannot become chat": 1}
    for made in found:
        record = Record.from_dict(json.loads(made.row.text))
        assert record.record_id() == made.row.record_id
    with pytest.raises(RecordError):
        merged(one, kind="kto")


def test_shards_are_the_same_however_often_they_are_made(tmp_path: Path) -> None:
    sources = (
        source(tmp_path, [chat(f"n{n}") for n in range(30)], share=0.7),
        source(tmp_path, [chat(f"n{n}") for n in range(20, 50)], split="train"),
    )
    digests = set()
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        recipe = {"recipe_version": 1}
        digests.add(write_merged_shards(lambda d, t: None, folder, sources, None, recipe, 10))
        paths = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.parquet"))
        rows = list(read_rows(paths, folder.__truediv__, 0))
        assert [row.position for row in rows] == list(range(1, len(rows) + 1))
    assert len(digests) == 1
    for path in (tmp_path / "one").rglob("*.parquet"):
        assert path.read_bytes() == (tmp_path / "two" / "data" / path.name).read_bytes()
