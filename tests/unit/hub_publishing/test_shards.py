"""Records as Parquet: in order, whatever the splits; read in pieces."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adaptery.digests import sha256_bytes
from adaptery_hub.publishing import indexes
from adaptery_hub.publishing.shards import Row, ShardWriter, is_shard, read_at, read_rows, split_of

SPLITS = ("train", "train", "test", "train", "validation", None)


def rows(count: int, split: bool = True) -> list[Row]:
    return [
        Row(n, sha256_bytes(str(n).encode()), f'{{"n":{n}}}', SPLITS[n % 6] if split else None)
        for n in range(1, count + 1)
    ]


def written(folder: Path, records: list[Row], shard: int = 50, group: int = 10**6) -> list[str]:
    with ShardWriter(folder, shard, group) as shards:
        for row in records:
            shards.add(row, "text")
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet"))


@pytest.mark.parametrize("split", [True, False])
def test_records_come_back_in_order(tmp_path: Path, split: bool) -> None:
    records = rows(500, split)
    paths = written(tmp_path, records)
    assert len(paths) > 9 and all(map(is_shard, paths))
    for after in (0, 1, 77, 499, 500):
        assert list(read_rows(paths, tmp_path.__truediv__, after)) == records[after:]


def test_records_are_found_by_position(tmp_path: Path) -> None:
    records = rows(500)
    paths = written(tmp_path, records)
    wanted = [1, 2, 250, 499, 500, 999]
    assert read_at(paths, tmp_path.__truediv__, wanted) == {n: records[n - 1] for n in wanted[:-1]}


def test_a_row_group_is_not_larger_than_memory(tmp_path: Path) -> None:
    (path,) = written(tmp_path, rows(12, split=False), group=30)
    metadata = pq.read_metadata(tmp_path / path)
    groups = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    assert sum(groups) == 12 and max(groups) <= 5


def test_shards_of_the_first_release_are_read(tmp_path: Path) -> None:
    records = rows(30, split=False)
    names = ["data-00000.parquet", "data-00001.parquet"]
    for name, part in zip(names, (records[:20], records[20:]), strict=True):
        columns = {"record_id": [r.record_id for r in part], "record": [r.text for r in part]}
        pq.write_table(pa.table(columns), tmp_path / name, row_group_size=7)
    assert list(read_rows(names, tmp_path.__truediv__, 0)) == records
    assert list(read_rows(names, tmp_path.__truediv__, 25)) == records[25:]
    assert read_at(names, tmp_path.__truediv__, [3, 21]) == {3: records[2], 21: records[20]}


@pytest.mark.parametrize("path", ["data/x-00000.parquet", "originals/data-00000.parquet", "a"])
def test_only_records_are_shards(path: str) -> None:
    assert not is_shard(path)
    assert split_of("data/test-00000.parquet") == "test"


def test_an_index_finds_records(tmp_path: Path) -> None:
    records = rows(1000)
    path = tmp_path / "index" / "ids.bin"
    indexes.write_index(path, [indexes.pack(row) for row in reversed(records)])
    with indexes.opened_index(path) as index:
        assert len(index) == 1000
        for row in records[::97]:
            entry = index.find(row.record_id)
            assert entry is not None
            assert (entry.record_id, entry.position, entry.split) == (
                row.record_id,
                row.position,
                row.split,
            )
        assert index.find(sha256_bytes(b"another")) is None
        packed = list(index.entries())
        assert packed == sorted(packed)


def test_an_empty_index_holds_nothing(tmp_path: Path) -> None:
    indexes.write_index(tmp_path / "index" / "ids.bin", [])
    with indexes.opened_index(tmp_path / "index" / "ids.bin") as index:
        assert index.find(sha256_bytes(b"x")) is None and list(index.entries()) == []
