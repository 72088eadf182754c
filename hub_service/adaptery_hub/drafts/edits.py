"""The log of edits of one draft, and which of them an editor can undo or redo.

An edit is a change of one record by hand, or of many at once (a batch). Its changes lie packed in a
table of their own. An editor undoes their own edits only, newest first or one by name, and redoes
them in the opposite order. A new edit ends what can be redone: nothing that was undone before it
comes back.

Invariants:

- The log is bounded: the newest edits are kept, and of these no more than fit its bytes; a batch
  is one edit, however many records it changed.
- What was forgotten, or went with its file, is in no part of the log.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast

from adaptery.errors import ConflictError, NotFoundError, TooLargeError
from adaptery.times import from_text, now, to_text
from adaptery_hub.drafts.contents import PACK_CHANGES, PACK_CHARACTERS, Change, pack, unpack

Action = Literal["add", "replace", "remove", "restore", "split", "mixed"]

#: Edits that are kept; older ones go, and cannot be undone any more. An endless log fills a disk.
EDITS_KEPT = 10_000
#: Bytes of packed changes that are kept; the oldest edits go first. A batch with more is refused.
BYTES_KEPT = 512 * 1024 * 1024
#: What the column `undone` holds: the edit stands, it can be redone, or a new edit ended that.
_STANDS, _UNDONE, _ENDED = 0, 1, 2


@dataclass(frozen=True)
class DraftEdit:
    """One entry of the log."""

    seq: int
    at: datetime
    editor: str  # tenant id
    action: Action
    batch: str | None  # what many records were changed for; None: one was, by hand
    records: int  # how many it changed
    position: int | None  # of the record; None: a batch
    undone: bool
    forgotten: bool  # what stood there is gone, at least of some records
    change: Change | None = None  # of one record; None: a batch, or it was forgotten

    @property
    def before(self) -> str | None:
        """The record before as JSON; None: there was none, it is forgotten, or this is a batch."""
        return self.change.before if self.change else None

    @property
    def after(self) -> str | None:
        """The record afterwards, likewise."""
        return self.change.after if self.change else None


_IS_HELD = "(forgotten = 0 OR EXISTS (SELECT 1 FROM edit_contents AS c WHERE c.seq = edits.seq))"
_COLUMNS = "seq, at, editor, action, batch, records, position, undone, forgotten"


class Edits:
    """The log, inside one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    # -- writing ------------------------------------------------------------------------------

    def append(self, editor: str, action: Action, change: Change, key: str | None = None) -> int:
        """Log an edit of a record; return its name."""
        entry = Entry(self._connection, editor, None, key)
        entry.add(change)
        return entry.end(action)

    def begin(self, editor: str, batch: str) -> Entry:
        """Return the entry of a batch, to be filled."""
        return Entry(self._connection, editor, batch, None)

    def mark(self, edit: DraftEdit, undone: bool) -> None:
        """Set whether an edit is undone."""
        self._connection.execute(
            "UPDATE edits SET undone = ? WHERE seq = ?", (_UNDONE if undone else _STANDS, edit.seq)
        )

    # -- reading ------------------------------------------------------------------------------

    def count(self) -> int:
        """Return how many edits by hand stand; batches are none."""
        statement = "SELECT count(*) FROM edits WHERE undone = 0 AND batch IS NULL"
        return int(self._connection.execute(statement).fetchone()[0])

    def newest(self, before: int | None = None) -> Iterator[DraftEdit]:
        """Yield the edits, newest first, from the one before `before`."""
        if before is None:
            return self._select("ORDER BY seq DESC")
        return self._select("WHERE seq < ? ORDER BY seq DESC", before)

    def get(self, seq: int) -> DraftEdit:
        """Return an edit.

        Raises:
            NotFoundError: there is none, or it is not kept any more.
        """
        for edit in self._select("WHERE seq = ?", seq):
            return edit
        raise NotFoundError("There is no such edit in the log.", hint="It keeps the newest ones.")

    def changes(self, edit: DraftEdit, *, backwards: bool = False) -> Iterator[Change]:
        """Yield what an edit did to each record, as far as the log still holds it."""
        order = "DESC" if backwards else "ASC"
        rows = self._connection.execute(
            f"SELECT number FROM edit_contents WHERE seq = ? ORDER BY number {order}",  # noqa: S608
            (edit.seq,),
        ).fetchall()
        for (number,) in rows:  # read one by one: a batch may not fit into memory
            packed = list(self._unpacked(number))
            yield from reversed(packed) if backwards else packed

    def to_undo(self, editor: str, seq: int | None = None) -> DraftEdit:
        """Return the newest edit of an editor that stands, or the one that is named.

        Raises:
            ConflictError: there is none, or it is forgotten.
            NotFoundError: the editor has no such edit.
        """
        return self._next(editor, seq, _STANDS, "DESC", "undo")

    def to_redo(self, editor: str, seq: int | None = None) -> DraftEdit:
        """Return the edit that an editor undid last, or the one named, if they made none since.

        Raises:
            ConflictError: there is none, or it is forgotten.
            NotFoundError: the editor has no such edit.
        """
        return self._next(editor, seq, _UNDONE, "ASC", "redo")

    def made_with(self, editor: str, key: str) -> DraftEdit | None:
        """Return the edit by which an editor added a record with a key."""
        return next(self._select("WHERE editor = ? AND key = ?", editor, key), None)

    def last_removed(self, position: int) -> Change | None:
        """Return how a record was that is gone, as far as the log knows."""
        rows = self._connection.execute(
            "SELECT number FROM edit_contents WHERE first <= ?1 AND last >= ?1 ORDER BY seq DESC",
            (position,),
        ).fetchall()
        for (number,) in rows:
            for change in self._unpacked(number):
                if change.position == position and (change.before or change.after):
                    return change
        return None

    # -- forgetting ---------------------------------------------------------------------------

    def delete_file(self, file: str) -> None:
        """Drop every edit of a file's records, and of a batch the part with them."""
        self._connection.execute(
            "DELETE FROM edits WHERE batch IS NULL AND seq IN "
            "(SELECT seq FROM edit_contents WHERE file = ?)",
            (file,),
        )
        self._connection.execute(
            "UPDATE edits SET forgotten = 1 WHERE seq IN "
            "(SELECT seq FROM edit_contents WHERE file = ?)",
            (file,),
        )
        self._connection.execute("DELETE FROM edit_contents WHERE file = ?", (file,))

    def forget_edit(self, edit: DraftEdit) -> int:
        """Drop the records that an edit changed from it and from every edit before.

        What an edit replaced was made by one before it: there it would stay to be read.

        Returns:
            Of how many edits something was dropped.
        """
        return self._forget({change.position for change in self.changes(edit)}, edit.seq)

    def forget_record(self, position: int) -> int:
        """Drop all that edits did to a record; return of how many edits."""
        return self._forget({position}, None)

    def _forget(self, positions: Collection[int], until: int | None) -> int:
        """Drop records from the edits up to one, or from all."""
        if not positions:
            return 0
        rows = self._connection.execute(
            "SELECT number, seq FROM edit_contents WHERE first <= ? AND last >= ? AND "
            "seq <= coalesce(?, seq)",
            (max(positions), min(positions), until),
        ).fetchall()
        forgotten: set[int] = set()
        for number, seq in rows:
            changes = list(self._unpacked(number))
            kept = [c for c in changes if c.position not in positions or not c.has_content]
            if len(kept) < len(changes):
                forgotten.add(seq)
                self._repack(number, kept)
        self._connection.executemany(
            "UPDATE edits SET forgotten = 1, bytes = (SELECT coalesce(sum(length(contents)), 0) "
            "FROM edit_contents AS c WHERE c.seq = edits.seq) WHERE seq = ?",
            [(seq,) for seq in forgotten],
        )
        return len(forgotten)

    def _repack(self, number: int, changes: list[Change]) -> None:
        if changes:
            self._connection.execute(
                "UPDATE edit_contents SET contents = ? WHERE number = ?", (pack(changes), number)
            )
        else:
            self._connection.execute("DELETE FROM edit_contents WHERE number = ?", (number,))

    def _next(self, editor: str, seq: int | None, undone: int, order: str, verb: str) -> DraftEdit:
        if seq is None:
            found = self._select(
                f"WHERE editor = ? AND undone = ? AND {_IS_HELD} ORDER BY seq {order} LIMIT 1",
                editor,
                undone,
            )
        else:
            found = self._select("WHERE editor = ? AND undone = ? AND seq = ?", editor, undone, seq)
        edit = next(found, None)
        if edit is None:
            if seq is not None:
                self.get(seq)
            raise _nothing_to(verb)
        if edit.forgotten and not self._holds(edit.seq):
            raise ConflictError(
                f"What this edit changed is forgotten: nobody can {verb} it.",
                hint="Change the records by hand.",
            )
        return edit

    def _holds(self, seq: int) -> bool:
        statement = "SELECT 1 FROM edit_contents WHERE seq = ? LIMIT 1"
        return self._connection.execute(statement, (seq,)).fetchone() is not None

    def _select(self, rest: str, *values: object) -> Iterator[DraftEdit]:
        # `rest` is a constant of this module; every value is bound.
        statement = f"SELECT {_COLUMNS} FROM edits {rest}"  # noqa: S608
        return map(self._draft_edit, self._connection.execute(statement, values))

    def _draft_edit(self, row: tuple[object, ...]) -> DraftEdit:
        seq, at, editor, action, batch, records, position, undone, forgotten = row
        change = None if batch is not None else self._only_change(cast("int", seq))
        return DraftEdit(
            cast("int", seq),
            from_text(cast("str", at)),
            cast("str", editor),
            cast("Action", action),
            cast("str | None", batch),
            cast("int", records),
            cast("int | None", position),
            bool(undone),
            bool(forgotten),
            change,
        )

    def _only_change(self, seq: int) -> Change | None:
        row = self._connection.execute(
            "SELECT number FROM edit_contents WHERE seq = ?", (seq,)
        ).fetchone()
        return next(self._unpacked(row[0]), None) if row else None

    def _unpacked(self, number: int) -> Iterator[Change]:
        contents, file = self._connection.execute(
            "SELECT contents, file FROM edit_contents WHERE number = ?", (number,)
        ).fetchone()
        return unpack(contents, file)


