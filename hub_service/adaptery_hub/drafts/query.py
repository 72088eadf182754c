"""Which records of a draft someone wants to see, and in what order.

Each order has one index that also holds all that a filter asks for. So whatever is asked, SQLite
walks one narrow index to the page and reads the few rows that are on it; it never sorts.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import get_args

from adaptery.errors import InvalidInputError
from adaptery.records import Kind
from adaptery.schemas.curation import RecordField, RecordFilter, RecordOrder
from adaptery.schemas.review import QUALITY_FLAGS, QualityFlag

#: Words of one search; more cost time and find nothing.
SEARCH_WORDS_MAX = 16
SEARCH_CHARACTERS_MAX = 400
#: What the index takes for words: punctuation ends one. A phrase of hundreds takes many seconds.
SEARCH_PARTS_MAX = 32

ORDERS: tuple[RecordOrder, ...] = get_args(RecordOrder)

_PART = re.compile(r"[^\W_]+")

_INDEXES: Mapping[str, tuple[str, str]] = {
    "position": ("records_by_position", "position"),
    "length": ("records_by_length", "length"),
    "changed": ("records_by_change", "changed_at"),
}


@dataclass(frozen=True)
class RecordQuery:
    """A filter, an order and a place in the list that these give."""

    search: str | None = None
    field: RecordField | None = None  # where the words stand
    file: str | None = None
    kind: Kind | None = None
    edited: bool = False  # only those that an edit changed or added
    duplicates: bool = False  # only those whose record_id occurs again
    language: str | None = None
    flag: int = 0  # bits of QUALITY_FLAGS, of which a record has one
    group: int | None = None
    near_duplicates: bool = False  # only those in a group
    split: str | None = None  # "none": those that have none
    min_length: int | None = None
    max_length: int | None = None
    order: RecordOrder = "position"
    after: int = 0  # a position; only with the order `position`
    offset: int = 0
    limit: int = 50

    def __post_init__(self) -> None:
        assert self.order == "position" or not self.after, "a position says nothing in this order"

    @classmethod
    def of(
        cls,
        wanted: RecordFilter,
        *,
        order: RecordOrder = "position",
        after: int = 0,
        offset: int = 0,
        limit: int = 50,
    ) -> RecordQuery:
        """Return a filter of the API as a query."""
        fields = {name: getattr(wanted, name) for name in RecordFilter.model_fields}
        flag = fields.pop("flag")
        return cls(
            **fields,
            flag=flag_bits((flag,)) if flag else 0,
            order=order,
            after=after,
            offset=offset,
            limit=limit,
        )


def flag_bits(flags: Iterable[QualityFlag]) -> int:
    """Return the number that the draft keeps for a set of flags."""
    return sum(1 << QUALITY_FLAGS.index(flag) for flag in set(flags))


def flag_names(bits: int) -> tuple[QualityFlag, ...]:
    """Return the flags that a number stands for."""
    return tuple(flag for place, flag in enumerate(QUALITY_FLAGS) if bits >> place & 1)


class Found:
    """What a query finds in a draft, inside one transaction."""

    def __init__(self, connection: sqlite3.Connection, query: RecordQuery) -> None:
        """Take the query.

        Raises:
            InvalidInputError: the search holds no word, or too many.
        """
        self._connection = connection
        self._query = query
        self._match = None if query.search is None else _match(query.search, query.field)
        self._clauses, self._values = _filter(query)
        self._words_only = self._match is not None and not self._clauses
        self._found_words = False

    def total(self) -> int:
        """Return how many records the filter lets through, on all pages."""
        if self._words_only:
            statement, values = "SELECT count(*) FROM search WHERE search MATCH ?", [self._match]
        else:
            # The clauses are constants of this module; every value is bound.
            statement = f"SELECT count(*) FROM records AS r {self._where('position', [])}"  # noqa: S608
            values = self._values
        return int(self._connection.execute(statement, values).fetchone()[0])

    def positions(self) -> list[int]:
        """Return the positions on the page that was asked for, in order."""
        query = self._query
        key, down = query.order.removeprefix("-"), " DESC" if query.order.startswith("-") else ""
        if self._words_only and key == "position":
            # The index of words is in this order itself, and need not be read to its end.
            source = "rowid AS position FROM search WHERE search MATCH ? AND rowid > ?"
            values = [self._match, query.after]
        else:
            source = f"position FROM records AS r {self._where(key, ['position > ?'])}"
            values = [*self._values, query.after]
        columns = dict.fromkeys((_INDEXES[key][1], "position"))
        order = ", ".join(f"{column}{down}" for column in columns)
        statement = f"SELECT {source} ORDER BY {order} LIMIT ? OFFSET ?"
        rows = self._connection.execute(statement, (*values, query.limit, query.offset))
        return [row[0] for row in rows]

    def all_positions(self) -> list[int]:
        """Return the positions of all that the filter lets through, in the order of positions."""
        if self._words_only:
            statement, values = "SELECT rowid FROM search WHERE search MATCH ?", [self._match]
        else:
            where = self._where("position", [])
            statement = f"SELECT position FROM records AS r {where} ORDER BY position"  # noqa: S608
            values = self._values
        return [row[0] for row in self._connection.execute(statement, values)]

    def _where(self, key: str, more: list[str]) -> str:
        clauses = [*self._clauses, *more]
        if self._match is not None:
            self._find_words(self._match)
            clauses.append("EXISTS (SELECT 1 FROM hits WHERE hits.position = r.position)")
        return f"INDEXED BY {_INDEXES[key][0]} WHERE {' AND '.join(clauses or ['1'])}"

    def _find_words(self, match: str) -> None:
        """Put the positions of all records with the words into the table `hits`, once."""
        # Total and page both need them, and a common word is in every record.
        if self._found_words:
            return
        self._found_words = True
        self._connection.execute("DROP TABLE IF EXISTS temp.hits")
        self._connection.execute("CREATE TEMP TABLE hits (position INTEGER PRIMARY KEY)")
        self._connection.execute(
            "INSERT INTO temp.hits SELECT rowid FROM search WHERE search MATCH ? ORDER BY rowid",
            (match,),
        )


def _filter(query: RecordQuery) -> tuple[list[str], list[object]]:
    conditions: list[tuple[str, object]] = [
        ("kind = ?", query.kind),
        ("file = ?", query.file),
        ("language = ?", query.language),
        ("flags & ? <> 0", query.flag or None),
        ("near_group = ?", query.group),
        ("split = ?", query.split if query.split != "none" else None),
        ("length >= ?", query.min_length),
        ("length <= ?", query.max_length),
    ]
    clauses = [clause for clause, value in conditions if value is not None]
    values = [value for _, value in conditions if value is not None]
    if query.edited:
        clauses.append("edited > 0")
    if query.duplicates:
        clauses.append("duplicate = 1")
    if query.near_duplicates:
        clauses.append("near_group IS NOT NULL")
    if query.split == "none":
        clauses.append("split IS NULL")
    return clauses, values


def _match(search: str, field: RecordField | None) -> str:
    words = search.replace("\0", " ").split()  # which would end the text for SQLite
    if not words or len(words) > SEARCH_WORDS_MAX or len(search) > SEARCH_CHARACTERS_MAX:
        raise InvalidInputError(
            f"A search has 1 to {SEARCH_WORDS_MAX} words and at most "
            f"{SEARCH_CHARACTERS_MAX} characters.",
            hint="Give fewer words.",
        )
    if len(_PART.findall(search)) > SEARCH_PARTS_MAX:
        raise InvalidInputError(
            "Punctuation makes too many words of this search.", hint="Give fewer words."
        )
    # Quoted, a word is a phrase to FTS5 and none of its operators.
    phrases = ['"' + word.replace('"', '""') + '"' for word in words]
    # People look while they type, so the last word may go on. A single letter of the Latin
    # alphabet would find about everything, slowly.
    if len(words[-1]) > 1 or not words[-1].isascii():
        phrases[-1] += "*"
    # A field is one of a fixed set, and the name of a column of the index.
    return f"{field} : ({' '.join(phrases)})" if field else " ".join(phrases)
