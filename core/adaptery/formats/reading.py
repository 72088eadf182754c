"""Reads an uploaded file into records, one by one, whatever format it is in.

For: validating an upload, filling a draft, `adaptery data check`. Not for CSV and column mapping.

What always holds:
- A bad record is reported by its number, field, reason and remedy, and reading goes on; what makes
  the rest of the file unreadable raises.
- No error holds content. Names of columns are shown only where they look like names of columns.
- Nothing is read whole: memory is bounded by one record (`limits`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal, cast, get_args

from adaptery.errors import FieldProblem, InvalidInputError, RecordError, TooLargeError
from adaptery.formats import alpaca, paragraphs, sharegpt
from adaptery.formats.json_elements import elements_of
from adaptery.formats.limits import RECORDS_LIMIT, SNIFF_BYTES
from adaptery.formats.rows import Row, RowError, RowReading
from adaptery.records import Record

__all__ = ["FORMATS", "Format", "ReadRecord", "detect_format", "read_records"]

Format = Literal["alpaca", "sharegpt", "text"]
#: The formats that uploads may have.
FORMATS: tuple[Format, ...] = get_args(Format)

_TEXT_SUFFIXES = frozenset({".txt", ".md", ".text"})
_JSON_SUFFIXES = frozenset({".json", ".jsonl", ".ndjson"})
#: Records that are looked at to tell the format, so that one broken record does not decide.
_DETECT_RECORDS = 10
_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_ .-]{0,39}")
_COLUMNS_SHOWN = 12

#: How well-known files begin that are uploaded by mistake.
_MAGIC: Mapping[bytes, str] = {
    b"PK\x03\x04": "a ZIP archive or Office document",
    b"\x1f\x8b": "a gzip archive",
    b"PAR1": "a Parquet file",
    b"%PDF": "a PDF document",
    b"SQLite format 3": "an SQLite database",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}


@dataclass(frozen=True)
class ReadRecord:
    """One record of a file: either a record or the problem that keeps it out."""

    #: Counts from 1 in the order of the file.
    number: int
    record: Record | None
    problem: FieldProblem | None
    #: Columns that are not known here and were left out.
    ignored: tuple[str, ...] = ()


def _check_text(path: Path) -> None:
    with path.open("rb") as stream:
        head = stream.read(SNIFF_BYTES)
    if not head.strip():
        raise InvalidInputError("The file is empty.", hint="upload a file that holds records")
    for magic, name in _MAGIC.items():
        if head.startswith(magic):
            raise InvalidInputError(
                f"The file is {name}, not text.", hint="save it as UTF-8 JSON, JSON Lines or text"
            )
    if b"\x00" in head:
        raise InvalidInputError("The file is binary, not text.", hint="upload UTF-8 JSON or text")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise RowError("", "has the same field twice.", "Keep one of them.")
    return result


def _parse(element: bytes) -> Row:
    """Return the JSON object that the text holds.

    Raises:
        RowError: if it holds something else.
    """
    if not element:
        raise RowError("", "is empty: two commas, or one at the end.", "Remove the comma.")
    try:
        value: object = json.loads(element.decode("utf-8"), object_pairs_hook=_unique)
    except UnicodeDecodeError:
        raise RowError("", "is not valid UTF-8.", "Save the file as UTF-8.") from None
    except RecursionError:
        raise RowError("", "is nested too deeply.", "Flatten it.") from None
    except ValueError:
        raise RowError("", "is not valid JSON.", "Check quotes, commas and brackets.") from None
    if not isinstance(value, dict):
        raise RowError("", "is not a JSON object.", 'Write it as {"field": ...}.')
    return cast("Row", value)


_ROWS: Mapping[Format, Callable[[Row], RowReading]] = {
    "alpaca": alpaca.read_row,
    "sharegpt": sharegpt.read_row,
    "text": paragraphs.read_row,
}


def _located(number: int, problem: FieldProblem) -> FieldProblem:
    where = f"record {number}, {problem.where}" if problem.where else f"record {number}"
    return FieldProblem(where, problem.reason, problem.remedy)


def _columns(names: tuple[str, ...]) -> tuple[str, ...]:
    shown = (name if _COLUMN.fullmatch(name) else "(a name)" for name in names)
    return tuple(sorted(set(shown)))


def _read(number: int, make: Callable[[], RowReading]) -> ReadRecord:
    try:
        reading = make()
        record = reading.to_record()
        return ReadRecord(number, record, None, _columns(reading.ignored))
    except RowError as exc:
        return ReadRecord(number, None, _located(number, exc.problem))
    except RecordError as exc:
        return ReadRecord(number, None, _located(number, exc.errors[0]))


def _rows(path: Path, format: Format) -> Iterator[Callable[[], RowReading]]:
    with path.open("rb") as stream:
        if format == "text" and not _is_json(path):
            for paragraph in paragraphs.paragraphs_of(stream):
                yield lambda paragraph=paragraph: paragraphs.read_paragraph(paragraph)
            return
        to_reading = _ROWS[format]
        for element in elements_of(stream):
            yield lambda element=element: to_reading(_parse(element))


def read_records(path: Path, format: Format) -> Iterator[ReadRecord]:
    """Yield each record of the file, or what is wrong with it.

    Raises:
        InvalidInputError: if the file is empty, binary, cut off, no JSON, or holds no record.
        TooLargeError: if a record, or the number of records, is over its limit.
        OSError: if the file cannot be read.
    """
    _check_text(path)
    number = 0
    for number, make in enumerate(_rows(path, format), start=1):
        if number > RECORDS_LIMIT:
            raise TooLargeError(
                f"The file has more than {RECORDS_LIMIT} records.", hint="upload it in parts"
            )
        yield _read(number, make)
    if number == 0:
        raise _no_records()


def _no_records() -> InvalidInputError:
    return InvalidInputError("The file holds no records.", hint="upload at least one record")


def _is_json(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(SNIFF_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"[", b"{")


def _format_of(row: Row) -> Format | None:
    if "conversations" in row or "messages" in row:
        return "sharegpt"
    if "instruction" in row or "output" in row:
        return "alpaca"
    return "text" if "text" in row else None


def detect_format(path: Path, filename: str | None = None) -> Format:
    """Return the format of a file by its name and its first records.

    Args:
        path: where the bytes lie.
        filename: the name that the user gave, if the path has another.

    Raises:
        InvalidInputError: if it is empty, binary, or its columns are of no known format.
        TooLargeError: if one of the first records is over the limit.
        OSError: if the file cannot be read.
    """
    _check_text(path)
    suffix = Path(filename or path.name).suffix.lower()
    if suffix == ".csv":
        raise InvalidInputError(
            "CSV is not offered yet.", hint="save it as Alpaca JSON: instruction, input, output"
        )
    if suffix in _TEXT_SUFFIXES:
        return "text"
    if suffix and suffix not in _JSON_SUFFIXES:
        raise InvalidInputError(
            "Files of this type are not offered.", hint="use .json, .jsonl, .txt or .md"
        )
    return _format_of_rows(path) if suffix or _is_json(path) else "text"


def _format_of_rows(path: Path) -> Format:
    seen: tuple[str, ...] = ()
    problem: FieldProblem | None = None
    with path.open("rb") as stream:
        for number, element in enumerate(islice(elements_of(stream), _DETECT_RECORDS), start=1):
            try:
                row = _parse(element)
            except RowError as exc:
                problem = problem or _located(number, exc.problem)
                continue
            if (found := _format_of(row)) is not None:
                return found
            seen = seen or tuple(row)
    if not seen and problem is None:
        raise _no_records()
    if not seen:
        raise InvalidInputError(
            "The first records of the file cannot be read.",
            hint="a .json file holds one list of records, a .jsonl file one record a line",
            errors=[problem] if problem else [],
        )
    raise _wrong_columns(seen)


def _wrong_columns(seen: tuple[str, ...]) -> InvalidInputError:
    names = ", ".join(_columns(seen)[:_COLUMNS_SHOWN]) or "none"
    problem = FieldProblem(
        "columns",
        f"are of no known format (found: {names}).",
        "Alpaca has instruction and output, ShareGPT has conversations or messages, text has text.",
    )
    return InvalidInputError("The format of the file is not known.", errors=[problem])
