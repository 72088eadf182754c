"""Which records of a draft someone wants to see, and in what order."""

from __future__ import annotations

import re
from collections.abc import Iterable
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


def conditions(query: RecordQuery) -> tuple[list[str], list[object]]:
    """Return what a filter asks of the columns of a record, as SQL, and the values bound to it."""
    asked: list[tuple[str, object]] = [
        ("kind = ?", query.kind),
        ("file = ?", query.file),
        ("language = ?", query.language),
        ("flags & ? <> 0", query.flag or None),
        ("near_group = ?", query.group),
        ("split = ?", query.split if query.split != "none" else None),
        ("length >= ?", query.min_length),
        ("length <= ?", query.max_length),
    ]
    clauses = [clause for clause, value in asked if value is not None]
    values = [value for _, value in asked if value is not None]
    if query.edited:
        clauses.append("edited > 0")
    if query.duplicates:
        clauses.append("duplicate = 1")
    if query.near_duplicates:
        clauses.append("near_group IS NOT NULL")
    if query.split == "none":
        clauses.append("split IS NULL")
    return clauses, values


def match_of(search: str, field: RecordField | None) -> str:
    """Return the words of a search in the language of FTS5.

    Raises:
        InvalidInputError: it holds no word, or too many.
    """
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
