"""The records of one draft: rows, and all that is derived from them.

Invariants:

- The index of words, `length` and `duplicate` are those of the rows after each call.
- Nobody searches in a transaction that writes: in SQLite 3.40 a row that is deleted, searched for
  and inserted again in one transaction damages the index (found by the property test of undo).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, cast

from adaptery.errors import NotFoundError
from adaptery.records import Kind, Record
from adaptery.times import from_text, now, to_text


@dataclass(frozen=True)
class DraftRecord:
    """One record and where it stands."""

    position: int
    record_id: str
    kind: Kind
    text: str  # the record as JSON
    file: str | None
    created_at: datetime
    length: int  # characters of all its text
    changed_at: datetime  # when it got its present content
    edited: bool  # an edit of it stands

    @property
    def record(self) -> Mapping[str, object]:
        """The record as plain JSON."""
        return cast("Mapping[str, object]", json.loads(self.text))


class Place(NamedTuple):
    """Where a record stood that comes back."""

    position: int
    created_at: str


_COLUMNS = "position, record_id, kind, record, file, created_at, length, changed_at, edited"


class Records:
    """The rows of the table `records`, inside one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

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

    def insert(self, record: Record, file: str | None, place: Place | None = None) -> int:
        """Put a record at the end, or back in its place; return its position."""
        position = self._insert(record, file, place)
        self._settle(record.record_id(), position)
        return position

    def insert_all(self, records: Iterable[Record], file: str) -> int:
        """Put records at the end; return how many. `records` may end it by raising."""
        count = 0
        for record in records:  # one by one: some hundred large ones would fill the memory
            self._insert(record, file, None)
            count += 1
        self._connection.execute(
            "UPDATE records SET duplicate = 1 WHERE duplicate = 0 AND record_id IN "
            "(SELECT record_id FROM records GROUP BY record_id HAVING count(*) > 1)"
        )
        return count

    def change(self, before: DraftRecord, record: Record) -> None:
        """Give a record new content in its place."""
        plain, record_id = record.to_dict(), record.record_id()
        self._unindex(before)
        self._connection.execute(
            "UPDATE records SET record_id = ?, kind = ?, record = ?, length = ?, changed_at = ? "
            "WHERE position = ?",
            (
                record_id,
                record.kind,
                dump(record),
                length_of(plain),
                to_text(now()),
                before.position,
            ),
        )
        self._index(before.position, plain)
        self._settle(before.record_id)
        self._settle(record_id, before.position)

    def delete(self, record: DraftRecord) -> None:
        """Remove a record."""
        self._unindex(record)
        self._connection.execute("DELETE FROM records WHERE position = ?", (record.position,))
        self._settle(record.record_id)

    def delete_file(self, file: str) -> int:
        """Remove every record of a file; return how many."""
        for record in self.select("WHERE file = ?", file):
            self._unindex(record)
        removed = self._connection.execute("DELETE FROM records WHERE file = ?", (file,)).rowcount
        self._connection.execute(
            "UPDATE records AS r SET duplicate = 0 WHERE position IN (SELECT position FROM records "
            "INDEXED BY records_by_position WHERE duplicate = 1) AND NOT EXISTS (SELECT 1 FROM "
            "records AS twin WHERE twin.record_id = r.record_id AND twin.position <> r.position)"
        )
        # The index only marks words as deleted until its segments are merged.
        self._connection.execute("INSERT INTO search (search) VALUES ('optimize')")
        return removed

    def note_edits(self, position: int) -> None:
        """Set whether an edit of the record stands, after the log has changed."""
        self._connection.execute(
            "UPDATE records SET edited = EXISTS (SELECT 1 FROM edits "
            "WHERE edits.position = records.position AND undone = 0) WHERE position = ?",
            (position,),
        )

    def _insert(self, record: Record, file: str | None, place: Place | None) -> int:
        plain, moment = record.to_dict(), to_text(now())
        cursor = self._connection.execute(
            "INSERT INTO records "
            "(position, record_id, kind, record, file, created_at, length, changed_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                place.position if place else None,
                record.record_id(),
                record.kind,
                _dump(plain),
                file,
                place.created_at if place else moment,
                length_of(plain),
                moment,
            ),
        )
        position = cursor.lastrowid
        assert position is not None
        self._index(position, plain)
        return position

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

    def _index(self, position: int, record: Mapping[str, object]) -> None:
        self._connection.execute(
            "INSERT INTO search (rowid, text) VALUES (?, ?)", (position, _words_of(record))
        )

    def _unindex(self, record: DraftRecord) -> None:
        # A contentless index must be told exactly the text that it was given.
        self._connection.execute(
            "INSERT INTO search (search, rowid, text) VALUES ('delete', ?, ?)",
            (record.position, _words_of(record.record)),
        )


def dump(record: Record) -> str:
    """Return a record as the JSON that a draft keeps."""
    return _dump(record.to_dict())


def length_of(record: Mapping[str, object]) -> int:
    """Return the characters of all text in a record."""
    return sum(map(len, _texts(record)))


def _dump(plain: Mapping[str, object]) -> str:
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":"))


def _draft_record(row: tuple[int, str, Kind, str, str | None, str, int, str, int]) -> DraftRecord:
    position, record_id, kind, text, file, created_at, length, changed_at, edited = row
    return DraftRecord(
        position,
        record_id,
        kind,
        text,
        file,
        from_text(created_at),
        length,
        from_text(changed_at),
        bool(edited),
    )


def _words_of(value: object) -> str:
    """Return every text in a record below its contents, in a fixed order."""
    return "\n".join(_texts(value))


def _texts(value: object, key: str = "") -> Iterator[str]:
    if isinstance(value, str):
        if key not in {"kind", "role"}:  # every record would match those
            yield value
    elif isinstance(value, Mapping):
        for name in sorted(value):
            yield from _texts(value[name], name)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
