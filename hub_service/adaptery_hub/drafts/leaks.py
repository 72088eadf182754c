"""Leaks that the last check of a draft found: records on two sides that should know of one only."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal, cast

from adaptery.schemas.lineage import Split

LeakKind = Literal["exact", "prompt", "near"]

#: Pairs that are kept; of more, only how many there are.
PAIRS_KEPT = 10_000


@dataclass(frozen=True)
class LeakPair:
    """A record of the draft, and another one that it should not be like."""

    kind: LeakKind
    position: int
    split: Split | None
    source: str | None  # id of another dataset or version; None: this draft
    other: int  # position there
    other_split: Split | None
    similarity: float | None = None
    number: int = 0  # in the list


class Leaks:
    """The rows of the table `leaks`, inside one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def replace(self, pairs: Iterable[LeakPair]) -> None:
        """Keep these pairs instead of those of the check before."""
        self._connection.execute("DELETE FROM leaks")
        self._connection.executemany(
            "INSERT INTO leaks (kind, position, split, source, other, other_split, similarity) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                (p.kind, p.position, p.split, p.source, p.other, p.other_split, p.similarity)
                for p in pairs
            ),
        )

    def sources(self) -> list[str]:
        """Return the other datasets and versions that are named."""
        rows = self._connection.execute(
            "SELECT DISTINCT source FROM leaks WHERE source IS NOT NULL"
        )
        return [row[0] for row in rows]

    def page(self, after: int, limit: int, hidden: Collection[str] = ()) -> list[LeakPair]:
        """Return up to `limit` pairs behind one, without those of hidden sources."""
        without = ", ".join("?" * len(hidden))
        where = f"number > ? AND (source IS NULL OR source NOT IN ({without}))"
        rows = self._connection.execute(
            "SELECT kind, position, split, source, other, other_split, similarity, number "  # noqa: S608
            f"FROM leaks WHERE {where} ORDER BY number LIMIT ?",
            (after, *hidden, limit),
        )
        return [
            LeakPair(
                cast("LeakKind", kind), position, split, source, other, other_split, alike, number
            )
            for kind, position, split, source, other, other_split, alike, number in rows
        ]
