"""CSV and TSV: rows of text under a header, with line breaks inside quotes.

What always holds:
- A row that is not like its header is a problem of that row; a quote that is never closed, or a
  line without end, stops at the limit of a record.
- Cells are text as they stand. Only a file of ours, which names the cells that its writer put an
  apostrophe before (column `adaptery_escaped`), gives them back without it.

Source: RFC 4180.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Final

from adaptery.errors import InvalidInputError, TooLargeError
from adaptery.formats.limits import COLUMNS_LIMIT, RECORD_LIMIT_BYTES
from adaptery.formats.rows import Row, RowError

__all__ = ["ESCAPED_COLUMN", "TableRow", "header_of", "table_rows"]

#: The column in which our writer names the cells of the row that begin with an added apostrophe.
ESCAPED_COLUMN: Final = "adaptery_escaped"
_BOM = "\ufeff"


class TableRow:
    """One row: its line in the file, and its cells or what is wrong with them."""

    __slots__ = ("_cells", "_error", "_header", "line")

    def __init__(
        self, line: int, header: Sequence[str], cells: Sequence[str], error: RowError | None
    ) -> None:
        self.line = line
        self._header = header
        self._cells = cells
        self._error = error

    def parse(self) -> Row:
        """Return the cells by their columns.

        Raises:
            RowError: if they are not as many as the columns, or not UTF-8.
        """
        if self._error is not None:
            raise self._error
        header, cells = self._header, self._cells
        if len(cells) != len(header):
            raise RowError(
                "",
                f"has {_cells(len(cells))} where the header has {len(header)}.",
                "Quote cells that hold separators or line breaks.",
            )
        for name, cell in zip(header, cells, strict=True):
            if not cell.isascii() and not _is_text(cell):
                raise RowError(
                    name, "is not valid UTF-8.", "Save the file as UTF-8, or name its encoding."
                )
        row = dict(zip(header, cells, strict=True))
        return _without_apostrophes(row) if ESCAPED_COLUMN in row else row


def _cells(count: int) -> str:
    return f"{count} cell" if count == 1 else f"{count} cells"


def _is_text(cell: str) -> bool:
    try:
        cell.encode("utf-8")
    except UnicodeEncodeError:  # bytes that were no UTF-8 came through as halves of pairs
        return False
    return True


def _without_apostrophes(row: dict[str, str]) -> dict[str, str]:
    for name in row.pop(ESCAPED_COLUMN).split():
        if row.get(name, "").startswith("'"):
            row[name] = row[name][1:]
    return row


class _Lines:
    """The lines of a stream as text; no row may take more bytes than a record may have."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._first = True
        self.number = 0
        self.row_line = 1
        self._taken = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._stream.readline(RECORD_LIMIT_BYTES + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self._taken += len(line)
        if self._taken > RECORD_LIMIT_BYTES:
            raise TooLargeError(
                f"The row at line {self.row_line} is larger than {RECORD_LIMIT_BYTES // 1024} KiB,"
                " or a quote before it is not closed.",
                hint="split the record, or check the quotes there",
            )
        text = line.decode("utf-8", "surrogateescape")
        if self._first:
            self._first, text = False, text.removeprefix(_BOM)
        return text

    def begin_row(self) -> None:
        self.row_line = self.number + 1
        self._taken = 0


def table_rows(stream: BinaryIO, delimiter: str) -> Iterator[TableRow]:
    """Yield each row of a table after its header.

    Raises:
        InvalidInputError: if there is no header, or it names a column twice.
        TooLargeError: if a row, or the number of columns, is over its limit.
    """
    lines = _Lines(stream)
    reader = _reader(lines, delimiter)
    header = _header(reader)
    while True:
        lines.begin_row()
        error: RowError | None = None
        cells: list[str] = []
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            error = RowError(
                "",
                "has a quote that is not closed, or something after one that is.",
                'Write a quote inside a cell as "".',
            )
        if cells or error is not None:  # a line without anything is no row
            yield TableRow(lines.row_line, header, cells, error)


def _reader(lines: Iterator[str], delimiter: str) -> Iterator[list[str]]:
    # The limit is of the whole process and only ever raised, to the same number; `_Lines` keeps it.
    csv.field_size_limit(max(csv.field_size_limit(), RECORD_LIMIT_BYTES))
    return csv.reader(lines, delimiter=delimiter, strict=True)


def _header(reader: Iterator[list[str]]) -> list[str]:
    try:
        cells = next((row for row in reader if row), list[str]())
    except csv.Error:
        raise InvalidInputError(
            "The first line of the table is no header: its quotes do not fit.",
            hint='write a quote inside a cell as ""',
        ) from None
    if len(cells) > COLUMNS_LIMIT:
        raise TooLargeError(
            f"The table has more than {COLUMNS_LIMIT} columns.", hint="remove those not needed"
        )
    names = [cell.strip() or f"column {i}" for i, cell in enumerate(cells, start=1)]
    if len(set(names)) < len(names):
        raise InvalidInputError(
            "The header of the table names a column twice.", hint="rename one of them"
        )
    return names


def header_of(line: str, delimiter: str) -> int:
    """Return how many columns the first line of a table has with this separator."""
    try:
        return len(next(_reader(iter([line]), delimiter), list[str]()))
    except csv.Error:
        return 0
