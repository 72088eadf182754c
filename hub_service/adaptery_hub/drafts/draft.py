"""One open draft, inside one transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import cached_property
from typing import Any, Literal, get_args

from adaptery.errors import TooLargeError
from adaptery.records import Record
from adaptery_hub.drafts.changes import BatchResult, Changes, RecordEdit, Undone
from adaptery_hub.drafts.edits import DraftEdit, Edits
from adaptery_hub.drafts.findings import Findings
from adaptery_hub.drafts.found import Found
from adaptery_hub.drafts.patience import impatient
from adaptery_hub.drafts.query import RecordQuery
from adaptery_hub.drafts.records import DraftRecord, Records
from adaptery_hub.drafts.sources import DraftSource, Sources
from adaptery_hub.paging import take_page

#: What `Draft.iterate` can give of each record; `record` is its JSON, `flags` a set of bits.
Column = Literal[
    "position",
    "record_id",
    "kind",
    "record",
    "file",
    "length",
    "changed_at",
    "language",
    "flags",
    "near_group",
    "split",
]
COLUMNS: tuple[Column, ...] = get_args(Column)


class Draft:
    """What can be done with a draft. Blocking: use it in a thread or process of its own only."""

    def __init__(self, connection: sqlite3.Connection, max_records: int) -> None:
        self._connection = connection
        self._records = Records(connection)
        self._edits = Edits(connection)
        self._sources = Sources(connection)
        self._changes = Changes(connection, self._records, self._edits, self._check_room)
        self._max_records = max_records
        self._room = 0  # that was not used since it was counted; records may have gone since

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection, for what other modules of this package keep in the file."""
        return self._connection

    @cached_property
    def findings(self) -> Findings:
        """What reviews found, and what was decided about it."""
        return Findings(self._connection)

    # -- reading ------------------------------------------------------------------------------

    def count(self, file: str | None = None) -> int:
        """Return how many records there are, of one file if it is given."""
        return self._records.count(file)

    def size(self) -> int:
        """Return how many bytes it takes; a page that was freed is used again and not counted."""
        pages, free, page_bytes = (
            int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * page_bytes

    def page(self, query: RecordQuery) -> tuple[list[DraftRecord], int]:
        """Return the records on a page, fewer if they are large, and how many there are in all.

        Raises:
            InvalidInputError: the search holds no word, or too many, or takes too long.
        """
        found = Found(self._connection, query)
        with impatient(self._connection) if query.search else nullcontext():
            positions, total = found.positions(), found.total()
        records = map(self._records.get, positions)
        return take_page(records, lambda record: len(record.text), query.limit), total

    def get(self, position: int) -> DraftRecord:
        """Return the record at a position.

        Raises:
            NotFoundError: there is none.
        """
        return self._records.get(position)

    def find(self, position: int) -> DraftRecord | None:
        """Return the record at a position, or None."""
        return self._records.find(position)

    def positions(self, query: RecordQuery) -> list[int]:
        """Return where all records are that a filter lets through; its page does not matter.

        Raises:
            InvalidInputError: the search holds no word, or too many.
        """
        return Found(self._connection, query).all_positions()

    def iterate(
        self, columns: Sequence[Column], query: RecordQuery | None = None
    ) -> Iterator[tuple[object, ...]]:
        """Yield columns of every record in order, or of those that a filter lets through.

        Raises:
            InvalidInputError: the search of the filter holds no word, or too many.
        """
        assert set(columns) <= set(COLUMNS)
        names = ", ".join(columns)  # of a fixed set
        if query is None:
            statement = f"SELECT {names} FROM records ORDER BY position"  # noqa: S608
            yield from self._connection.execute(statement)
            return
        statement = f"SELECT {names} FROM records WHERE position = ?"  # noqa: S608
        for position in self.positions(query):
            yield from self._connection.execute(statement, (position,))

    def files(self) -> list[tuple[str | None, int]]:
        """Return how many records each file has, in the order of the first ones.

        What was added by hand has no file and comes first of all, if there is any.
        """
        return self._records.count_by_file()

    def splits(self) -> dict[str | None, int]:
        """Return how many records each split has; None: those that have none."""
        return self._records.count_by_split()

    def unique_records(self) -> Iterator[DraftRecord]:
        """Yield each different record once, at its first position, in order."""
        return self._records.select(
            "WHERE NOT EXISTS (SELECT 1 FROM records AS earlier WHERE "
            "earlier.record_id = r.record_id AND earlier.position < r.position) ORDER BY position"
        )

    # -- files --------------------------------------------------------------------------------

    def import_records(self, records: Iterable[Record], file: str) -> int:
        """Append the records of a file; return how many. One transaction: all or none.

        Raises:
            TooLargeError: the draft is full.
            Exception: whatever `records` raises.
        """
        return self._records.insert_all(self._with_room(records), file)

    def remove_file(self, file: str) -> int:
        """Remove every record of a file, also from the log and the findings; return how many."""
        self._edits.delete_file(file)
        self.findings.delete_file(file)
        return self._records.delete_file(file)

    def sources(self) -> list[DraftSource]:
        """Return what was collated into the draft, in the order in which it came."""
        return self._sources.all()

    def add_source(self, source: DraftSource) -> None:
        """Note a source whose records were imported, with its id as their file."""
        self._sources.add(source)

    def remove_source(self, id: str) -> int:
        """Remove a source and its records, also from the log of edits; return how many.

        Raises:
            NotFoundError: there is no such source.
        """
        self._sources.remove(id)
        return self.remove_file(id)

    def longest(self) -> int:
        """Return the length of the longest record; 0 if there is none."""
        return self._records.longest()

    # -- notes --------------------------------------------------------------------------------

    def note(self, name: str, value: Mapping[str, object]) -> None:
        """Note something about the draft as a whole, instead of what was noted by this name."""
        self._connection.execute(
            "INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, json.dumps(value))
        )

    def noted(self, name: str) -> dict[str, Any] | None:
        """Return what was noted by a name, or None."""
        row = self._connection.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    # -- edits --------------------------------------------------------------------------------

    def add(self, record: Record, editor: str, key: str | None = None) -> DraftRecord:
        """Append a record and log it.

        Args:
            record: the record.
            editor: tenant id.
            key: made by the client; what is asked for again with it is done once.

        Raises:
            TooLargeError: the draft is full.
            RecordChangedError: the record that was made with this key is gone.
            ConflictError: the key came with another record before.
        """
        return self._changes.add(record, editor, key)

    def replace(
        self, position: int, record: Record, editor: str, expected: str | None = None
    ) -> DraftRecord:
        """Give a record new content in its place and log it; nothing happens if it has it.

        What a review found in it is not known any more; it keeps its split.

        Args:
            position: the record.
            record: its new content.
            editor: tenant id.
            expected: the record id that the editor saw.

        Raises:
            NotFoundError: there is no record at this position.
            RecordChangedError: it has neither the new content nor the expected one.
        """
        return self._changes.replace(position, record, editor, expected)

    def remove(self, position: int, editor: str, expected: str | None = None) -> None:
        """Remove a record and log it.

        Raises:
            NotFoundError: there is no record at this position.
            RecordChangedError: it has not the expected content.
        """
        self._changes.remove(position, editor, expected)

    def restore(self, position: int, editor: str) -> DraftRecord:
        """Bring a record back that anybody removed, and log it; nothing happens if it is there.

        Raises:
            ConflictError: the log does not hold it (any more).
            TooLargeError: the draft is full.
        """
        return self._changes.restore(position, editor)

    def change_many(self, edits: Iterable[RecordEdit], editor: str, batch: str) -> BatchResult:
        """Replace or remove many records: one edit in the log, one undo.

        Records that are gone, or are not what was expected, are passed over.

        Args:
            edits: each record at most once.
            editor: tenant id.
            batch: what they are changed for, in a few words, for the list of edits.

        Raises:
            TooLargeError: the log cannot keep so much.
        """
        return self._changes.change_many(edits, editor, batch)

    def restore_many(self, positions: Iterable[int], editor: str, batch: str) -> BatchResult:
        """Bring records back that were removed: one edit. What the log does not hold is left."""
        return self._changes.restore_many(positions, editor, batch)

    def split_many(
        self, splits: Iterable[tuple[int, str | None]], editor: str, batch: str
    ) -> BatchResult:
        """Give records (by position) to splits, or take them out of theirs (None): one edit."""
        return self._changes.split_many(splits, editor, batch)

    def undo(self, editor: str, seq: int | None = None) -> Undone:
        """Undo the newest edit of an editor that stands, or one that is named.

        Of a batch, records that were changed since are passed over.

        Raises:
            ConflictError: there is none, or it is forgotten.
            NotFoundError: the log has no edit of this name.
            RecordChangedError: somebody else changed the record since, or all of them.
            TooLargeError: a record would come back into a full draft.
        """
        return self._changes.undo(editor, seq)

    def redo(self, editor: str, seq: int | None = None) -> Undone:
        """Do again what an editor undid last, or one edit that they undid.

        Raises:
            ConflictError: there is nothing to redo.
            NotFoundError: the log has no edit of this name.
            RecordChangedError: somebody else changed the record since, or all of them.
            TooLargeError: a record would come back into a full draft.
        """
        return self._changes.redo(editor, seq)

    def edits(self, before: int | None, limit: int) -> list[DraftEdit]:
        """Return up to `limit` edits before one, newest first; fewer if they are large."""
        return take_page(self._edits.newest(before), _edit_length, limit)

    def edit(self, seq: int) -> DraftEdit:
        """Return one edit.

        Raises:
            NotFoundError: the log has none of this name.
        """
        return self._edits.get(seq)

    def next_edit(self, editor: str, verb: Literal["undo", "redo"]) -> DraftEdit:
        """Return what `undo` or `redo` would take.

        Raises:
            ConflictError: there is none.
        """
        return self._edits.to_undo(editor) if verb == "undo" else self._edits.to_redo(editor)

    def count_edits(self) -> int:
        """Return how many edits by hand stand."""
        return self._edits.count()

    def forget_edit(self, seq: int) -> int:
        """Drop the records that an edit changed from it and from every edit before.

        Nobody can read or undo that any more.

        Returns:
            Of how many edits something was dropped.

        Raises:
            NotFoundError: the log has none of this name.
        """
        forgotten = self._edits.forget_edit(self._edits.get(seq))
        self._records.purge_words()
        return forgotten

    def forget_record(self, position: int) -> int:
        """Drop from the log all that was ever at a position; return from how many edits."""
        forgotten = self._edits.forget_record(position)
        self._records.purge_words()
        return forgotten

    # -- what a review found ------------------------------------------------------------------

    def set_language(self, values: Iterable[tuple[int, str | None]]) -> int:
        """Note the languages of records, by position; return how many are new."""
        return self._records.set_column("language", values)

    def set_flags(self, values: Iterable[tuple[int, int]]) -> int:
        """Note the flags of records, a bit for each of QUALITY_FLAGS; return how many are new."""
        return self._records.set_column("flags", values)

    def set_splits(self, values: Iterable[tuple[int, str | None]]) -> int:
        """Set the splits of records without an entry in the log; return how many are new."""
        return self._records.set_column("split", values)

    def set_groups(self, values: Iterable[tuple[int, int | None]]) -> int:
        """Note which records are near-duplicates of each other; return how many are new.

        Groups have numbers; that of the first record's position is as good as any.
        """
        return self._records.set_column("near_group", values)

    def clear_groups(self) -> None:
        """Take every record out of its group of near-duplicates."""
        self._connection.execute(
            "UPDATE records SET near_group = NULL WHERE position IN (SELECT position FROM records "
            "INDEXED BY records_by_position WHERE near_group IS NOT NULL)"
        )

    # -- room ---------------------------------------------------------------------------------

    def _with_room(self, records: Iterable[Record]) -> Iterator[Record]:
        # Counted once: what is yielded is not in the table yet, many are inserted together.
        self._room = self._max_records - self.count()
        for record in records:
            if not self._room:
                raise self._full()
            self._room -= 1
            yield record

    def _check_room(self, more: int) -> None:
        if self._room < more:
            self._room = self._max_records - self.count()
        if self._room < more:
            raise self._full()
        self._room -= more

    def _full(self) -> TooLargeError:
        return TooLargeError(
            f"A draft holds at most {self._max_records} records.",
            hint="Split the data into several datasets.",
        )


def _edit_length(edit: DraftEdit) -> int:
    return len(edit.before or "") + len(edit.after or "")
