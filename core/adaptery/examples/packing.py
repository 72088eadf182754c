"""Which examples share a row: as few rows as the longest row allows, nearly.

It knows lengths only. That the examples of a row do not see each other is the trainer's business.

Invariants:

1. Each example is in exactly one row, whole; no row is longer than the capacity.
2. At most one row is half empty or more. What is chosen depends on the lengths alone, so a resumed
   attempt finds the same rows.

Source: best-fit decreasing; Johnson, 1973, "Near-optimal bin packing algorithms": at most 11/9 of
the fewest rows, and 4 more.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence

from adaptery.schemas.spec import OptimSpec

__all__ = ["pack", "row_lengths"]


def row_lengths(lengths: Sequence[int], optim: OptimSpec) -> list[int]:
    """Return the length of each row that a job trains on, in examples or packed."""
    if optim.batching != "packed":
        return list(lengths)
    return [sum(lengths[position] for position in row) for row in pack(lengths, optim.cutoff_len)]


def pack(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Return the positions of the examples in each row; no example may be longer than a row."""
    rows: list[list[int]] = []
    free: list[tuple[int, int]] = []  # tokens left in a row, and its number; sorted
    for position in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        tightest = bisect_left(free, (lengths[position], -1))
        if tightest < len(free):
            left, row = free.pop(tightest)
        else:
            left, row = capacity, len(rows)
            rows.append([])
        rows[row].append(position)
        insort(free, (left - lengths[position], row))
    return rows
