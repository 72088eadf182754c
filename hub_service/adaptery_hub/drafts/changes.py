"""Changes of records by people: made, logged, undone and done again."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from adaptery.errors import ConflictError, FieldProblem, RecordChangedError
from adaptery.records import Record
from adaptery.times import to_text
from adaptery_hub.drafts.contents import Change, State
from adaptery_hub.drafts.edits import Action, DraftEdit, Edits, Entry
from adaptery_hub.drafts.records import DraftRecord, Place, Records, dump

#: From so many on, duplicates are found anew for all records instead of for each.
SETTLE_ALL_FROM = 100

#: Raised if there is no room for so many more records.
CheckRoom = Callable[[int], None]


@dataclass(frozen=True)
class RecordEdit:
    """What shall become of one record among many."""

    position: int
    record: Record | None  # its new content; None: remove it
    expected: str | None = None  # the record id that was seen; another one is left alone


class BatchResult(NamedTuple):
    """What became of a batch."""

    seq: int | None  # of the edit in the log; None: nothing was changed
    changed: int
    passed_over: int  # gone, changed since, or so already


class Undone(NamedTuple):
    """What was undone or done again."""

    edit: DraftEdit
    record: DraftRecord | None  # as it is now; None: it is gone, or this is a batch
    changed: int
    passed_over: int  # records of a batch that were changed since


class Changes:
    """Changes the records of a draft, inside one transaction."""

    def __init__(
        self, connection: sqlite3.Connection, records: Records, edits: Edits, check_room: CheckRoom
    ) -> None:
        self._records = records
        self._edits = edits
        self._check_room = check_room
        self._connection = connection

    # -- one record ---------------------------------------------------------------------------

    def add(self, record: Record, editor: str, key: str | None) -> DraftRecord:
        """See `Draft.add`."""
        made = None if key is None else self._edits.made_with(editor, key)
        if made is not None:
            return self._made(made, record)
        self._check_room(1)
        item = self._records.get(self._records.insert(record, None, state=State(edits=1)))
        self._edits.append(editor, "add", _change(item, None, item.text), key)
        return item

    def replace(
        self, position: int, record: Record, editor: str, expected: str | None
    ) -> DraftRecord:
        """See `Draft.replace`."""
        before = self._records.get(position)
        if before.record_id == record.record_id():
            return before
        _check_expected(before, expected)
        self._records.change(before, record, _renewed(before.state))
        self._edits.append(editor, "replace", _change(before, before.text, dump(record)))
        return self._records.get(position)

    def remove(self, position: int, editor: str, expected: str | None) -> None:
        """See `Draft.remove`."""
        before = self._records.get(position)
        _check_expected(before, expected)
        self._records.delete(before)
        self._edits.append(editor, "remove", _change(before, before.text, None))

    def restore(self, position: int, editor: str) -> DraftRecord:
        """See `Draft.restore`."""
        if (present := self._records.find(position)) is not None:
            return present
        change = self._restorable(position)
        self._check_room(1)
        self._put_back(change)
        self._edits.append(editor, "restore", change)
        return self._records.get(position)

    # -- many records -------------------------------------------------------------------------

    def change_many(self, edits: Iterable[RecordEdit], editor: str, batch: str) -> BatchResult:
        """See `Draft.change_many`."""
        entry, actions, passed_over = self._edits.begin(editor, batch), set[Action](), 0
        for edit in edits:
            before = self._records.find(edit.position)
            if before is None or _differs(before, edit):
                passed_over += 1
                continue
            after = None if edit.record is None else dump(edit.record)
            if edit.record is None:
                self._records.delete(before, settle=False)
            else:
                self._records.change(before, edit.record, _renewed(before.state), settle=False)
            actions.add("remove" if after is None else "replace")
            entry.add(_change(before, before.text, after))
        return self._end(entry, actions, passed_over)

    def restore_many(self, positions: Iterable[int], editor: str, batch: str) -> BatchResult:
        """Bring records back that were removed, as one edit."""
        entry, passed_over = self._edits.begin(editor, batch), 0
        for position in positions:
            change = None
            if self._records.find(position) is None:
                change = self._edits.last_removed(position)
            if change is None:
                passed_over += 1
                continue
            self._check_room(1)
            change = _back(change)
            self._put_back(change, settle=False)
            entry.add(change)
        return self._end(entry, {"restore"}, passed_over)

    def split_many(
        self, splits: Iterable[tuple[int, str | None]], editor: str, batch: str
    ) -> BatchResult:
        """Give records to splits, as one edit."""
        entry = self._edits.begin(editor, batch)
        asked = 0

        def different() -> Iterator[tuple[int, str | None]]:
            nonlocal asked
            for position, split in splits:
                asked += 1
                row = self._connection.execute(
                    "SELECT split, file FROM records WHERE position = ?", (position,)
                ).fetchone()
                if row is not None and row[0] != split:
                    entry.add(Change(position, None, None, row[1], "", State(split=row[0]), split))
                    yield position, split

        self._records.set_column("split", different())
        return self._end(entry, {"split"}, asked - entry.records)

    # -- undo and redo ------------------------------------------------------------------------

    def undo(self, editor: str, seq: int | None) -> Undone:
        """See `Draft.undo`."""
        return self._again(self._edits.to_undo(editor, seq), undone=True)

    def redo(self, editor: str, seq: int | None) -> Undone:
        """See `Draft.redo`."""
        return self._again(self._edits.to_redo(editor, seq), undone=False)

    def _again(self, edit: DraftEdit, *, undone: bool) -> Undone:
        step = self._split_again if edit.action == "split" else self._content_again
        single = edit.batch is None
        changed = passed_over = 0
        for change in self._edits.changes(edit, backwards=undone):
            if step(change, undone, single):
                changed += 1
            else:
                passed_over += 1
        if not changed:
            raise RecordChangedError(
                "Somebody else changed this record since."
                if single
                else "Somebody else changed all of these records since.",
                hint="Look at it again, and change it by hand.",
            )
        if not single and edit.action != "split":
            self._settle(changed)
        self._edits.mark(edit, undone)
        record = self._records.find(edit.position) if edit.position is not None else None
        return Undone(self._edits.get(edit.seq), record, changed, passed_over)

    def _content_again(self, change: Change, undone: bool, settle: bool) -> bool:
        """Bring a record from one content to another; False if it has neither."""
        old, new = (change.after, change.before) if undone else (change.before, change.after)
        present = self._records.find(change.position)
        if (present.text if present else None) != old:
            return False
        if present and new:
            known = change.state._replace(split=present.split)
            state = known if undone else _renewed(present.state)
            self._records.change(present, _parsed(new), state, settle=settle)
        elif present:
            self._records.delete(present, settle=settle)
        elif new:
            self._check_room(1)
            self._put_back(change, settle=settle)
        return True

    def _split_again(self, change: Change, undone: bool, _: bool) -> bool:
        old, new = (change.split, change.state.split)[:: 1 if undone else -1]
        row = self._connection.execute(
            "SELECT split FROM records WHERE position = ?", (change.position,)
        ).fetchone()
        if row is None or row[0] != old:
            return False
        self._records.set_column("split", [(change.position, new)])
        return True

    # -- parts --------------------------------------------------------------------------------

    def _put_back(self, change: Change, *, settle: bool = True) -> None:
        text = change.before or change.after
        assert text is not None
        place = Place(change.position, change.created_at)
        self._records.insert(_parsed(text), change.file, place, change.state, settle=settle)

    def _restorable(self, position: int) -> Change:
        change = self._edits.last_removed(position)
        if change is None:
            raise ConflictError(
                "The log does not hold this record any more.", hint="Add it anew, by hand."
            )
        return _back(change)

    def _made(self, edit: DraftEdit, wanted: Record) -> DraftRecord:
        if edit.after is not None and edit.after != dump(wanted):
            raise ConflictError(
                "Another record was added with this key.",
                hint="Send the record as it was, or a new key.",
                errors=[FieldProblem("key", "belongs to another record.", "Make a new one.")],
            )
        record = None if edit.position is None else self._records.find(edit.position)
        if record is None:
            raise RecordChangedError(
                "The record that was added with this key is gone.",
                hint="Add it with another key if it should come back.",
            )
        return record

    def _end(self, entry: Entry, actions: set[Action], passed_over: int) -> BatchResult:
        if not entry.records:
            entry.drop()
            return BatchResult(None, 0, passed_over)
        if actions != {"split"}:
            self._settle(entry.records)
        seq = entry.end(actions.pop() if len(actions) == 1 else "mixed")
        return BatchResult(seq, entry.records, passed_over)

    def _settle(self, changed: int) -> None:
        """Bring up to date what depends on all records, after a batch."""
        self._records.settle_all()
        self._records.purge_words()


def _change(item: DraftRecord, before: str | None, after: str | None) -> Change:
    return Change(item.position, before, after, item.file, to_text(item.created_at), item.state)


def _back(change: Change) -> Change:
    """Return the restoring of what a change left, or removed."""
    text = change.after or change.before
    state = change.state._replace(edits=change.state.edits + 1)
    return Change(change.position, None, text, change.file, change.created_at, state)


def _renewed(state: State) -> State:
    """Return the state of a record whose content was edited: what was found in it is not known."""
    return State(edits=state.edits + 1, split=state.split)


def _differs(record: DraftRecord, edit: RecordEdit) -> bool:
    """Return whether a record is not what was seen, or has the new content already."""
    if edit.expected is not None and record.record_id != edit.expected:
        return True
    return edit.record is not None and edit.record.record_id() == record.record_id


def _check_expected(record: DraftRecord, expected: str | None) -> None:
    if expected is not None and record.record_id != expected:
        raise RecordChangedError(hint="Look at it again, then decide.")


def _parsed(text: str) -> Record:
    return Record.from_dict(json.loads(text))
