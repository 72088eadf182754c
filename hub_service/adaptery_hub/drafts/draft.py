"""One open draft, inside one transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import replace

from adaptery.errors import ConflictError, FieldProblem, RecordChangedError, TooLargeError
from adaptery.records import Record
from adaptery_hub.drafts.edits import DraftEdit, Edits
from adaptery_hub.drafts.patience import impatient
from adaptery_hub.drafts.query import Found, RecordQuery
from adaptery_hub.drafts.records import DraftRecord, Place, Records, dump
from adaptery_hub.paging import take_page


class Draft:
    """What can be done with a draft. Blocking: use it in a thread only."""

    def __init__(self, connection: sqlite3.Connection, max_records: int) -> None:
        self._connection = connection
        self._records = Records(connection)
        self._edits = Edits(connection)
        self._max_records = max_records

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

    def files(self) -> list[tuple[str | None, int]]:
        """Return how many records each file has, in the order of the first ones.

        What was added by hand has no file and comes first of all, if there is any.
        """
        return self._records.count_by_file()

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
        """Remove every record of a file, also from the log of edits; return how many."""
        self._edits.delete_file(file)
        return self._records.delete_file(file)

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
        made = None if key is None else self._edits.made_with(editor, key)
        if made is not None:
            return self._made(made, record)
        self._check_room(1)
        item = self._records.get(self._records.insert(record, None))
        self._edits.append(editor, "add", item, after=item.text, key=key)
        return self._noted(item.position)

    def replace(
        self, position: int, record: Record, editor: str, expected: str | None = None
    ) -> DraftRecord:
        """Give a record new content in its place and log it; nothing happens if it has it.

        Args:
            position: the record.
            record: its new content.
            editor: tenant id.
            expected: the record id that the editor saw.

        Raises:
            NotFoundError: there is no record at this position.
            RecordChangedError: it has neither the new content nor the expected one.
        """
        before = self._records.get(position)
        if before.record_id == record.record_id():
            return before
        _check_expected(before, expected)
        self._records.change(before, record)
        self._edits.append(editor, "replace", before, before=before.text, after=dump(record))
        return self._noted(position)

    def remove(self, position: int, editor: str, expected: str | None = None) -> None:
        """Remove a record and log it.

        Raises:
            NotFoundError: there is no record at this position.
            RecordChangedError: it has not the expected content.
        """
        before = self._records.get(position)
        _check_expected(before, expected)
        self._records.delete(before)
        self._edits.append(editor, "remove", before, before=before.text)

    def undo(self, editor: str) -> tuple[DraftEdit, DraftRecord | None]:
        """Undo the newest edit of an editor that stands; return it and the record as it is now.

        Raises:
            ConflictError: there is none.
            RecordChangedError: somebody else changed the record since.
            TooLargeError: a record would come back into a full draft.
        """
        edit = self._edits.to_undo(editor)
        self._change(edit, edit.after, edit.before)
        return self._marked(edit, undone=True)

    def redo(self, editor: str) -> tuple[DraftEdit, DraftRecord | None]:
        """Do again what an editor undid last; return the edit and the record as it is now.

        Raises:
            ConflictError: there is nothing to redo.
            RecordChangedError: somebody else changed the record since.
            TooLargeError: a record would come back into a full draft.
        """
        edit = self._edits.to_redo(editor)
        self._change(edit, edit.before, edit.after)
        return self._marked(edit, undone=False)

    def edits(self, before: int | None, limit: int) -> list[DraftEdit]:
        """Return up to `limit` edits before one, newest first; fewer if they are large."""
        return take_page(self._edits.newest(before), _edit_length, limit)

    def count_edits(self) -> int:
        """Return how many edits stand."""
        return self._edits.count()

    def _change(self, edit: DraftEdit, old: str | None, new: str | None) -> None:
        """Bring the record of an edit from one content to another; None is no record."""
        present = self._records.find(edit.position)
        if (present.text if present else None) != old:
            raise RecordChangedError(
                "Somebody else changed this record since.",
                hint="Look at it again, and change it by hand.",
            )
        if present and new:
            self._records.change(present, _parsed(new))
        elif present:
            self._records.delete(present)
        elif new:
            self._check_room(1)
            place = Place(edit.position, edit.record_created_at)
            self._records.insert(_parsed(new), edit.file, place)

    def _marked(self, edit: DraftEdit, undone: bool) -> tuple[DraftEdit, DraftRecord | None]:
        self._edits.mark(edit, undone)
        self._records.note_edits(edit.position)
        return replace(edit, undone=undone), self._records.find(edit.position)

    def _noted(self, position: int) -> DraftRecord:
        self._records.note_edits(position)
        return self._records.get(position)

    def _made(self, edit: DraftEdit, wanted: Record) -> DraftRecord:
        if edit.after != dump(wanted):
            raise ConflictError(
                "Another record was added with this key.",
                hint="Send the record as it was, or a new key.",
                errors=[FieldProblem("key", "belongs to another record.", "Make a new one.")],
            )
        record = self._records.find(edit.position)
        if record is None:
            raise RecordChangedError(
                "The record that was added with this key is gone.",
                hint="Add it with another key if it should come back.",
            )
        return record

    def _with_room(self, records: Iterable[Record]) -> Iterator[Record]:
        room = self._max_records - self.count()
        for number, record in enumerate(records, start=1):
            if number > room:
                raise self._full()
            yield record

    def _check_room(self, more: int) -> None:
        if self.count() + more > self._max_records:
            raise self._full()

    def _full(self) -> TooLargeError:
        return TooLargeError(
            f"A draft holds at most {self._max_records} records.",
            hint="Split the data into several datasets.",
        )


def _check_expected(record: DraftRecord, expected: str | None) -> None:
    if expected is not None and record.record_id != expected:
        raise RecordChangedError(hint="Look at it again, then decide.")


def _parsed(text: str) -> Record:
    return Record.from_dict(json.loads(text))


def _edit_length(edit: DraftEdit) -> int:
    return len(edit.before or "") + len(edit.after or "")
