"""Parquet shards of a version: written one record at a time, read back in the order of the version.

`data/train-00000.parquet`, `data/train-00001.parquet`, `data/test-00000.parquet`, ...; without
splits `data/all-00000.parquet`. Versions of the first release have `data-00000.parquet` at the top,
without positions.

Invariants:

- A shard holds records of one split, with rising positions; all shards together hold each position
  once. So the order of a version does not depend on how it was split.
- Writer and reader hold one row group of each split in memory.
"""

from __future__ import annotations

import heapq
import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from adaptery.manifests import WHOLE, is_shard, split_of
from adaptery.schemas.lineage import Split
from adaptery_hub.objects.encryption import Readable

__all__ = ["WHOLE", "Row", "ShardWriter", "dump", "is_shard", "read_at", "read_rows", "split_of"]

#: Rows of one Parquet row group: what a reader of one page has to decompress.
ROW_GROUP_RECORDS = 1000
#: Characters of the records of one row group: readers and the writer hold a whole one in memory.
ROW_GROUP_LENGTH = 8 * 1024 * 1024
DATA = "data"
SUFFIX = ".parquet"
SCHEMA = pa.schema(
    [
        ("position", pa.int64()),
        ("record_id", pa.string()),
        ("kind", pa.string()),
        ("record", pa.string()),
    ]
)


@dataclass(frozen=True)
class Row:
    """One record as a shard holds it; positions begin at 1."""

    position: int
    record_id: str
    text: str  # the record as JSON
    split: Split | None = None


def dump(record: object) -> str:
    """Return a record as the JSON that a shard keeps."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))


class ShardWriter:
    """Writes the records of a version below one folder."""

    def __init__(
        self, folder: Path, shard_records: int, group_length: int = ROW_GROUP_LENGTH
    ) -> None:
        """Take where to write.

        Args:
            folder: of the version.
            shard_records: of one file.
            group_length: characters of a row group; the last record may go beyond.
        """
        self._folder = folder / DATA
        self._folder.mkdir(mode=0o700)
        self._shard_records = shard_records
        self._group_length = group_length
        self._splits: dict[str, _SplitWriter] = {}

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, *_: object) -> None:
        for writer in self._splits.values():
            writer.close()

    def add(self, row: Row, kind: str) -> None:
        """Write the next record."""
        split = row.split or WHOLE
        if split not in self._splits:
            self._splits[split] = _SplitWriter(
                self._folder, split, self._shard_records, self._group_length
            )
        self._splits[split].add(row, kind)


class _SplitWriter:
    def __init__(self, folder: Path, split: str, shard_records: int, group_length: int) -> None:
        self._group_length = group_length
        self._folder = folder
        self._split = split
        self._shard_records = shard_records
        self._writer: pq.ParquetWriter | None = None
        self._columns: tuple[list[Any], ...] = ([], [], [], [])
        self._length = 0
        self._in_shard = 0
        self._shards = 0

    def add(self, row: Row, kind: str) -> None:
        for column, value in zip(
            self._columns, (row.position, row.record_id, kind, row.text), strict=True
        ):
            column.append(value)
        self._length += len(row.text)
        self._in_shard += 1
        full = len(self._columns[0]) == ROW_GROUP_RECORDS or self._length > self._group_length
        if full or self._in_shard == self._shard_records:
            self._flush()
        if self._in_shard == self._shard_records:
            self._end_shard()

    def close(self) -> None:
        self._flush()
        self._end_shard()

    def _flush(self) -> None:
        if not self._columns[0]:
            return
        if self._writer is None:
            path = self._folder / f"{self._split}-{self._shards:05d}{SUFFIX}"
            self._writer = pq.ParquetWriter(path, SCHEMA, compression="zstd")
            self._shards += 1
        self._writer.write_table(pa.table(list(self._columns), schema=SCHEMA))
        self._columns, self._length = ([], [], [], []), 0

    def _end_shard(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._in_shard = 0


def read_rows(
    paths: Sequence[str], open_path: Callable[[str], Readable], after: int
) -> Iterator[Row]:
    """Yield the records of a version behind position `after`, in order.

    Args:
        paths: the shards, as the manifest names them.
        open_path: where each of them can be read.
        after: the last position that is not wanted.
    """
    splits: dict[str, list[str]] = {}
    for path in paths:
        splits.setdefault(split_of(path), []).append(path)
    streams = [_read_split(names, open_path, after) for names in splits.values()]
    if len(streams) == 1:
        return streams[0]
    return heapq.merge(*streams, key=lambda row: row.position)


def _read_split(
    paths: Iterable[str], open_path: Callable[[str], Readable], after: int
) -> Iterator[Row]:
    for group in _groups(paths, open_path):
        if group.last > after:
            yield from (row for row in group.read() if row.position > after)


@dataclass(frozen=True)
class _Group:
    """One row group of an open shard."""

    shard: pq.ParquetFile
    number: int
    first: int
    last: int  # at most: positions of other splits may lie between
    has_positions: bool
    split: Split | None

    def read(self) -> Iterator[Row]:
        columns = ["record_id", "record", *(["position"] if self.has_positions else [])]
        table = self.shard.read_row_group(self.number, columns=columns)
        ids, texts = (table.column(name).to_pylist() for name in ("record_id", "record"))
        positions = (
            table.column("position").to_pylist()
            if self.has_positions
            else range(self.first, self.last + 1)
        )
        for position, record_id, text in zip(positions, ids, texts, strict=True):
            yield Row(position, record_id, text, self.split)


def _groups(paths: Iterable[str], open_path: Callable[[str], Readable]) -> Iterator[_Group]:
    """Yield the row groups of the shards of one split, each while its shard is open."""
    passed = 0
    for path in paths:
        split = split_of(path)
        named = None if split == WHOLE else cast("Split", split)
        with _opened(open_path(path)) as shard:
            has_positions = "position" in shard.schema_arrow.names
            for number in range(shard.num_row_groups):
                rows = shard.metadata.row_group(number)
                first, last = passed + 1, passed + rows.num_rows
                if has_positions:
                    statistics = rows.column(0).statistics
                    first, last = int(statistics.min), int(statistics.max)
                yield _Group(shard, number, first, last, has_positions, named)
                passed += rows.num_rows


@contextmanager
def _opened(source: Readable) -> Iterator[pq.ParquetFile]:
    if isinstance(source, Path):
        with pq.ParquetFile(source) as shard:
            yield shard
        return
    with source.open() as stream, pq.ParquetFile(stream) as shard:
        yield shard


def read_at(
    paths: Sequence[str], open_path: Callable[[str], Readable], positions: Collection[int]
) -> dict[int, Row]:
    """Return the records at some positions; only the row groups that hold them are read."""
    wanted, found = sorted(set(positions)), dict[int, Row]()
    splits: dict[str, list[str]] = {}
    for path in paths:
        splits.setdefault(split_of(path), []).append(path)
    for names in splits.values():
        for group in _groups(names, open_path):
            here = wanted[bisect_left(wanted, group.first) : bisect_right(wanted, group.last)]
            if here:
                known = set(here)
                found.update((row.position, row) for row in group.read() if row.position in known)
    return found
