"""What is done with a file, in a process of its own or in a thread: see `adaptery_hub.processes`.

Everything here takes and returns what can be pickled, and knows paths, not datasets.
"""

from __future__ import annotations

import multiprocessing
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from adaptery.errors import (
    AdapteryError,
    FieldProblem,
    InvalidInputError,
    RecordError,
    StorageQuotaError,
    TooLargeError,
)
from adaptery.formats import ReadRecord, read_records, suggest
from adaptery.records import Record
from adaptery.schemas.imports import (
    UNCERTAIN,
    FilePreview,
    FileProblem,
    FileSuggestion,
    PreviewItem,
)
from adaptery.schemas.mappings import Format, Mapping
from adaptery_hub.drafts import Draft, opened
from adaptery_hub.imports.expected import expected_total
from adaptery_hub.imports.problems import ProblemWriter
from adaptery_hub.imports.tokens import TokenizerSource, cuts_by_tokens
from adaptery_hub.processes import Report
from adaptery_hub.storage import written_size
from adaptery_hub.uploads import DiskFullError, is_full

#: Wrong records that one error lists.
RECORD_PROBLEMS_LISTED = 20
#: Records of a preview.
PREVIEW_RECORDS = 20
#: How often an import says how far it is, and whether it still has room.
REPORT_SECONDS = 0.25


@dataclass(frozen=True)
class ImportOrder:
    """One import."""

    original: Path
    name: str
    draft: Path
    max_records: int
    file_id: str
    problems: Path
    scratch: Path  # for what is unpacked
    mapping: Mapping | None
    format: Format | None
    skip_bad_records: bool
    room_bytes: int | None  # None: as much as there is
    tokenizer: TokenizerSource | None  # None: a token is a word


@dataclass(frozen=True)
class ImportOutcome:
    """What an import put into the draft."""

    mapping: Mapping
    records: int
    problems: int
    problems_bytes: int
    tokenizer: str | None
    draft_records: int
    draft_bytes: int


def import_file(report: Report, order: ImportOrder) -> ImportOutcome:
    """Put the records of a file into a draft.

    Raises:
        InvalidInputError: it is not certain how to read it, or it cannot be read.
        RecordError: records in it are wrong, and those are not to be left out.
        TooLargeError: the draft is full.
        StorageQuotaError: there is no room for its records.
        DiskFullError: the disk takes no more.
    """
    with (
        full_disk(),
        _unpacking_in(order.scratch),
        ProblemWriter(order.problems) as problems,
        opened(order.draft, order.max_records, write=True) as draft,
    ):
        mapping = order.mapping or certain_mapping(order.original, order.name, order.format)
        tokenizer = order.tokenizer if cuts_by_tokens(mapping) else None
        reading = _Reading(report, order, mapping, tokenizer, draft, problems)
        count = draft.import_records(reading.records(), order.file_id)
        problems.keep()
        return ImportOutcome(
            mapping,
            count,
            problems.count,
            problems.bytes,
            tokenizer and tokenizer.model,
            draft.count(),
            draft.size(),
        )


def certain_mapping(path: Path, name: str, format: Format | None) -> Mapping:
    """Return the mapping of a file that leaves no doubt.

    Raises:
        InvalidInputError: there is none.
    """
    suggestion = suggest(path, name, format)
    if suggestion.mapping is not None and (suggestion.confident or format is not None):
        return suggestion.mapping
    raise InvalidInputError(
        f"{UNCERTAIN} {suggestion.why}",
        hint="The file is kept: look at how it would be read, and import it with a mapping.",
    )


@dataclass(frozen=True)
class LookOrder:
    """One look into a file."""

    original: Path
    name: str
    scratch: Path  # for what is unpacked
    tokenizer: TokenizerSource | None  # None: a token is a word
    mapping: Mapping | None = None  # to be tried


def suggest_file(report: Report, order: LookOrder) -> FileSuggestion:
    """Return how a file would be read, with its first records.

    Raises:
        InvalidInputError: it cannot be read at all.
    """
    with _unpacking_in(order.scratch):
        suggestion = suggest(order.original, order.name)
    preview = FilePreview(preview=(), problems_in_preview=0)
    if suggestion.mapping is not None:
        preview = preview_file(report, replace(order, mapping=suggestion.mapping))
    return FileSuggestion(**{**suggestion.model_dump(), **preview.model_dump()})


