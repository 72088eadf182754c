"""The list of what is wrong in a file: JSON Lines beside it, one line for each bad record.

Lines are numbered from 1 (`id`), so a page is found by halving the file. They hold places, reasons
and remedies; never content.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, cast

from adaptery.errors import FieldProblem
from adaptery.schemas.imports import PROBLEM_COLUMNS, FileProblem

#: Problems that are listed; more are counted only.
PROBLEMS_LIMIT: Final = 1_000_000
#: The last line is in so many bytes: places, reasons and remedies are short.
_LAST_BYTES: Final = 64 * 1024
#: How a cell begins that a spreadsheet would take for a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


class ProblemWriter:
    """Writes the list of one file; it takes its place when it is whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unfinished = path.with_name(path.name + ".new")
        self._file: io.BufferedWriter | None = None
        self.count = 0
        self.bytes = 0

    def __enter__(self) -> ProblemWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
        self._unfinished.unlink(missing_ok=True)

    def add(self, number: int | None, problem: FieldProblem) -> None:
        """Write the next problem."""
        self.count += 1
        if self.count > PROBLEMS_LIMIT:
            return
        if self._file is None:
            self._file = self._unfinished.open("wb")
            self._unfinished.chmod(0o600)
        values = {"id": str(self.count), "number": number, **problem.to_dict()}
        line = json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        self.bytes += self._file.write(line)

    def keep(self) -> None:
        """Put the list in its place."""
        if self._file is None:
            self._path.unlink(missing_ok=True)
            return
        self._file.close()
        self._file = None
        self._unfinished.replace(self._path)


def read_problems(path: Path, after: int = 0) -> Iterator[FileProblem]:
    """Yield the problems with a higher id; none if there is no list. Blocking."""
    if not path.exists():
        return
    with path.open("rb") as stream:
        _seek_behind(stream, after, path.stat().st_size)
        for line in stream:
            yield FileProblem.model_validate_json(line)


def problem_page(path: Path, after: int, limit: int) -> list[FileProblem]:
    """Return the first problems with a higher id. Blocking."""
    return list(islice(read_problems(path, after), limit))


def count_problems(path: Path) -> int:
    """Return how many problems are listed. Blocking."""
    if not path.exists():
        return 0
    with path.open("rb") as stream:
        stream.seek(max(path.stat().st_size - _LAST_BYTES, 0))
        last = stream.read().rstrip(b"\n").rpartition(b"\n")[2]
    return _id_of(last)


def csv_lines(problems: Iterable[FileProblem]) -> Iterator[str]:
    """Yield a CSV file, line by line, in which no cell is a formula."""
    text = io.StringIO()
    writer = csv.writer(text)
    rows: Iterator[tuple[object, ...]] = (
        (problem.number, problem.where, problem.reason, problem.remedy) for problem in problems
    )
    writer.writerow(PROBLEM_COLUMNS)
    yield _taken(text)
    for row in rows:
        writer.writerow([_harmless(cell) for cell in row])
        yield _taken(text)


def _harmless(cell: object) -> object:
    # Source: OWASP, "CSV Injection": a quote in front makes it text.
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _taken(text: io.StringIO) -> str:
    line = text.getvalue()
    text.seek(0)
    text.truncate()
    return line


def _seek_behind(stream: BinaryIO, after: int, size: int) -> None:
    """Go to the first line with a higher id."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        found = _id_from(stream, middle)
        if found is None or found > after:
            high = middle
        else:
            low = middle + 1
    _to_line(stream, low)


def _id_from(stream: BinaryIO, offset: int) -> int | None:
    """Return the id of the first line that begins at an offset or behind it."""
    _to_line(stream, offset)
    line = stream.readline()
    return _id_of(line) if line else None


def _id_of(line: bytes) -> int:
    return int(cast("dict[str, str]", json.loads(line))["id"])


def _to_line(stream: BinaryIO, offset: int) -> None:
    stream.seek(max(offset - 1, 0))
    if offset:
        stream.readline()
