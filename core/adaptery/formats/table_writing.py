"""Writes rows as CSV or TSV, so that no spreadsheet runs what is in them.

A cell that begins like a formula gets an apostrophe before it; the column `adaptery_escaped` names
those cells of its row, so that our reader takes the apostrophes off again and any other can. The
column is there only if there is such a cell.

Which columns there are is known at the end, so rows wait in a file beside until then.
"""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from adaptery.csv_text import begins_like_a_formula
from adaptery.formats.tables import ESCAPED_COLUMN
from adaptery.schemas.mappings import Format

__all__ = ["write_table"]


def write_table(
    rows: Iterator[dict[str, object]], path: Path, format: Format, delimiter: str
) -> int:
    """Write rows under a header; return how many cells got an apostrophe.

    Raises:
        OSError: if it cannot be written.
    """
    columns: dict[str, None] = {}
    escaped = 0
    with tempfile.TemporaryFile("w+", encoding="utf-8", dir=path.parent) as waiting:
        for row in rows:
            cells = {name: _cell(value) for name, value in row.items()}
            columns.update(dict.fromkeys(cells))
            escaped += len(_formulas(cells))
            waiting.write(f"{json.dumps(cells)}\n")
        waiting.seek(0)
        with path.open("w", encoding="utf-8", newline="") as stream:
            header = [*columns, *([ESCAPED_COLUMN] if escaped else [])]
            writer = csv.DictWriter(stream, header, restval="", delimiter=delimiter)
            writer.writeheader()
            for line in waiting:
                cells = cast("dict[str, str]", json.loads(line))
                writer.writerow(_harmless(cells) if escaped else cells)
    return escaped


def _cell(value: object) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _formulas(cells: dict[str, str]) -> list[str]:
    return [name for name, cell in cells.items() if begins_like_a_formula(cell)]


def _harmless(cells: dict[str, str]) -> dict[str, str]:
    formulas = _formulas(cells)
    quoted = {name: f"'{cells[name]}" for name in formulas}
    return {**cells, **quoted, ESCAPED_COLUMN: " ".join(formulas)}
