"""Other drafts and versions that a step reads: what they hold, in one form.

A filter means the same for a version as for a draft: its records are put into drafts in memory,
block by block, and asked there.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal, cast

from adaptery.records import Record
from adaptery.schemas.curation import RecordFilter
from adaptery_hub.drafts import Draft, RecordQuery, in_memory, opened
from adaptery_hub.objects.encryption import Readable
from adaptery_hub.publishing.shards import Row, read_rows

#: Records of a version that are filtered at once.
BLOCK_RECORDS = 1000

#: Fields of a filter that say nothing about the records of a version.
DRAFT_ONLY = ("file", "edited", "duplicates", "language", "flag", "group", "near_duplicates")


@dataclass(frozen=True)
class Origin:
    """A draft or a version to read, from any process."""

    id: str
    kind: Literal["dataset", "version"]
    name: str  # its full name
    records: int  # about how many
    max_records: int
    draft: Path | None = None  # of a dataset
    digest: str | None = None  # of the content of a version
    shards: Mapping[str, Readable] = field(default_factory=dict[str, Readable], repr=False)

    @contextmanager
    def opened(self) -> Iterator[OriginReader]:
        """Open it, to read one snapshot.

        Raises:
            NotFoundError: the draft is gone.
        """
        if self.draft is None:
            yield _VersionReader(self.shards)
            return
        with opened(self.draft, self.max_records) as draft:
            yield _DraftReader(draft)


class OriginReader:
    """Reads one snapshot of a draft or version."""

    def rows(self, wanted: RecordFilter | None = None) -> Iterator[Row]:
        """Yield the records that a filter lets through, or all, in order.

        Raises:
            InvalidInputError: the search of the filter holds no word, or too many.
        """
        raise NotImplementedError


class _DraftReader(OriginReader):
    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def rows(self, wanted: RecordFilter | None = None) -> Iterator[Row]:
        query = None if wanted is None else RecordQuery.of(wanted)
        for row in self._draft.iterate(("position", "record_id", "record", "split"), query):
            yield Row(*cast("tuple[int, str, str, None]", row))


class _VersionReader(OriginReader):
    def __init__(self, shards: Mapping[str, Readable]) -> None:
        self._shards = shards

    def rows(self, wanted: RecordFilter | None = None) -> Iterator[Row]:
        rows = read_rows(sorted(self._shards), self._shards.__getitem__, 0)
        if wanted is None:
            yield from rows
            return
        while block := list(islice(rows, BLOCK_RECORDS)):
            yield from _passing(block, wanted)


def _passing(block: list[Row], wanted: RecordFilter) -> Iterator[Row]:
    """Yield the rows of a block that a filter lets through."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        draft = in_memory(connection, len(block))
        draft.import_records((Record.from_dict(json.loads(row.text)) for row in block), "block")
        draft.set_splits((at, row.split) for at, row in enumerate(block, start=1))
        for position in draft.positions(RecordQuery.of(wanted)):
            yield block[position - 1]
