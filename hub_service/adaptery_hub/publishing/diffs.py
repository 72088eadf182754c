"""What changed from one version to another: records, and within a changed record words.

The sorted ids of both versions say which records went and which came. Of those, two are one changed
record if they have the same prompt, or if they stand in the same place and have words in common.
The records themselves are read only where they are shown.

Memory: some hundred bytes for each record that went or came, none for those that stayed.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
import zlib
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from heapq import nsmallest
from pathlib import Path
from typing import Literal

from adaptery.files import write_atomic
from adaptery.schemas.common import JsonObject
from adaptery.schemas.lineage import DiffCounts, FieldDiff, WordPiece
from adaptery_hub.objects.encryption import Readable
from adaptery_hub.publishing import indexes
from adaptery_hub.publishing.folders import Report
from adaptery_hub.publishing.shards import Row, read_rows

Change = Literal["added", "removed", "changed"]

_CHANGES: tuple[Change, ...] = ("added", "removed", "changed")
_HEAD = struct.Struct(">4Q")  # added, removed, changed, same
_ITEM = struct.Struct(">BII")  # change, position before, position after; 0: none
#: Words of a record that are compared with those of another in the same place.
_SKETCH_WORDS = 16
#: Of them, how many two versions of one record must share.
_SKETCH_SHARED = 4
#: Words of one field, and of the fields of one page, that are compared; more takes too long.
FIELD_WORDS = 3_000
PAGE_WORDS = 60_000
_WORD = re.compile(r"\S+\s*|\s+")
REPORT_EVERY = 10_000


@dataclass(frozen=True)
class Side:
    """One of the two versions, as files that can be read."""

    index: Readable
    shards: Mapping[str, Readable]


@dataclass(frozen=True)
class Item:
    """One record that differs; positions begin at 1."""

    change: Change
    before: int | None
    after: int | None


@dataclass(frozen=True)
class _Trace:
    """A record that went or came, without its text."""

    position: int
    prompt: bytes
    place: bytes  # the record before it that stayed
    sketch: frozenset[int]


def compare(report: Report, before: Side, after: Side, target: Path) -> None:
    """Write what differs to a file, for `counts` and `items`."""
    removed, added, same = _unshared(before.index, after.index)
    report(1, 4)
    if removed and added:
        went, came = list(_traces(before, removed)), list(_traces(after, added))
        report(2, 4)
        changed = _pair(went, came)
    else:
        changed = {}
    report(3, 4)
    came_from = {new: old for old, new in changed.items()}
    items = [
        *((("changed", came_from[n], n) if n in came_from else ("added", 0, n)) for n in added),
        *(("removed", n, 0) for n in removed if n not in changed),
    ]
    # In the order of reading: by the place in the newer version, what went by its place in the
    # older one.
    items.sort(key=lambda item: (item[2] or item[1], item[2] == 0))
    pairs = len(changed)
    head = _HEAD.pack(len(added) - pairs, len(removed) - pairs, pairs, same)
    packed = b"".join(_ITEM.pack(_CHANGES.index(c), old, new) for c, old, new in items)
    write_atomic(target, head + packed)


def counts(path: Path) -> DiffCounts:
    """Return how many records differ."""
    with path.open("rb") as stream:
        added, removed, changed, same = _HEAD.unpack(stream.read(_HEAD.size))
    return DiffCounts(added=added, removed=removed, changed=changed, same=same)


def items(path: Path, after: int, limit: int) -> list[Item]:
    """Return up to `limit` items behind the first `after`."""
    with path.open("rb") as stream:
        stream.seek(_HEAD.size + after * _ITEM.size)
        data = stream.read(limit * _ITEM.size)
    return [
        Item(_CHANGES[change], old or None, new or None)
        for change, old, new in _ITEM.iter_unpack(data[: len(data) // _ITEM.size * _ITEM.size])
    ]


class WordBudget:
    """Compares fields word by word, as long as it does not take too long."""

    def __init__(self, words: int = PAGE_WORDS) -> None:
        self._left = words

    def fields(self, before: JsonObject, after: JsonObject) -> tuple[FieldDiff, ...] | None:
        """Return the fields that differ; None if they are too long to compare."""
        old, new = dict(_texts(before)), dict(_texts(after))
        found: list[FieldDiff] = []
        for where in dict.fromkeys([*old, *new]):
            if old.get(where) != new.get(where):
                pieces = self._pieces(old.get(where, ""), new.get(where, ""))
                if pieces is None:
                    return None
                found.append(FieldDiff(where=where, pieces=pieces))
        return tuple(found)

    def _pieces(self, old: str, new: str) -> tuple[WordPiece, ...] | None:
        before, after = _WORD.findall(old), _WORD.findall(new)
        longest = max(len(before), len(after))
        if longest > FIELD_WORDS or longest > self._left:
            return None
        self._left -= longest
        pieces: list[WordPiece] = []
        # Words that are everywhere are not matched one by one (autojunk): that bounds the time.
        for kind, i1, i2, j1, j2 in SequenceMatcher(None, before, after).get_opcodes():
            if kind == "equal":
                pieces.append(WordPiece(change="same", text="".join(before[i1:i2])))
                continue
            if i1 < i2:
                pieces.append(WordPiece(change="removed", text="".join(before[i1:i2])))
            if j1 < j2:
                pieces.append(WordPiece(change="added", text="".join(after[j1:j2])))
        return tuple(pieces)


def _unshared(before: Readable, after: Readable) -> tuple[list[int], list[int], int]:
    """Return the positions of what went and what came, in order, and how many stayed."""
    removed: list[int] = []
    added: list[int] = []
    same = 0
    with indexes.opened_index(before) as old, indexes.opened_index(after) as new:
        left, right = old.entries(), new.entries()
        one, other = next(left, None), next(right, None)
        while one is not None or other is not None:
            old_id = None if one is None else indexes.id_of(one)
            new_id = None if other is None else indexes.id_of(other)
            if old_id == new_id:
                same += 1
                one, other = next(left, None), next(right, None)
            elif new_id is None or (old_id is not None and old_id < new_id):
                assert one is not None
                removed.append(indexes.position_of(one))
                one = next(left, None)
            else:
                assert other is not None
                added.append(indexes.position_of(other))
                other = next(right, None)
    return sorted(removed), sorted(added), same


def _traces(side: Side, positions: list[int]) -> Iterator[_Trace]:
    wanted = iter(positions)
    due = next(wanted, None)
    place = b""
    for row in read_rows(list(side.shards), side.shards.__getitem__, 0):
        if due is None:
            return
        if row.position == due:
            yield _trace(row, place)
            due = next(wanted, None)
        else:
            place = bytes.fromhex(row.record_id[-32:])


def _trace(row: Row, place: bytes) -> _Trace:
    plain = json.loads(row.text)
    asked = [
        (message["role"], message["content"])
        for message in plain.get("messages", [])
        if message["role"] in ("system", "user")
    ]
    # A text has no prompt: it is known by its place only.
    prompt = _short(json.dumps([plain["kind"], asked])) if asked else b""
    words = {zlib.crc32(word.encode()) for text in _values(plain) for word in text.split()}
    return _Trace(row.position, prompt, place, frozenset(nsmallest(_SKETCH_WORDS, words)))


def _pair(went: list[_Trace], came: list[_Trace]) -> dict[int, int]:
    """Return which record became which: by prompt first, then by place."""
    pairs: dict[int, int] = {}
    by_prompt: defaultdict[bytes, deque[_Trace]] = defaultdict(deque)
    for trace in went:
        if trace.prompt:
            by_prompt[trace.prompt].append(trace)
    rest: list[_Trace] = []
    for trace in came:
        candidates = by_prompt.get(trace.prompt)
        if trace.prompt and candidates:
            pairs[candidates.popleft().position] = trace.position
        else:
            rest.append(trace)
    by_place: defaultdict[bytes, deque[_Trace]] = defaultdict(deque)
    for trace in went:
        if trace.position not in pairs:
            by_place[trace.place].append(trace)
    for trace in rest:
        here = by_place.get(trace.place)
        if here and _alike(here[0], trace):
            pairs[here.popleft().position] = trace.position
    return pairs


def _alike(one: _Trace, other: _Trace) -> bool:
    fewest = min(len(one.sketch), len(other.sketch), _SKETCH_SHARED)
    return len(one.sketch & other.sketch) >= max(1, fewest)


def _short(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:16]


def _values(value: object) -> Iterator[str]:
    return (text for _, text in _texts(value))


def _texts(value: object, where: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text and number below a record with the path of its field."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _texts(item, f"{where}.{name}" if where else str(name))
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _texts(item, f"{where}[{number}]")
    elif isinstance(value, str):
        yield where, value
    else:
        yield where, json.dumps(value)
