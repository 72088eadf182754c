"""Which record ids a version holds: 37 bytes for each record, sorted by id.

So "does this version hold that record?" reads a few pages of a file, and two versions are compared
by walking through two files, in memory that does not grow with them.

An entry is the SHA-256 of the id (32 bytes), the position (4, big-endian) and the split (1).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, get_args

from adaptery.errors import IntegrityError
from adaptery.schemas.lineage import Split
from adaptery_hub.objects.encryption import Readable
from adaptery_hub.publishing.shards import Row

INDEX_NAME = "index/record-ids.bin"
ENTRY_BYTES: Final = 37
_ID_BYTES: Final = 32
_PREFIX = "sha256:"
_SPLITS: Final[tuple[Split | None, ...]] = (None, *get_args(Split))


@dataclass(frozen=True)
class Entry:
    """One record of an index."""

    record_id: str
    position: int
    split: Split | None


def split_code(split: Split | None) -> int:
    """Return a split as the number that stands for it."""
    return _SPLITS.index(split)


def pack(row: Row) -> bytes:
    """Return the entry of a record."""
    digest = bytes.fromhex(row.record_id.removeprefix(_PREFIX))
    return digest + row.position.to_bytes(4, "big") + bytes([split_code(row.split)])


def write_index(path: Path, entries: list[bytes]) -> None:
    """Write entries, in whatever order they come."""
    entries.sort()
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with path.open("xb") as stream:
        for start in range(0, len(entries), 4096):
            stream.write(b"".join(entries[start : start + 4096]))


def build_index(path: Path, rows: Iterable[Row]) -> None:
    """Write the index of a version that has none."""
    write_index(path, [pack(row) for row in rows])


class Index:
    """An open index."""

    def __init__(self, data: mmap.mmap | bytes) -> None:
        self._data = data

    def __len__(self) -> int:
        return len(self._data) // ENTRY_BYTES

    def find(self, record_id: str) -> Entry | None:
        """Return the first place of a record, or None."""
        wanted = bytes.fromhex(record_id.removeprefix(_PREFIX))
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self._id(middle) < wanted:
                low = middle + 1
            else:
                high = middle
        if low == len(self) or self._id(low) != wanted:
            return None
        return _entry(self._data[low * ENTRY_BYTES : (low + 1) * ENTRY_BYTES])

    def entries(self) -> Iterator[bytes]:
        """Yield the packed entries in their order."""
        for start in range(0, len(self._data), ENTRY_BYTES):
            yield self._data[start : start + ENTRY_BYTES]

    def _id(self, number: int) -> bytes:
        start = number * ENTRY_BYTES
        return self._data[start : start + _ID_BYTES]


@contextmanager
def opened_index(path: Readable) -> Iterator[Index]:
    """Open an index; an encrypted one is held in memory.

    Raises:
        IntegrityError: it is cut.
    """
    if not isinstance(path, Path):
        with path.open() as stream:
            yield _whole(stream.read())
        return
    size = path.stat().st_size
    if size % ENTRY_BYTES:
        raise IntegrityError("The index of a version is cut.")
    if size == 0:
        yield Index(b"")
        return
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield Index(data)


def _whole(data: bytes) -> Index:
    if len(data) % ENTRY_BYTES:
        raise IntegrityError("The index of a version is cut.")
    return Index(data)


def position_of(entry: bytes) -> int:
    """Return the position of a packed entry."""
    return int.from_bytes(entry[_ID_BYTES : _ID_BYTES + 4], "big")


def id_of(entry: bytes) -> bytes:
    """Return the digest of a packed entry."""
    return entry[:_ID_BYTES]


def _entry(packed: bytes) -> Entry:
    return Entry(
        _PREFIX + packed[:_ID_BYTES].hex(), position_of(packed), _SPLITS[packed[ENTRY_BYTES - 1]]
    )
