"""What a recipe makes of its sources: pure of the service, for a process of its own.

Sources in order; of each, what its filter lets through; of that, the share of its weight, at most
`sample`; translated to the kind of the recipe; each record once, where it comes first.

Invariants:

- The same recipe over the same versions gives the same records in the same order: what is drawn
  depends on the seed and the record ids, on no library's random numbers.
- Kinds that no task learns from together are merged only by a translation that the recipe names.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from heapq import nsmallest
from pathlib import Path

from adaptery.canonical import canonical_json
from adaptery.digests import sha256_bytes
from adaptery.errors import FieldProblem, InvalidInputError, RecordError
from adaptery.formats import convert_kind
from adaptery.records import Kind, Record
from adaptery.schemas.common import JsonObject
from adaptery.schemas.lineage import MergeFilter
from adaptery_hub.drafts.words import length_of
from adaptery_hub.objects.encryption import Readable
from adaptery_hub.publishing.folders import ContentTally, Report
from adaptery_hub.publishing.shards import Row, ShardWriter, dump, read_rows

#: Kinds that one task learns from.
_TOGETHER: tuple[frozenset[str], ...] = (
    frozenset({"chat", "text"}),
    frozenset({"preference"}),
    frozenset({"kto"}),
)
REPORT_EVERY = 1_000


@dataclass(frozen=True)
class Source:
    """A version and what is taken of it."""

    records: int  # that it holds
    shards: Mapping[str, Readable]
    share: float  # of what the filter lets through
    sample: int | None
    seed: int
    filter: MergeFilter | None

    def rows(self) -> Iterator[Row]:
        """Yield all its records."""
        return read_rows(list(self.shards), self.shards.__getitem__, 0)


@dataclass(frozen=True)
class Merged:
    """One record of the result."""

    row: Row
    kind: str
    length: int


class Merge:
    """Merges sources; counts what it left out."""

    def __init__(self, sources: tuple[Source, ...], kind: Kind | None) -> None:
        self._sources = sources
        self._kind: Kind | None = kind
        self.duplicates = 0
        self.taken: list[int] = []
        self.dropped: Counter[str] = Counter()
        self._seen: set[bytes] = set()
        self._kinds: set[str] = set()

    def records(self, report: Report) -> Iterator[Merged]:
        """Yield the records of the merged version, positions from 1.

        Raises:
            InvalidInputError: kinds differ that do not go together.
        """
        total, passed, position = sum(source.records for source in self._sources), 0, 0
        for source in self._sources:
            before = position
            chosen = _draw(source)
            for row in source.rows():
                passed += 1
                if passed % REPORT_EVERY == 0:
                    report(passed, total)
                if chosen is not None and row.position not in chosen:
                    continue
                made = self._take(row, source.filter, position + 1)
                if made is not None:
                    position += 1
                    yield made
            self.taken.append(position - before)

    def _take(self, row: Row, wanted: MergeFilter | None, position: int) -> Merged | None:
        plain = json.loads(row.text)
        if not _passes(wanted, plain, row):
            return None
        text, record_id, kind = row.text, row.record_id, plain["kind"]
        if self._kind is not None and kind != self._kind:
            record = self._translated(plain, self._kind)
            if record is None:
                return None
            plain = record.to_dict()
            text, record_id, kind = dump(plain), record.record_id(), record.kind
        digest = bytes.fromhex(record_id.removeprefix("sha256:"))
        if digest in self._seen:
            self.duplicates += 1
            return None
        self._seen.add(digest)
        self._check_kind(kind)
        return Merged(Row(position, record_id, text, row.split), kind, length_of(plain))

    def _translated(self, plain: JsonObject, kind: Kind) -> Record | None:
        """Return a record as another kind; None, and counted, if it lacks what that needs."""
        try:
            converted = convert_kind(Record.from_dict(plain), kind)
        except RecordError as error:
            if any(problem.where == "kind" for problem in error.errors or ()):
                raise
            self.dropped[f"records that cannot become {kind}"] += 1
            return None
        self.dropped.update(converted.dropped)
        return converted.record

    def _check_kind(self, kind: str) -> None:
        if kind in self._kinds:
            return
        self._kinds.add(kind)
        if not any(self._kinds <= group for group in _TOGETHER):
            found = ", ".join(sorted(self._kinds))
            raise InvalidInputError(
                f"These records do not go together: {found}.",
                hint="Name a kind to translate them to, or filter by kind.",
                errors=[FieldProblem("kind", "is needed for these sources.", "Name one.")],
            )


def merged_digest(content: ContentTally, recipe: JsonObject) -> str:
    """Return the content digest of a merged version; see `adaptery.digests.content_digest`."""
    return sha256_bytes(canonical_json({"records": content.content_digest, "recipe": recipe}))


def write_merged_shards(
    report: Report,
    folder: Path,
    sources: tuple[Source, ...],
    kind: Kind | None,
    recipe: JsonObject,
    shard_records: int,
) -> str:
    """Write what a recipe comes to as shards below a folder; return its content digest."""
    content = ContentTally()
    with ShardWriter(folder, shard_records) as shards:
        for merged in Merge(sources, kind).records(report):
            content.add(merged.row)
            shards.add(merged.row, merged.kind)
    return merged_digest(content, recipe)


def _draw(source: Source) -> set[int] | None:
    """Return the positions that are drawn of a source; None for all that pass the filter."""
    if source.share >= 1 and source.sample is None:
        return None
    available = [
        (_lot(source.seed, row.record_id), row.position)
        for row in source.rows()
        if source.filter is None or _passes(source.filter, json.loads(row.text), row)
    ]
    count = round(len(available) * source.share)
    if source.sample is not None:
        count = min(count, source.sample)
    return {position for _, position in nsmallest(count, available)}


def _lot(seed: int, record_id: str) -> bytes:
    return hashlib.sha256(f"{seed}:{record_id}".encode()).digest()[:8]


def _passes(wanted: MergeFilter | None, plain: JsonObject, row: Row) -> bool:
    if wanted is None:
        return True
    if wanted.kind is not None and plain["kind"] != wanted.kind:
        return False
    if wanted.split is not None and row.split != wanted.split:
        return False
    if wanted.min_length is None and wanted.max_length is None:
        return True
    length = length_of(plain)
    return (wanted.min_length or 0) <= length and (
        wanted.max_length is None or length <= wanted.max_length
    )
