"""CSV that a spreadsheet shows and never runs."""

import csv
import io
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from adaptery.csv_text import csv_lines


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


def test_values_of_all_kinds() -> None:
    moment = datetime(2026, 1, 2, 3, tzinfo=UTC)
    text = csv_lines([["a", "b"], [None, -1], [1.5, moment], ['x"y', "x,\ny"]])
    assert read(text) == [
        ["a", "b"],
        ["", "-1"],
        ["1.5", "2026-01-02T03:00:00.000Z"],
        ['x"y', "x,\ny"],
    ]


@given(st.text())
def test_no_text_begins_like_a_formula_and_none_is_lost(text: str) -> None:
    ((cell, last),) = read(csv_lines([[text, "end"]]))
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert last == "end"
    assert cell in (text, f"'{text}")
