"""Drafts: the mutable workspace of a dataset, one SQLite file each.

A draft holds the records in their order, an edit log and a full-text index. It knows nothing of
tenants, rights or versions; callers have checked those.

Invariants:

- A record in a draft is valid and canonical: it passed `Record.from_dict`, `record_id` is its id.
- A position is never given twice, so it names a record for as long as the draft lives.
- Each call of `Drafts.write` is one transaction; writes to one draft take turns.
- Every change of a single record is in the edit log, with what was there before.
- A draft file exists exactly as long as its dataset; nothing but `create` makes one.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from weakref import WeakValueDictionary

from adaptery.errors import InvalidInputError, NotFoundError, TooLargeError
from adaptery.records import Record
from adaptery.times import from_text, now, to_text
from adaptery_hub.paging import take_page

T = TypeVar("T")

#: Threads that work on drafts. Imports and publishes hold one for as long as they take.
DRAFT_THREADS = 4
#: How long a draft's file may be locked by another process before a call fails.
BUSY_TIMEOUT_SECONDS = 10.0
#: Words of one search; more cost time and find nothing.
SEARCH_WORDS_MAX = 16
SEARCH_CHARACTERS_MAX = 400

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    record_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    record TEXT NOT NULL,  -- JSON of Record.to_dict()
    file TEXT,             -- id of the file it came from; null: added by hand
    created_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS records_by_id ON records (record_id, position);
CREATE INDEX IF NOT EXISTS records_by_file ON records (file, position);
CREATE TABLE IF NOT EXISTS edits (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    editor TEXT NOT NULL,  -- tenant id
    action TEXT NOT NULL,  -- add | replace | remove
    position INTEGER NOT NULL,
    before TEXT,
    after TEXT
);
-- Contentless: the words are indexed, the text is kept once, in records.
CREATE VIRTUAL TABLE IF NOT EXISTS search USING fts5 (text, content='', tokenize='unicode61');
"""


@dataclass(frozen=True)
class DraftRecord:
    """One record and where it stands."""

    position: int
    record_id: str
    record: Mapping[str, object]
    file: str | None
    created_at: datetime


