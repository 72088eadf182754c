"""Reads a file into records, one by one, whatever format and container it is in.

For: validating an upload, filling a draft, previews, `adaptery data check`.

What always holds:
- A bad record is reported by its file (in an archive), number, line, field, reason and remedy, and
  reading goes on; what makes the rest of the file unreadable raises.
- No error holds content. Names of columns are shown only where they look like names of columns.
- Nothing is read whole: memory is bounded by one record, or one row group of Parquet (`limits`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from adaptery.errors import FieldProblem, InvalidInputError, RecordError, TooLargeError
from adaptery.formats.archives import open_archive
from adaptery.formats.containers import Shape, check_text, raw_rows
from adaptery.formats.encodings import as_utf8
from adaptery.formats.folders import open_folder
from adaptery.formats.limits import RECORDS_LIMIT
from adaptery.formats.picking import Picker
from adaptery.formats.rows import RowError, RowReading, looks_like_a_name, shown_columns
from adaptery.formats.sources import Source, source_of
from adaptery.formats.suggestion import mapping_for
from adaptery.formats.texts import Tokenize, chunks_of, read_chunk
from adaptery.records import Record
from adaptery.schemas.mappings import Format, Mapping

__all__ = ["ReadRecord", "read_records"]


@dataclass(frozen=True)
class ReadRecord:
    """One record of a file: either a record or the problem that keeps it out."""

    #: Counts from 1 in the order of the file.
    number: int
    record: Record | None
    problem: FieldProblem | None
    #: Columns that are not used here and were left out.
    ignored: tuple[str, ...] = ()


def read_records(
    path: Path,
    mapping: Mapping | Format,
    filename: str | None = None,
    *,
    tokenize: Tokenize | None = None,
) -> Iterator[ReadRecord]:
    """Yield each record of the file, or what is wrong with it.

    Args:
        path: where the bytes lie; a folder where the container is one.
        mapping: how to read it; of a bare format, the rest is told from the file.
        filename: the name that the user gave, if the path has another.
        tokenize: cuts plain text into tokens, where the mapping asks for them; words if absent.

    Raises:
        InvalidInputError: if the file is empty, of another container, cut off, or holds no record.
        TooLargeError: if a record, or the number of records, is over its limit.
        MissingExtraError: for Parquet and Arrow without pyarrow.
        OSError: if the file cannot be read.
    """
    if isinstance(mapping, str):
        mapping = mapping_for(path, filename, mapping)
    number = 0
    for read in _parts(path, mapping, filename, tokenize):
        number += 1
        if number > RECORDS_LIMIT:
            raise TooLargeError(
                f"The file has more than {RECORDS_LIMIT} records.", hint="upload it in parts"
            )
        yield read if read.number == number else _numbered(read, number)
    if number == 0:
        raise InvalidInputError("The file holds no records.", hint="upload at least one record")


def _numbered(read: ReadRecord, number: int) -> ReadRecord:
    return ReadRecord(number, read.record, read.problem, read.ignored)


def _parts(
    path: Path, mapping: Mapping, filename: str | None, tokenize: Tokenize | None
) -> Iterator[ReadRecord]:
    if mapping.container not in ("zip", "folder") and mapping.member is None:
        yield from _file(source_of(path, filename), mapping, tokenize)
        return
    parts = mapping.parts if mapping.container in ("zip", "folder") else (mapping,)
    with open_folder(path) if path.is_dir() else open_archive(path) as sources:
        members = {source.name: source for source in sources}
        for part in parts:
            source = members.get(part.member or "")
            if source is None:
                raise InvalidInputError(
                    "The archive has no file of the name that the mapping gives.",
                    hint="correct `member`, or have the mapping suggested again",
                )
            yield from _file(source, part, tokenize)


def _file(source: Source, mapping: Mapping, tokenize: Tokenize | None) -> Iterator[ReadRecord]:
    if mapping.container == "txt":
        check_text(source, mapping.encoding)
        with source.open() as raw, as_utf8(raw, mapping.encoding) as stream:
            for number, chunk in enumerate(chunks_of(stream, mapping.chunks, tokenize), start=1):
                yield _read(source.label, number, None, lambda c=chunk: read_chunk(c), None)
        return
    picker = Picker(mapping)
    rows = raw_rows(source, Shape.of(mapping), sorted(picker.used))
    for number, row in enumerate(rows, start=1):
        parse = row.parse
        yield _read(source.label, number, row.line, lambda p=parse: picker.read(p()), picker)


def _read(
    label: str,
    number: int,
    line: int | None,
    make: Callable[[], RowReading],
    picker: Picker | None,
) -> ReadRecord:
    try:
        reading = make()
        record = reading.to_record()
        return ReadRecord(number, record, None, shown_columns(reading.ignored))
    except RowError as exc:
        problem = exc.problem
    except RecordError as exc:
        problem = picker.renamed(exc.errors[0]) if picker else exc.errors[0]
    return ReadRecord(number, None, _located(label, number, line, problem))


def _located(label: str, number: int, line: int | None, problem: FieldProblem) -> FieldProblem:
    where = f"record {number}" if line is None else f"record {number} (line {line})"
    where = ", ".join(part for part in (label, where, _field(problem.where)) if part)
    return FieldProblem(where, problem.reason, problem.remedy)


def _field(where: str) -> str:
    # The name of a column is the file's, and could be content: it is shown if it looks like a name.
    column, dot, rest = where.partition(".")
    name, bracket, index = column.partition("[")
    shown = name if not name or looks_like_a_name(name) else "(a column)"
    return f"{shown}{bracket}{index}{dot}{rest}"
