"""The rows of one file, whatever it is contained in: JSON, a table, columns, or plain text.

What always holds: what is wrong with one row is told when that row is parsed; what makes the rest
of the file unreadable raises while the rows are gone through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from adaptery.errors import InvalidInputError
from adaptery.formats.archives import ARCHIVE_SUFFIXES
from adaptery.formats.columnar import arrow_rows, parquet_rows
from adaptery.formats.encodings import as_utf8, guess_encoding
from adaptery.formats.json_elements import elements_of, whole_object
from adaptery.formats.limits import RECORD_LIMIT_BYTES, SNIFF_BYTES
from adaptery.formats.rows import Row, parse_object
from adaptery.formats.sources import Source
from adaptery.formats.tables import table_rows
from adaptery.schemas.mappings import Container, Encoding, Mapping

__all__ = ["TEXT_CONTAINERS", "RawRow", "Shape", "check_text", "container_of", "raw_rows"]

TEXT_CONTAINERS: Final = frozenset[Container]({"json", "jsonl", "csv", "tsv", "txt"})
_SUFFIXES: Final[AnyMapping[str, Container]] = {
    ".txt": "txt",
    ".md": "txt",
    ".text": "txt",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".ipc": "arrow",
    ".zip": "zip",
}
_ARROW_STREAM: Final = b"\xff\xff\xff\xff"
_MAGIC: Final[AnyMapping[bytes, Container]] = {
    b"PAR1": "parquet",
    b"ARROW1": "arrow",
    _ARROW_STREAM: "arrow",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",  # without any file
}
#: How well-known files begin that are uploaded by mistake.
_OTHERS: Final[AnyMapping[bytes, str]] = {
    b"PK\x03\x04": "a ZIP archive or Office document",
    b"\x1f\x8b": "a gzip archive",
    b"PAR1": "a Parquet file",
    b"ARROW1": "an Arrow file",
    b"%PDF": "a PDF document",
    b"SQLite format 3": "an SQLite database",
}


@dataclass(frozen=True)
class Shape:
    """What it takes to get at the rows of a file; a part of a mapping."""

    container: Container
    encoding: Encoding | None = None
    delimiter: str | None = None
    records: str | None = None

    @classmethod
    def of(cls, mapping: Mapping) -> Shape:
        """Return the shape that a mapping says."""
        return cls(mapping.container, mapping.encoding, mapping.delimiter, mapping.records)


@dataclass(frozen=True, slots=True)
class RawRow:
    """A row that is not parsed yet."""

    parse: Callable[[], Row]
    #: Where it begins, in containers whose rows may span lines.
    line: int | None = None


def container_of(source: Source) -> Container:
    """Return what a file is contained in, by its name and how it begins.

    Raises:
        InvalidInputError: if it is empty, or of a type that is not offered.
        OSError: if it cannot be read.
    """
    suffix = PurePath(source.name).suffix.lower()
    head = source.head()
    if not head:
        raise _empty()
    by_magic: Container | None = next(
        (kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None
    )
    named = _SUFFIXES.get(suffix)
    if named is not None and (named not in ("parquet", "arrow", "zip") or by_magic == named):
        return _json_or_lines(source) if named in ("json", "jsonl") else named
    if named is not None:
        raise InvalidInputError(
            f"The file is no {named} file, though its name says so.", hint="check what it holds"
        )
    if suffix in ARCHIVE_SUFFIXES or (suffix and by_magic is None):
        raise InvalidInputError(
            "Files of this type are not offered.",
            hint="use .json, .jsonl, .csv, .tsv, .parquet, .arrow, .txt, .md or a .zip of them",
        )
    if by_magic is not None:
        return by_magic
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return _json_or_lines(source) if text[:1] in (b"[", b"{") else "txt"


def _json_or_lines(source: Source) -> Container:
    """Tell one JSON value from JSON Lines, whatever the name says."""
    encoding, _, _ = guess_encoding(source.head())
    with source.open() as raw, as_utf8(raw, encoding) as stream:
        if stream.read(SNIFF_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] != b"{":
            return "json"
    if PurePath(source.name).suffix.lower() in (".jsonl", ".ndjson"):
        return "jsonl"
    with source.open() as raw, as_utf8(raw, encoding) as stream:
        line = stream.readline(RECORD_LIMIT_BYTES + 1).removeprefix(b"\xef\xbb\xbf").strip()
        rest = stream.read(SNIFF_BYTES).lstrip()
    # A line that does not close its brackets goes on in the next: one value, written over lines.
    lines = line[:1] == b"{" and line[-1:] == b"}" and rest[:1] == b"{"
    return "jsonl" if lines else "json"


def _empty() -> InvalidInputError:
    return InvalidInputError("The file is empty.", hint="upload a file that holds records")


def check_text(source: Source, encoding: Encoding | None) -> None:
    """Refuse a file that is not text.

    Raises:
        InvalidInputError: if it is empty, binary, or something well known that is not text.
        OSError: if it cannot be read.
    """
    head = source.head(SNIFF_BYTES)
    if not head.strip():
        raise _empty()
    for magic, name in _OTHERS.items():
        if head.startswith(magic):
            raise InvalidInputError(
                f"The file is {name}, not text.", hint="give it the suffix of what it is"
            )
    if encoding is not None and encoding.startswith(("utf-16", "utf-32")):
        return
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InvalidInputError(
            "The file is UTF-16 text.", hint="name that encoding in the mapping, or save as UTF-8"
        )
    if b"\x00" in head:
        raise InvalidInputError("The file is binary, not text.", hint="upload UTF-8 JSON or text")


def raw_rows(
    source: Source, shape: Shape, columns: Sequence[str] | None = None
) -> Iterator[RawRow]:
    """Yield the rows of a file that holds rows.

    Args:
        source: the file.
        shape: how to get at its rows.
        columns: those that typed columns are read of; all if None.

    Raises:
        InvalidInputError: if the rest of the file cannot be read.
        TooLargeError: if a row is over a limit.
        MissingExtraError: for Parquet and Arrow without pyarrow.
        OSError: if it cannot be read.
    """
    if shape.container in ("parquet", "arrow"):
        read = parquet_rows if shape.container == "parquet" else arrow_rows
        with source.local() as path:
            for row in read(path, columns):
                yield RawRow(lambda row=row: row)
        return
    check_text(source, shape.encoding)
    with source.open() as raw, as_utf8(raw, shape.encoding) as stream:
        if shape.container in ("csv", "tsv"):
            default = "\t" if shape.container == "tsv" else ","
            for row in table_rows(stream, shape.delimiter or default):
                yield RawRow(row.parse, row.line)
            return
        if shape.container == "json" and shape.records is None and _is_object(source, shape):
            elements = whole_object(stream)
        else:
            elements = elements_of(stream, shape.records)
        for element in elements:
            yield RawRow(lambda element=element: parse_object(element))


def _is_object(source: Source, shape: Shape) -> bool:
    with source.open() as raw, as_utf8(raw, shape.encoding) as stream:
        return stream.read(SNIFF_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"