def preview_file(report: Report, order: LookOrder) -> FilePreview:
    """Return the first records of a file as a mapping has them.

    Raises:
        InvalidInputError: it cannot be read so.
    """
    assert order.mapping is not None
    tokenizer = order.tokenizer if cuts_by_tokens(order.mapping) else None
    items: list[PreviewItem] = []
    try:
        with _unpacking_in(order.scratch):
            found = read_records(
                order.original, order.mapping, order.name, tokenize=tokenizer and tokenizer.load()
            )
            items.extend(map(_previewed, islice(found, PREVIEW_RECORDS)))
    except AdapteryError:
        if not items:
            raise
    wrong = sum(item.problem is not None for item in items)
    return FilePreview(
        preview=tuple(items), problems_in_preview=wrong, tokenizer=tokenizer and tokenizer.model
    )


class _Reading:
    """The records of one import, while it goes on."""

    def __init__(
        self,
        report: Report,
        order: ImportOrder,
        mapping: Mapping,
        tokenizer: TokenizerSource | None,
        draft: Draft,
        problems: ProblemWriter,
    ) -> None:
        self._report = report
        self._order = order
        self._mapping = mapping
        self._tokenize = tokenizer and tokenizer.load()
        self._draft = draft
        self._problems = problems
        self._listed: list[FieldProblem] = []
        self._good = 0
        self._size = draft.size()
        self._reported_at = 0.0

    def records(self) -> Iterator[Record]:
        """Yield the valid records; raise one error for all others at the end.

        Raises:
            RecordError: some are wrong, and are not to be left out.
            InvalidInputError: there is no valid one, or the file cannot be read to its end.
            StorageQuotaError: there is no room for them.
        """
        wrong, order = self._problems, self._order
        found = read_records(order.original, self._mapping, order.name, tokenize=self._tokenize)
        try:
            for read_record in found:
                self._say_how_far()
                if read_record.problem is not None:
                    self._note(read_record.number, read_record.problem)
                if read_record.record is None:
                    continue
                self._good += 1
                if not wrong.count or self._order.skip_bad_records:
                    yield read_record.record  # else it is lost already: only problems matter
        except (InvalidInputError, TooLargeError) as error:
            if not wrong.count:
                raise
            self._note(None, FieldProblem("file", error.message, error.hint or ""))
            wrong.keep()
            raise self._refusal() from None
        if wrong.count and (not self._order.skip_bad_records or not self._good):
            wrong.keep()
            raise self._refusal()
        if not self._good:
            raise InvalidInputError("The file holds no record.", hint="Upload a file with records.")

    def _note(self, number: int | None, problem: FieldProblem) -> None:
        self._problems.add(number, problem)
        if len(self._listed) < RECORD_PROBLEMS_LISTED:
            self._listed.append(problem)

    def _refusal(self) -> RecordError:
        wrong = self._problems.count
        return RecordError(
            f"{_wrong_of(wrong, wrong + self._good)} not valid; nothing was imported.",
            hint=_what_is_listed(len(self._listed), wrong),
            errors=self._listed,
        )

    def _say_how_far(self) -> None:
        moment = time.monotonic()
        if moment - self._reported_at < REPORT_SECONDS:
            return
        self._reported_at = moment
        done = self._good + self._problems.count
        self._report(done, expected_total(done, self._order.original))
        room = self._order.room_bytes
        taken = self._draft.size() - self._size + self._problems.bytes
        if room is not None and taken > room:
            raise StorageQuotaError(
                f"There is no room for the records of this file: {written_size(room)} were left, "
                "and they take more.",
                hint="Nothing was imported; the file stays until you remove it, and counts. Remove "
                "it or other files of drafts, delete adapters, or ask an administrator for more.",
            )


@contextmanager
def _unpacking_in(folder: Path) -> Iterator[None]:
    """Have members of archives unpacked in a folder of ours: whoever kills us can remove it."""
    if multiprocessing.parent_process() is None:  # small plain files are read in a thread
        yield
        return
    folder.mkdir(mode=0o700, exist_ok=True)
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def full_disk() -> Iterator[None]:
    """Have a disk that takes no more be told as such.

    Raises:
        DiskFullError: it is full.
    """
    try:
        yield
    except (sqlite3.OperationalError, OSError) as error:
        if is_full(error):
            raise DiskFullError from None
        raise


def _previewed(read_record: ReadRecord) -> PreviewItem:
    problem = read_record.problem
    return PreviewItem(
        number=read_record.number,
        record=None if read_record.record is None else read_record.record.to_dict(),
        problem=problem
        and FileProblem(id=str(read_record.number), number=read_record.number, **problem.to_dict()),
    )


def _wrong_of(wrong: int, records: int) -> str:
    nouns = "record" if records == 1 else "records"
    return f"{wrong} of {records} {nouns} {'is' if wrong == 1 else 'are'}"


def _what_is_listed(listed: int, wrong: int) -> str:
    listing = (
        "Each is listed with its number"
        if listed >= wrong
        else f"The first {listed} are listed with their numbers"
    )
    return (
        f"{listing}; mend the file and upload it again, or import it without them "
        "(bad_records=skip)."
    )
