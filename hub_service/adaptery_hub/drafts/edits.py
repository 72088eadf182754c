"""The log of edits of one draft, and which of them an editor can undo or redo.

An editor undoes their own edits only, newest first, and redoes them in the opposite order. A new
edit ends what can be redone: nothing that was undone before it comes back.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from adaptery.errors import ConflictError
from adaptery.times import from_text, now, to_text
from adaptery_hub.drafts.records import DraftRecord

Action = Literal["add", "replace", "remove"]

#: Edits that are kept; older ones go, and cannot be undone any more. An endless log fills a disk.
EDITS_KEPT = 10_000
#: What the column `undone` holds: the edit stands, it can be redone, or a new edit ended that.
_STANDS, _UNDONE, _ENDED = 0, 1, 2


@dataclass(frozen=True)
class DraftEdit:
    """One change of one record."""

    seq: int
    at: datetime
    editor: str  # tenant id
    action: Action
    position: int
    before: str | None  # the record as JSON; None: there was none
    after: str | None
    file: str | None  # of the record
    record_created_at: str
    undone: bool


_COLUMNS = "seq, at, editor, action, position, before, after, file, record_created_at, undone"


class Edits:
    """The rows of the table `edits`, inside one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def append(
        self,
        editor: str,
        action: Action,
        record: DraftRecord,
        *,
        before: str | None = None,
        after: str | None = None,
        key: str | None = None,
    ) -> None:
        """Log an edit of a record; what its editor could redo is lost, and the oldest edit goes."""
        self._connection.execute(
            "UPDATE edits SET undone = ? WHERE editor = ? AND undone = ?",
            (_ENDED, editor, _UNDONE),
        )
        self._connection.execute(
            "INSERT INTO edits "
            "(at, editor, action, position, before, after, file, record_created_at, key) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                to_text(now()),
                editor,
                action,
                record.position,
                before,
                after,
                record.file,
                to_text(record.created_at),
                key,
            ),
        )
        self._connection.execute(
            "DELETE FROM edits WHERE seq <= (SELECT max(seq) FROM edits) - ?", (EDITS_KEPT,)
        )

    def count(self) -> int:
        """Return how many edits stand."""
        statement = "SELECT count(*) FROM edits WHERE undone = 0"
        return int(self._connection.execute(statement).fetchone()[0])

    def newest(self, before: int | None = None) -> Iterator[DraftEdit]:
        """Yield the edits, newest first, from the one before `before`."""
        if before is None:
            return self._select("ORDER BY seq DESC")
        return self._select("WHERE seq < ? ORDER BY seq DESC", before)

    def to_undo(self, editor: str) -> DraftEdit:
        """Return the newest edit of an editor that stands.

        Raises:
            ConflictError: there is none.
        """
        for edit in self._of(editor, _STANDS, "ORDER BY seq DESC LIMIT 1"):
            return edit
        raise ConflictError(
            "You have nothing to undo in this draft.",
            hint="Only your own edits can be undone; a file is deleted as a whole.",
        )

    def to_redo(self, editor: str) -> DraftEdit:
        """Return the edit that an editor undid last, if they made none since.

        Raises:
            ConflictError: there is none.
        """
        for edit in self._of(editor, _UNDONE, "ORDER BY seq LIMIT 1"):
            return edit
        raise ConflictError(
            "You have nothing to redo in this draft.", hint="A new edit ends what can be redone."
        )

    def mark(self, edit: DraftEdit, undone: bool) -> None:
        """Set whether an edit is undone."""
        self._connection.execute(
            "UPDATE edits SET undone = ? WHERE seq = ?", (_UNDONE if undone else _STANDS, edit.seq)
        )

    def made_with(self, editor: str, key: str) -> DraftEdit | None:
        """Return the edit by which an editor added a record with a key."""
        return next(self._select("WHERE editor = ? AND key = ?", editor, key), None)

    def delete_file(self, file: str) -> None:
        """Forget every edit of a file's records."""
        self._connection.execute("DELETE FROM edits WHERE file = ?", (file,))

    def _of(self, editor: str, undone: int, rest: str) -> Iterator[DraftEdit]:
        return self._select(f"WHERE editor = ? AND undone = ? {rest}", editor, undone)

    def _select(self, rest: str, *values: object) -> Iterator[DraftEdit]:
        # `rest` is a constant of this module; every value is bound.
        statement = f"SELECT {_COLUMNS} FROM edits {rest}"  # noqa: S608
        return map(_draft_edit, self._connection.execute(statement, values))


def _draft_edit(row: tuple[object, ...]) -> DraftEdit:
    seq, at, *rest, undone = row
    return DraftEdit(seq, from_text(at), *rest, undone=bool(undone))  # type: ignore[arg-type]
