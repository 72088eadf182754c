"""Tables in a terminal: columns of one width each, two spaces apart."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["aligned"]


def aligned(rows: Sequence[Sequence[object]], numbers: int = 0) -> list[str]:
    """Return a line for each row; None is an empty cell.

    Args:
        rows: of one length; the first one may hold the titles.
        numbers: so many of the last columns stand at the right of theirs.
    """
    cells = [["" if value is None else f"{value}" for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    texts = len(widths) - numbers
    return [
        "  ".join(
            cell.rjust(width) if place >= texts else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
