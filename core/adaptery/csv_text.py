"""CSV that a spreadsheet shows and never runs.

A cell that begins like a formula (`=`, `+`, `-`, `@`, a tab or a line break) is preceded by an
apostrophe, by which spreadsheets know it for text. Only text is: a number is a number.

Source: OWASP, "CSV Injection"; RFC 4180 for the rest.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime

from adaptery.times import to_text

__all__ = ["begins_like_a_formula", "csv_lines"]

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_lines(rows: Iterable[Sequence[object]]) -> str:
    """Return rows as CSV; None is an empty cell, a time is RFC 3339."""
    text = io.StringIO()
    csv.writer(text).writerows(map(_cells, rows))
    return text.getvalue()


def begins_like_a_formula(text: str) -> bool:
    """Tell whether a spreadsheet could take a cell for more than text."""
    return text.startswith(_FORMULA)


def _cells(row: Sequence[object]) -> list[object]:
    return [_cell(value) for value in row]


def _cell(value: object) -> object:
    if value is None or isinstance(value, int | float):
        return value
    text = to_text(value) if isinstance(value, datetime) else str(value)
    return f"'{text}" if begins_like_a_formula(text) else text
