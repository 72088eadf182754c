"""What a query finds in a draft.

Each order has one index that also holds all that a filter asks for. So whatever is asked, SQLite
walks one narrow index to the page and reads the few rows that are on it; it never sorts. The words
of a search are found in their own index, and both lists of positions are brought together here: for
SQLite, that would be a look into a tree for each record of a common word.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from adaptery_hub.drafts.query import RecordQuery, conditions, match_of

Positions = npt.NDArray[np.int64]

_INDEXES: Mapping[str, tuple[str, str]] = {
    "position": ("records_by_position", "position"),
    "length": ("records_by_length", "length, position"),
    "changed": ("records_by_change", "changed_at, position"),
}


class Found:
    """What a query finds, inside one transaction."""

    def __init__(self, connection: sqlite3.Connection, query: RecordQuery) -> None:
        """Take the query.

        Raises:
            InvalidInputError: the search holds no word, or too many.
        """
        self._connection = connection
        self._query = query
        self._match = None if query.search is None else match_of(query.search, query.field)
        self._clauses, self._values = conditions(query)
        self._key = query.order.removeprefix("-")
        self._down = query.order.startswith("-")

    def total(self) -> int:
        """Return how many records the filter lets through, on all pages."""
        if self._match is None:
            return self._number(f"count(*) FROM records {self._where('position')}", self._values)
        if not self._clauses:
            return self._number("count(*) FROM search WHERE search MATCH ?", [self._match])
        return len(self._with_words)

    def positions(self) -> list[int]:
        """Return the positions on the page that was asked for, in order."""
        query = self._query
        if self._match is not None and (self._clauses or self._key != "position"):
            found = self._with_words[self._with_words > query.after]
            return found[query.offset : query.offset + query.limit].tolist()
        down = " DESC" if self._down else ""
        if self._match is not None:
            # The index of words is in this order itself, and need not be read to its end.
            source = "rowid AS position FROM search WHERE search MATCH ? AND rowid > ?"
            values = [self._match, query.after]
        else:
            source = f"position FROM records {self._where(self._key)} AND position > ?"
            values = [*self._values, query.after]
        order = _INDEXES[self._key][1].replace(",", f"{down},") + down
        # Clauses and names are constants of this package; every value is bound.
        statement = f"SELECT {source} ORDER BY {order} LIMIT ? OFFSET ?"
        rows = self._connection.execute(statement, (*values, query.limit, query.offset))
        return [row[0] for row in rows]

    def all_positions(self) -> list[int]:
        """Return the positions of all that the filter lets through, in order."""
        found = self._filtered() if self._match is None else self._with_words
        return found.tolist()

    @cached_property
    def _with_words(self) -> Positions:
        """All that the filter lets through, words included, in order."""
        hits = self._list(
            "SELECT rowid AS position FROM search WHERE search MATCH ?", [self._match]
        )
        if not self._clauses and self._key == "position":
            return hits[::-1] if self._down else hits
        filtered = self._filtered()
        holds = np.zeros(max(hits.max(initial=0), filtered.max(initial=0)) + 1, np.bool_)
        holds[hits] = True
        return filtered[holds[filtered]]

    def _filtered(self) -> Positions:
        """All that the filter lets through but for its words, in order."""
        order = _INDEXES[self._key][1]
        where = self._where(self._key)
        statement = f"SELECT position FROM records {where} ORDER BY {order}"  # noqa: S608
        found = self._list(statement, self._values)
        return found[::-1] if self._down else found

    def _where(self, key: str) -> str:
        return f"INDEXED BY {_INDEXES[key][0]} WHERE {' AND '.join(self._clauses or ['1'])}"

    def _number(self, source: str, values: Sequence[object]) -> int:
        return int(self._connection.execute(f"SELECT {source}", values).fetchone()[0])

    def _list(self, statement: str, values: Sequence[object]) -> Positions:
        """Return the positions that a statement selects; as one text, which is read the fastest."""
        statement = f"SELECT group_concat(position) FROM ({statement})"  # noqa: S608
        row = self._connection.execute(statement, values).fetchone()
        return np.fromstring(row[0] or "", np.int64, sep=",")
