"""The records of one draft: rows of the table `records` and their entries in the index of words."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import NamedTuple, cast

from adaptery.errors import NotFoundError
from adaptery.records import Kind, Record
from adaptery.schemas.curation import RECORD_FIELDS
from adaptery.times import from_text, now, to_text
from adaptery_hub.drafts.contents import NOTHING_KNOWN, State
from adaptery_hub.drafts.words import length_of, words_and_length, words_of

#: Records that are written at once, and characters of them: memory, and one statement for many.
BLOCK_RECORDS = 500
BLOCK_CHARACTERS = 4 * 1024 * 1024

_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_COLUMNS = (
    "position, record_id, kind, record, file, created_at, length, changed_at, edited, "
    "language, flags, near_group, split"
)
# Names of columns are constants; every value is bound.
_INSERT = f"INSERT INTO records ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
_FIELDS = ", ".join(RECORD_FIELDS)
_FIELD_VALUES = ", ".join("?" * len(RECORD_FIELDS))
_INDEX = f"INSERT INTO search (rowid, {_FIELDS}) VALUES (?, {_FIELD_VALUES})"  # noqa: S608
# A contentless index must be told exactly the text that it was given.
_UNINDEX = f"INSERT INTO search (search, rowid, {_FIELDS}) VALUES ('delete', ?, {_FIELD_VALUES})"  # noqa: S608


@dataclass(frozen=True)
class DraftRecord:
    """One record and where it stands."""

    position: int
    record_id: str
    kind: Kind
    text: str  # the record as JSON
    file: str | None  # or collated source
    created_at: datetime
    length: int  # characters of all its text
    changed_at: datetime  # when it got its present content
    edits: int  # of it that stand
    language: str | None = None
    flags: int = 0  # a bit for each of QUALITY_FLAGS
    group: int | None = None  # of near-duplicates
    split: str | None = None

    @property
    def record(self) -> Mapping[str, object]:
        """The record as plain JSON."""
        return cast("Mapping[str, object]", json.loads(self.text))

    @property
    def edited(self) -> bool:
        """Whether an edit of it stands."""
        return self.edits > 0

    @property
    def state(self) -> State:
        """What is known of it besides its content."""
        return State(self.edits, self.language, self.flags, self.group, self.split)


class Place(NamedTuple):
    """Where a record stood that comes back."""

    position: int
    created_at: str


class Records:
    """The records of a draft, inside one transaction.

    Whoever changes many at once passes `settle=False` and calls `settle_all` at the end.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    # -- reading ------------------------------------------------------------------------------

    def get(self, position: int) -> DraftRecord:
        """Return the record at a position.

        Raises:
            NotFoundError: there is none.
        """
        found = self.find(position)
        if found is None:
            raise NotFoundError("There is no such record in this draft.")
        return found

    def find(self, position: int) -> DraftRecord | None:
        """Return the record at a position, or None."""
        return next(self.select("WHERE position = ?", position), None)

    def select(self, rest: str, *values: object) -> Iterator[DraftRecord]:
        """Yield the records that the rest of a statement names."""
        # `rest` is a constant of this package; every value is bound.
        statement = f"SELECT {_COLUMNS} FROM records AS r {rest}"  # noqa: S608
        return map(_draft_record, self._connection.execute(statement, values))

    def count(self, file: str | None = None) -> int:
        """Return how many records there are, of one file if it is given."""
        where, values = ("WHERE file = ?", (file,)) if file else ("", ())
        statement = f"SELECT count(*) FROM records {where}"  # noqa: S608
        return int(self._connection.execute(statement, values).fetchone()[0])

    def count_by_file(self) -> list[tuple[str | None, int]]:
        """Return how many records each file has; see `Draft.files`."""
        rows = self._connection.execute(
            "SELECT file, count(*) FROM records GROUP BY file ORDER BY file IS NOT NULL, "
            "min(position)"
        )
        return [(row[0], row[1]) for row in rows]

    def count_by_split(self) -> dict[str | None, int]:
        """Return how many records each split has."""
        return dict(
            self._connection.execute(
                "SELECT split, count(*) FROM records INDEXED BY records_by_position GROUP BY split"
            ).fetchall()
        )

    # -- one record ---------------------------------------------------------------------------

    def insert(
        self,
        record: Record,
        file: str | None,
        place: Place | None = None,
        state: State = NOTHING_KNOWN,
        *,
        settle: bool = True,
    ) -> int:
        """Put a record at the end, or back in its place; return its position."""
        position = place.position if place else self._next_position()
        row, words = _rows_of(record, position, file, place, to_text(now()), state)
        self._connection.execute(_INSERT, row)
        self._connection.execute(_INDEX, words)
        if settle:
            self._settle(cast("str", row[1]), position)
        return position

    def change(
        self, before: DraftRecord, record: Record, state: State, *, settle: bool = True
    ) -> None:
        """Give a record new content in its place."""
        plain, record_id = record.to_dict(), record.record_id()
        self._unindex(before)
        self._connection.execute(
            "UPDATE records SET record_id = ?, kind = ?, record = ?, length = ?, changed_at = ?, "
            "edited = ?, language = ?, flags = ?, near_group = ?, split = ? WHERE position = ?",
            (
                record_id,
                record.kind,
                _dump(plain),
                length_of(plain),
                to_text(now()),
                *state,
                before.position,
            ),
        )
        self._connection.execute(_INDEX, (before.position, *words_of(plain)))
        if settle:
            self._settle(before.record_id)
            self._settle(record_id, before.position)

    def delete(self, record: DraftRecord, *, settle: bool = True) -> None:
        """Remove a record."""
        self._unindex(record)
        self._connection.execute("DELETE FROM records WHERE position = ?", (record.position,))
        if settle:
            self._settle(record.record_id)

    # -- many records -------------------------------------------------------------------------

    def insert_all(self, records: Iterable[Record], file: str | None) -> int:
        """Put records at the end; return how many. `records` may end it by raising."""
        first = position = self._next_position()
        moment = to_text(now())
        rows: list[tuple[object, ...]] = []
        words: list[tuple[object, ...]] = []
        characters = 0
        for record in records:
            row, its_words = _rows_of(record, position, file, None, moment, NOTHING_KNOWN)
            rows.append(row)
            words.append(its_words)
            characters += cast("int", row[6])
            position += 1
            if len(rows) == BLOCK_RECORDS or characters > BLOCK_CHARACTERS:
                self._insert_block(rows, words)
                characters = 0
        self._insert_block(rows, words)
        self.settle_all()
        return position - first

    def delete_file(self, file: str) -> int:
        """Remove every record of a file; return how many."""
        rows = self._connection.execute(
            "SELECT position, record FROM records WHERE file = ?", (file,)
        )
        while block := rows.fetchmany(BLOCK_RECORDS):
            gone = [(position, *words_of(json.loads(text))) for position, text in block]
            self._connection.executemany(_UNINDEX, gone)
        removed = self._connection.execute("DELETE FROM records WHERE file = ?", (file,)).rowcount
        self.settle_all()
        self.purge_words()
        return removed

    def longest(self) -> int:
        """Return the length of the longest record; 0 if there is none."""
        return self._connection.execute("SELECT max(length) FROM records").fetchone()[0] or 0

    def set_column(self, column: str, values: Iterable[tuple[int, object]]) -> int:
        """Set one of `language`, `flags`, `near_group`, `split` of records; return how many it was.

        Args:
            column: which.
            values: position and value; positions without a record are passed over.
        """
        assert column in ("language", "flags", "near_group", "split")
        # Only what differs: each change costs the three indexes two entries.
        statement = f"UPDATE records SET {column} = ?1 WHERE position = ?2 AND {column} IS NOT ?1"  # noqa: S608
        changed = 0
        rows = iter(values)
        while block := [(value, position) for position, value in islice(rows, BLOCK_RECORDS)]:
            changed += self._connection.executemany(statement, block).rowcount
        return changed

    def settle_all(self) -> None:
        """Set `duplicate` of all records."""
        self._connection.execute(
            "UPDATE records SET duplicate = 1 WHERE duplicate = 0 AND record_id IN "
            "(SELECT record_id FROM records GROUP BY record_id HAVING count(*) > 1)"
        )
        self._connection.execute(
            "UPDATE records AS r SET duplicate = 0 WHERE position IN (SELECT position FROM records "
            "INDEXED BY records_by_position WHERE duplicate = 1) AND NOT EXISTS (SELECT 1 FROM "
            "records AS twin WHERE twin.record_id = r.record_id AND twin.position <> r.position)"
        )

    def purge_words(self) -> None:
        """Take words out of the index that no record holds any more.

        Removing only marks them there until its parts are merged.
        """
        self._connection.execute("INSERT INTO search (search) VALUES ('optimize')")

    def _next_position(self) -> int:
        row = self._connection.execute(
            "SELECT seq FROM sqlite_sequence WHERE name = 'records'"
        ).fetchone()
        return (int(row[0]) if row else 0) + 1

    def _insert_block(
        self, rows: list[tuple[object, ...]], words: list[tuple[object, ...]]
    ) -> None:
        self._connection.executemany(_INSERT, rows)
        self._connection.executemany(_INDEX, words)
        rows.clear()
        words.clear()

    def _unindex(self, record: DraftRecord) -> None:
        self._connection.execute(_UNINDEX, (record.position, *words_of(record.record)))

    def _settle(self, record_id: str, changed: int | None = None) -> None:
        """Set `duplicate` where it may have changed: on two records with this id, and on one."""
        rows = self._connection.execute(
            "SELECT position FROM records WHERE record_id = ? LIMIT 2", (record_id,)
        ).fetchall()
        duplicate = int(len(rows) > 1)
        for position in {row[0] for row in rows} | ({changed} if changed else set()):
            self._connection.execute(
                "UPDATE records SET duplicate = ? WHERE position = ? AND duplicate <> ?",
                (duplicate, position, duplicate),
            )


def dump(record: Record) -> str:
    """Return a record as the JSON that a draft keeps."""
    return _dump(record.to_dict())


def _dump(plain: Mapping[str, object]) -> str:
    return _JSON.encode(plain)


def _rows_of(
    record: Record, position: int, file: str | None, place: Place | None, moment: str, state: State
) -> tuple[tuple[object, ...], tuple[object, ...]]:
    """Return the rows of a record: for the table, and for the index of words."""
    plain = record.to_dict()
    words, length = words_and_length(plain)
    row = (
        position,
        record.record_id(),
        record.kind,
        _dump(plain),
        file,
        place.created_at if place else moment,
        length,
        moment,
        *state,
    )
    return row, (position, *words)


def _draft_record(row: Sequence[object]) -> DraftRecord:
    position, record_id, kind, text, file, created_at, length, changed_at, *state = row
    return DraftRecord(
        cast("int", position),
        cast("str", record_id),
        cast("Kind", kind),
        cast("str", text),
        cast("str | None", file),
        from_text(cast("str", created_at)),
        cast("int", length),
        from_text(cast("str", changed_at)),
        *cast("State", state),
    )