class Draft:
    """One open draft, inside one transaction. Blocking: use it in a thread only."""

    def __init__(self, connection: sqlite3.Connection, max_records: int) -> None:
        self._connection = connection
        self._max_records = max_records

    def count(self, file: str | None = None) -> int:
        """Return how many records there are, of one file if it is given."""
        where, values = ("WHERE file = ?", (file,)) if file else ("", ())
        return self._value(f"SELECT count(*) FROM records {where}", values)  # noqa: S608

    def page(
        self, after: int, limit: int, *, search: str | None = None, file: str | None = None
    ) -> list[DraftRecord]:
        """Return up to `limit` records behind position `after`, in order; fewer if they are large.

        Raises:
            InvalidInputError: `search` holds no word, or too many.
        """
        clauses = ["position > ?"]
        values: list[int | str] = [after]
        if file is not None:
            clauses.append("file = ?")
            values.append(file)
        if search is not None:
            clauses.append("position IN (SELECT rowid FROM search WHERE search MATCH ?)")
            values.append(_match(search))
        # The clauses are constants of this function; every value is bound.
        statement = (
            "SELECT position, record_id, record, file, created_at FROM records "  # noqa: S608
            f"WHERE {' AND '.join(clauses)} ORDER BY position LIMIT ?"
        )
        rows = self._connection.execute(statement, (*values, limit))
        return [_record(row) for row in take_page(rows, _record_length, limit)]

    def get(self, position: int) -> DraftRecord:
        """Return the record at a position.

        Raises:
            NotFoundError: there is none.
        """
        row = self._connection.execute(
            "SELECT position, record_id, record, file, created_at FROM records WHERE position = ?",
            (position,),
        ).fetchone()
        if row is None:
            raise NotFoundError("There is no such record in this draft.")
        return _record(row)

    def add(self, record: Record, editor: str) -> DraftRecord:
        """Append a record and log it.

        Raises:
            TooLargeError: the draft is full.
        """
        self._check_room(1)
        position = self._insert(record, None)
        self._log(editor, "add", position, None, record)
        return self.get(position)

    def replace(self, position: int, record: Record, editor: str) -> DraftRecord:
        """Give a record new content in its place and log it.

        Raises:
            NotFoundError: there is no record at this position.
        """
        before = self.get(position)
        self._unindex(before)
        self._connection.execute(
            "UPDATE records SET record_id = ?, kind = ?, record = ? WHERE position = ?",
            (record.record_id(), record.kind, _dump(record), position),
        )
        self._index(position, record.to_dict())
        self._log(editor, "replace", position, before, record)
        return self.get(position)

    def remove(self, position: int, editor: str) -> None:
        """Remove a record and log it.

        Raises:
            NotFoundError: there is no record at this position.
        """
        before = self.get(position)
        self._unindex(before)
        self._connection.execute("DELETE FROM records WHERE position = ?", (position,))
        self._log(editor, "remove", position, before, None)

    def import_records(self, records: Iterable[Record], file: str) -> int:
        """Append the records of a file; return how many. One transaction: all or none.

        Raises:
            TooLargeError: the draft is full.
            Exception: whatever `records` raises.
        """
        room = self._max_records - self.count()
        imported = 0
        for record in records:  # one by one: some hundred large ones would fill the memory
            imported += 1
            if imported > room:
                self._check_room(imported)
            self._insert(record, file)
        return imported

    def remove_file(self, file: str) -> int:
        """Remove every record of a file, its edits included; return how many."""
        for row in self._connection.execute(
            "SELECT position, record_id, record, file, created_at FROM records WHERE file = ?",
            (file,),
        ).fetchall():
            self._unindex(_record(row))
        # What the user deleted must not live on in the log of edits.
        self._connection.execute(
            "DELETE FROM edits WHERE position IN (SELECT position FROM records WHERE file = ?)",
            (file,),
        )
        removed = self._connection.execute("DELETE FROM records WHERE file = ?", (file,)).rowcount
        # The index only marks words as deleted until its segments are merged.
        self._connection.execute("INSERT INTO search (search) VALUES ('optimize')")
        return removed

    def unique_records(self) -> Iterator[DraftRecord]:
        """Yield each different record once, at its first position, in order."""
        rows = self._connection.execute(
            "SELECT position, record_id, record, file, created_at FROM records AS r "
            "WHERE NOT EXISTS (SELECT 1 FROM records AS earlier WHERE "
            "earlier.record_id = r.record_id AND earlier.position < r.position) ORDER BY position"
        )
        return (_record(row) for row in rows)

    def edits(self) -> int:
        """Return how many edits are in the log."""
        return self._value("SELECT count(*) FROM edits", ())

    def _insert(self, record: Record, file: str | None) -> int:
        cursor = self._connection.execute(
            "INSERT INTO records (record_id, kind, record, file, created_at) "
            "VALUES (?, ?, ?, ?, ?)",
            (record.record_id(), record.kind, _dump(record), file, to_text(now())),
        )
        position = cursor.lastrowid
        assert position is not None
        self._index(position, record.to_dict())
        return position

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

    def _log(
        self,
        editor: str,
        action: str,
        position: int,
        before: DraftRecord | None,
        after: Record | None,
    ) -> None:
        self._connection.execute(
            "INSERT INTO edits (at, editor, action, position, before, after) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (
                to_text(now()),
                editor,
                action,
                position,
                None if before is None else json.dumps(before.record, ensure_ascii=False),
                None if after is None else _dump(after),
            ),
        )

    def _check_room(self, more: int) -> None:
        held = self.count()
        if held + more > self._max_records:
            raise TooLargeError(
                f"A draft holds at most {self._max_records} records.",
                hint="Split the data into several datasets.",
            )

    def _value(self, statement: str, values: tuple[object, ...]) -> int:
        return int(self._connection.execute(statement, values).fetchone()[0])