class Entry:
    """One edit that is being logged; it is there once it has ended."""

    def __init__(
        self, connection: sqlite3.Connection, editor: str, batch: str | None, key: str | None
    ) -> None:
        self._connection = connection
        self._editor = editor
        self._waiting: dict[str | None, list[Change]] = {}
        self._characters = 0
        self._bytes = 0
        self.records = 0
        self._position: int | None = None
        self._batch = batch
        cursor = connection.execute(
            "INSERT INTO edits (at, editor, action, batch, key) VALUES (?, ?, 'mixed', ?, ?)",
            (to_text(now()), editor, batch, key),
        )
        self.seq = cast("int", cursor.lastrowid)

    def add(self, change: Change) -> None:
        """Log a change.

        Raises:
            TooLargeError: the log cannot keep so much.
        """
        self.records += 1
        self._position = change.position
        self._characters += change.characters
        waiting = self._waiting.setdefault(change.file, [])
        waiting.append(change)
        if len(waiting) == PACK_CHANGES or self._characters > PACK_CHARACTERS:
            self._flush()

    def end(self, action: Action) -> int:
        """Keep the entry; return its name. What its editor could redo is lost."""
        self._flush()
        self._connection.execute(
            "UPDATE edits SET undone = ? WHERE editor = ? AND undone = ?",
            (_ENDED, self._editor, _UNDONE),
        )
        position = None if self._batch is not None else self._position
        self._connection.execute(
            "UPDATE edits SET action = ?, records = ?, position = ?, bytes = ? WHERE seq = ?",
            (action, self.records, position, self._bytes, self.seq),
        )
        self._trim()
        return self.seq

    def drop(self) -> None:
        """Leave no trace of it: nothing was changed."""
        self._connection.execute("DELETE FROM edits WHERE seq = ?", (self.seq,))

    def _flush(self) -> None:
        for file, changes in self._waiting.items():
            for start in range(0, len(changes), PACK_CHANGES):
                self._keep(file, changes[start : start + PACK_CHANGES])
        self._waiting, self._characters = {}, 0

    def _keep(self, file: str | None, changes: list[Change]) -> None:
        data = pack(changes)
        self._bytes += len(data)
        if self._bytes > BYTES_KEPT:
            raise TooLargeError(
                f"The log keeps {BYTES_KEPT // 2**20} MiB, and this changes more at once.",
                hint="Change fewer records at once, so that it can be undone.",
            )
        positions = [change.position for change in changes]
        self._connection.execute(
            "INSERT INTO edit_contents (seq, file, first, last, contents) VALUES (?, ?, ?, ?, ?)",
            (self.seq, file, min(positions), max(positions), data),
        )

    def _trim(self) -> None:
        """Let the oldest edits go."""
        self._connection.execute("DELETE FROM edits WHERE seq <= ?", (self.seq - EDITS_KEPT,))
        total = self._connection.execute("SELECT sum(bytes) FROM edits").fetchone()[0]
        if total > BYTES_KEPT:
            self._connection.execute(
                "DELETE FROM edits WHERE seq <= (SELECT max(seq) FROM (SELECT seq, sum(bytes) "
                "OVER (ORDER BY seq DESC) AS kept FROM edits) WHERE kept > ?)",
                (BYTES_KEPT,),
            )


def _nothing_to(verb: str) -> ConflictError:
    hint = {
        "undo": "Only your own edits can be undone; a file is deleted as a whole.",
        "redo": "A new edit ends what can be redone.",
    }[verb]
    return ConflictError(f"You have nothing to {verb} in this draft.", hint=hint)
