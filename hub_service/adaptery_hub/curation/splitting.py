"""Which split each record of a draft gets.

Records with the same key stay together. Groups stand in the order of a seeded hash of their keys,
so the same records get the same splits, in whatever order they stand; test is filled first, then
validation, with every group that still fits; the others are for training. With many small groups
the proportions are exact but for rounding; a group that is larger than a split is never in it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from adaptery.schemas.curation import RECORD_FIELDS
from adaptery.schemas.lineage import Split
from adaptery_hub.curation.drawing import rank
from adaptery_hub.drafts import Column
from adaptery_hub.drafts.words import words_of

#: What `key_of` needs of a record.
COLUMNS: tuple[Column, ...] = (
    "position", "record_id", "file", "near_group", "split", "record",
)  # fmt: skip


def key_of(
    group_by: str | None, record_id: str, file: str | None, group: int | None, text: str
) -> str:
    """Return what a record has in common with those it stays together with.

    A record that lacks what it is grouped by stays together with its equals only.

    Args:
        group_by: as `SplitRequest.group_by`.
        record_id: of the record.
        file: the file it came from.
        group: its near-duplicates.
        text: the record as JSON.
    """
    common: str | None = None
    if group_by == "file":
        common = file
    elif group_by == "near_duplicates":
        common = None if group is None else str(group)
    elif group_by is not None:
        common = _said(group_by, json.loads(text))
    return f"id {record_id}" if common is None else f"{group_by} {common}"


def assign(
    keys: Sequence[str],
    validation: float,
    test: float,
    seed: int,
    kept: Sequence[Split | None] | None = None,
) -> tuple[list[Split], int]:
    """Return the split of each record, and how many groups there are.

    Args:
        keys: of the records.
        validation: share of the records.
        test: share of the records.
        seed: another one gives other splits.
        kept: splits that are not changed; a record of the same group gets the same one.
    """
    sizes = Counter(keys)
    held: dict[str, Split] = {}
    for key, split in zip(keys, kept or (), strict=False):
        if split is not None:
            held.setdefault(key, split)
    room: dict[Split, int] = {
        "test": round(len(keys) * test),
        "validation": round(len(keys) * validation),
    }
    for key, split in held.items():
        if split in room:
            room[split] -= sizes[key]
    given = dict(held)
    for key in sorted(sizes.keys() - held.keys(), key=lambda key: (rank(seed, key), key)):
        given[key] = _first_with_room(room, sizes[key])
    before = kept or [None] * len(keys)
    splits: list[Split] = [was or given[key] for key, was in zip(keys, before, strict=True)]
    return splits, len(sizes)


def _first_with_room(room: dict[Split, int], size: int) -> Split:
    for split, left in room.items():
        if size <= left:
            room[split] -= size
            return split
    return "train"


def _said(group_by: str, record: Mapping[str, Any]) -> str | None:
    if group_by in ("user", "system"):
        said = (m["content"] for m in record.get("messages", ()) if m["role"] == group_by)
        return next(said, None)
    field = group_by.removeprefix("field:")
    return words_of(record)[RECORD_FIELDS.index(field)]  # type: ignore[arg-type]