class Drafts:
    """All drafts of the service."""

    def __init__(self, folder: Path, max_records: int) -> None:
        self._folder = folder
        self._max_records = max_records
        self._threads = ThreadPoolExecutor(DRAFT_THREADS, thread_name_prefix="draft")
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    async def create(self, dataset_id: str) -> None:
        """Make the empty draft of a new dataset."""
        await self._in_thread(lambda: self._create(dataset_id))

    async def read(self, dataset_id: str, fn: Callable[[Draft], T]) -> T:
        """Run `fn` on one snapshot of a draft.

        Raises:
            NotFoundError: there is no such draft (any more).
        """
        return await self._in_thread(lambda: self.read_now(dataset_id, fn))

    async def write(self, dataset_id: str, fn: Callable[[Draft], T]) -> T:
        """Run `fn` in a transaction on a draft, after every write that came before.

        Raises:
            NotFoundError: there is no such draft (any more).
        """
        async with self._lock(dataset_id):
            return await self._in_thread(lambda: self._run(dataset_id, fn, "BEGIN IMMEDIATE"))

    async def remove(self, dataset_id: str) -> None:
        """Delete a draft with all it holds; nothing happens if there is none."""
        async with self._lock(dataset_id):
            await self._in_thread(lambda: self._remove(dataset_id))

    def read_now(self, dataset_id: str, fn: Callable[[Draft], T]) -> T:
        """Like `read`, in the calling thread."""
        return self._run(dataset_id, fn, "BEGIN")

    def dataset_ids(self) -> list[str]:
        """Return the datasets that have a draft file."""
        return [path.stem for path in self._folder.glob("*.sqlite")]

    def close(self) -> None:
        """Wait for running calls."""
        self._threads.shutdown(wait=True)

    def _run(self, dataset_id: str, fn: Callable[[Draft], T], begin: str) -> T:
        with closing(self._connect(dataset_id, mode="rw")) as connection:
            connection.execute(begin)
            try:
                result = fn(Draft(connection, self._max_records))
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
            return result

    def _connect(self, dataset_id: str, mode: str) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(
                f"{self._path(dataset_id).as_uri()}?mode={mode}",
                uri=True,
                timeout=BUSY_TIMEOUT_SECONDS,
                isolation_level=None,
            )
        except sqlite3.OperationalError:
            if self._path(dataset_id).exists():
                raise
            raise NotFoundError("There is no such draft.") from None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA secure_delete=ON")
        return connection

    def _create(self, dataset_id: str) -> None:
        with closing(self._connect(dataset_id, mode="rwc")) as connection:
            connection.executescript(_SCHEMA)
        self._path(dataset_id).chmod(0o600)

    def _remove(self, dataset_id: str) -> None:
        path = self._path(dataset_id)
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)

    def _path(self, dataset_id: str) -> Path:
        return self._folder / f"{dataset_id}.sqlite"

    def _lock(self, dataset_id: str) -> asyncio.Lock:
        return self._locks.setdefault(dataset_id, asyncio.Lock())

    async def _in_thread(self, fn: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, fn)


def _record(row: tuple[int, str, str, str | None, str]) -> DraftRecord:
    position, record_id, record, file, created_at = row
    return DraftRecord(position, record_id, json.loads(record), file, from_text(created_at))


def _record_length(row: tuple[int, str, str, str | None, str]) -> int:
    return len(row[2])


def _dump(record: Record) -> str:
    return json.dumps(record.to_dict(), ensure_ascii=False, separators=(",", ":"))


def _match(search: str) -> str:
    words = search.split()
    if not words or len(words) > SEARCH_WORDS_MAX or len(search) > SEARCH_CHARACTERS_MAX:
        raise InvalidInputError(
            f"A search has 1 to {SEARCH_WORDS_MAX} words and at most "
            f"{SEARCH_CHARACTERS_MAX} characters.",
            hint="Give fewer words.",
        )
    # Quoted, a word is a phrase to FTS5 and none of its operators.
    return " ".join('"' + word.replace('"', '""') + '"' for word in words)


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
