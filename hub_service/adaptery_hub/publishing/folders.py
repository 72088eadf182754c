"""The folder of a version, written from a draft in a process of its own.

    data/<split>-00000.parquet   the records
    originals/<file id>.<suffix> the files that were uploaded, byte for byte
    index/record-ids.bin         its record ids, sorted
    report.json                  what was found and decided
    README.md                    the dataset card
    croissant.json, prov.json    the same for machines

The service adds `manifest.json`, which only it can sign.

Invariants:

- Each record is checked again, and its id computed, before it is written.
- Records pass by one at a time: memory grows by 37 bytes and an entry of a list for each.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from adaptery.digests import TreeHasher, sha256_file
from adaptery.errors import (
    ConflictError,
    FieldProblem,
    IntegrityError,
    InvalidInputError,
    RecordError,
)
from adaptery.records import Record
from adaptery.schemas.datasets import VersionReport
from adaptery.schemas.lineage import Split
from adaptery_hub.drafts import Draft, DraftRecord
from adaptery_hub.drafts.pool import opened
from adaptery_hub.objects.encryption import Readable
from adaptery_hub.publishing import indexes
from adaptery_hub.publishing.cards import CARD_NAME, write_card
from adaptery_hub.publishing.headings import CollatedFact, Facts, FileFact, Heading
from adaptery_hub.publishing.metadata import CROISSANT_NAME, PROV_NAME, croissant, prov
from adaptery_hub.publishing.reports import Tally, make_report, signed_part
from adaptery_hub.publishing.review_state import check_policy, decided_counts, review_counts
from adaptery_hub.publishing.shards import Row, ShardWriter, dump, is_shard

REPORT_NAME = "report.json"
ORIGINALS = "originals"
#: Wrong records that one error lists.
PROBLEMS_LISTED = 20
#: Records between two reports of how far it is.
REPORT_EVERY = 1_000
_COPY_BYTES = 1024 * 1024

#: Tells how far it is: what is done, of how many in all.
Report = Callable[[int, int], None]


@dataclass(frozen=True)
class Original:
    """An uploaded file that goes into the version."""

    file_id: str
    name: str
    digest: str
    path: Readable  # where its bytes are


@dataclass(frozen=True)
class Plan:
    """What to write, and where."""

    draft: Path
    max_records: int
    folder: Path
    shard_records: int
    heading: Heading
    originals: tuple[Original, ...]
    file_names: Mapping[str, str]
    collated: tuple[CollatedFact, ...] = ()
    blocking: tuple[str, ...] = ()  # review queues that must hold nothing open


@dataclass(frozen=True)
class WrittenFile:
    """One file of the folder."""

    path: str
    bytes: int
    digest: str
    name: str | None = None


@dataclass(frozen=True)
class Written:
    """What lies in the folder."""

    content_digest: str
    split_digest: str | None
    report: VersionReport
    records: int
    files: tuple[WrittenFile, ...]
    #: Records of each file that has some, by file id.
    file_records: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(file.bytes for file in self.files)


@dataclass(frozen=True)
class MergedFrom:
    """What a merged version references."""

    content_digest: str  # of the merged version, with its recipe
    sources: Mapping[str, str]  # content digest by version id
    files: tuple[FileFact, ...]


class ContentTally:
    """What the order, the ids and the splits of records come to, as they pass by."""

    def __init__(self) -> None:
        self._tree = TreeHasher()
        self._splits = hashlib.sha256()
        self._has_splits = False
        self.entries: list[bytes] = []

    def add(self, row: Row) -> None:
        """Take the next record."""
        self._tree.add(row.record_id.encode("ascii"))
        self._splits.update(f"{row.split or ''}\n".encode("ascii"))
        self._has_splits = self._has_splits or row.split is not None
        self.entries.append(indexes.pack(row))

    @property
    def content_digest(self) -> str:
        """See `adaptery.digests.content_digest`; without a recipe."""
        return f"sha256:{self._tree.root().hex()}"

    @property
    def split_digest(self) -> str | None:
        """See `adaptery.digests.split_digest`."""
        return f"sha256:{self._splits.hexdigest()}" if self._has_splits else None


def write_version(report: Report, plan: Plan) -> Written:
    """Write the folder of a version; the step of a publish that runs in its own process.

    Raises:
        InvalidInputError: the draft is empty, or a policy forbids to publish it as it is.
        RecordError: a record in it is not valid.
        IntegrityError: an uploaded file is not what came any more.
    """
    with opened(plan.draft, plan.max_records) as draft:
        return _write(report, plan, draft)


def _write(report: Report, plan: Plan, draft: Draft) -> Written:
    total = draft.count()
    if total == 0:
        raise InvalidInputError("The draft holds no record.", hint="Upload a file first.")
    check_policy(draft, plan.blocking)
    tally, content = Tally(), ContentTally()
    problems: list[FieldProblem] = []
    with ShardWriter(plan.folder, plan.shard_records) as shards:
        for item, record in _checked(draft.unique_records(), problems):
            split = cast("Split | None", item.split)
            row = Row(tally.records + 1, item.record_id, dump(record.to_dict()), split)
            tally.add(item.kind, item.length, split, item.language)
            content.add(row)
            shards.add(row, item.kind)
            if tally.records % REPORT_EVERY == 0:
                report(tally.records, total)
    if problems:
        raise RecordError(
            "The draft holds records that are not valid; nothing was published.",
            errors=problems[:PROBLEMS_LISTED],
        )
    files = draft.files()
    made = make_report(
        tally,
        files,
        plan.file_names,
        draft.count_edits(),
        review_counts(draft),
        decided_counts(draft),
    )
    counts = {file: count for file, count in files if file is not None}
    written = finish_folder(
        plan.folder, plan.heading, content, made, plan.originals, collated=plan.collated
    )
    report(total, total)
    return replace(written, file_records=counts)


def finish_folder(
    folder: Path,
    heading: Heading,
    content: ContentTally,
    report: VersionReport,
    originals: tuple[Original, ...] = (),
    merged: MergedFrom | None = None,
    collated: tuple[CollatedFact, ...] = (),
) -> Written:
    """Write all that is not records, and return what lies in the folder."""
    names = _copy_originals(folder, originals)
    indexes.write_index(folder / indexes.INDEX_NAME, content.entries)
    records = len(content.entries)
    write_json(folder / REPORT_NAME, signed_part(report, records))
    files = _files(folder, names)
    own = tuple(_fact(file) for file in files if is_shard(file.path))
    facts = Facts(
        heading=heading,
        content_digest=content.content_digest if merged is None else merged.content_digest,
        records=records,
        report=report,
        shards=own if merged is None else merged.files,
        originals=tuple(_fact(file) for file in files if file.path in names),
        sources=None if merged is None else merged.sources,
        collated=collated,
    )
    described = describe(folder, facts)
    return Written(
        content_digest=facts.content_digest,
        split_digest=content.split_digest,
        report=report,
        records=records,
        files=tuple(sorted([*files, *described], key=lambda file: file.path)),
    )


def describe(folder: Path, facts: Facts) -> list[WrittenFile]:
    """Write the card and the metadata of a version; return these files."""
    (folder / CARD_NAME).write_text(write_card(facts), encoding="utf-8")
    write_json(folder / CROISSANT_NAME, croissant(facts))
    write_json(folder / PROV_NAME, prov(facts))
    return [_written(folder, folder / name) for name in (CARD_NAME, CROISSANT_NAME, PROV_NAME)]


def _checked(
    items: Iterator[DraftRecord], problems: list[FieldProblem]
) -> Iterator[tuple[DraftRecord, Record]]:
    for item in items:
        where = f"record {item.position}"
        try:
            record = Record.from_dict(item.record)
        except RecordError as error:
            found = error.errors[0] if error.errors else FieldProblem("", error.message)
            problems.append(FieldProblem(f"{where}, {found.where}", found.reason, found.remedy))
            continue
        if record.record_id() != item.record_id:
            problems.append(FieldProblem(where, "does not match its id.", "Save it again."))
            continue
        yield item, record


def _copy_originals(folder: Path, originals: tuple[Original, ...]) -> dict[str, str]:
    """Copy the uploaded files; return their names by path."""
    names: dict[str, str] = {}
    for original in originals:
        (folder / ORIGINALS).mkdir(mode=0o700, exist_ok=True)
        path = f"{ORIGINALS}/{original.file_id}{_suffix(original.name)}"
        _copy(original, folder / path)
        names[path] = original.name
    return names


def _copy(original: Original, target: Path) -> None:
    hasher = hashlib.sha256()
    try:
        with original.path.open("rb") as source, target.open("xb") as copy:
            while chunk := source.read(_COPY_BYTES):
                hasher.update(chunk)
                copy.write(chunk)
    except FileNotFoundError:
        raise ConflictError(
            "A file of the draft was removed meanwhile; nothing was published.",
            hint="Publish again.",
        ) from None
    if f"sha256:{hasher.hexdigest()}" != original.digest:
        raise IntegrityError(
            "An uploaded file is not what came any more; nothing was published.",
            hint="Upload it again.",
        )


def _suffix(name: str) -> str:
    """Return the suffix of a file if it is plain; keys hold nothing else of a name."""
    suffix = Path(name).suffix.lower()
    return suffix if suffix[1:].isascii() and suffix[1:].isalnum() and len(suffix) <= 10 else ""


def _files(folder: Path, names: Mapping[str, str]) -> list[WrittenFile]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return [_written(folder, path, names) for path in paths]


def _written(folder: Path, path: Path, names: Mapping[str, str] | None = None) -> WrittenFile:
    relative = path.relative_to(folder).as_posix()
    name = (names or {}).get(relative)
    return WrittenFile(relative, path.stat().st_size, sha256_file(path), name)


def _fact(file: WrittenFile) -> FileFact:
    return FileFact(file.path, file.bytes, file.digest, file.name)


def write_json(path: Path, value: object) -> None:
    """Write a JSON document of a version."""
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8")
