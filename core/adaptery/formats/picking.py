"""Puts the columns of a row under our names, as a mapping says, and tells problems in theirs."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, cast

from adaptery.errors import FieldProblem
from adaptery.formats import alpaca, labels, preferences, prompts, sharegpt, texts
from adaptery.formats.rows import Row, RowError, RowReading, fields_of
from adaptery.formats.turns import Words
from adaptery.schemas.mappings import FIELDS, Mapping

__all__ = ["Picker"]

_MISSING: Final = object()
_FIRST = re.compile(r"^[^.\[]+")
_MEDIA = ("images", "videos", "audios")
#: Columns that say more about an answer than that it is one to imitate.
_JUDGEMENTS = ("chosen", "rejected", "kto_tag", "label")


class Picker:
    """Reads rows by one mapping."""

    def __init__(self, mapping: Mapping) -> None:
        self._columns = dict(mapping.columns) or {name: name for name in FIELDS[mapping.format]}
        self._plain = [(name, column) for name, column in self._columns.items()]
        self._constants: dict[str, object] = {**mapping.constants}
        #: The columns that are read, and those of them that lie deeper by the column they lie in.
        self.used = {column.split(".")[0] for column in self._columns.values()} | set(
            self._columns.values()
        )
        self._judges = mapping.format not in ("preference", "kto") and not self.used & set(
            _JUDGEMENTS
        )
        self._read = _reader(mapping)

    def read(self, row: Row) -> RowReading:
        """Return what the row says, with its problems and ignored columns in the file's words.

        Raises:
            RowError: naming the column that is missing or wrong.
        """
        if not row.keys() <= self.used:
            self._refuse_what_matters(row)
        picked: dict[str, object] = dict(self._constants)
        for name, column in self._plain:
            value = row.get(column, _MISSING)
            if value is _MISSING and "." in column:
                value = _deeper(row, column)
            if value is not _MISSING:
                picked[name] = value
        try:
            reading = self._read(picked)
        except RowError as exc:
            problem = self.renamed(exc.problem)
            raise RowError(problem.where, problem.reason, problem.remedy) from None
        ignored = (*(row.keys() - self.used), *reading.ignored)
        return RowReading(reading.record, reading.origin, ignored) if ignored else reading

    def renamed(self, problem: FieldProblem) -> FieldProblem:
        """Return a problem whose field is called as the file calls its column."""
        match = _FIRST.match(problem.where)
        column = cast("dict[str, str]", self._columns).get(match[0]) if match else None
        if match is None or column is None or column == match[0]:
            return problem
        where = column + problem.where[match.end() :]
        return FieldProblem(where, problem.reason, problem.remedy)

    def _refuse_what_matters(self, row: Row) -> None:
        """Refuse rows that would be trained on wrongly if a field of them were left out."""
        for name in _MEDIA:
            if name not in self.used and row.get(name):
                raise RowError(name, "is not offered: records are text only.", "Remove it.")
        if not self._judges:
            return
        if "chosen" in row or "rejected" in row:
            raise RowError(
                "chosen",
                "belongs to a preference pair, which this mapping would read as an example.",
                "Choose the format preference.",
            )
        if isinstance(row.get("kto_tag"), bool) or isinstance(row.get("label"), bool):
            raise RowError(
                "label",
                "marks answers as good or bad, which this mapping would read as good.",
                "Choose the format kto.",
            )


def _deeper(row: Row, path: str) -> object:
    value: object = row
    for key in path.split("."):
        value = fields_of(value).get(key, _MISSING)
    return value


def _reader(mapping: Mapping) -> Callable[[Row], RowReading]:
    words = Words.of(mapping.tags)
    match mapping.format:
        case "alpaca":
            return alpaca.read_row
        case "text":
            return texts.read_row
        case "sharegpt" | "openai":
            return lambda row: sharegpt.read_row(row, words)
        case "prompt":
            return lambda row: prompts.read_row(row, words)
        case "preference":
            return lambda row: preferences.read_row(row, words)
        case "kto":
            return lambda row: labels.read_row(row, words, mapping.values)
