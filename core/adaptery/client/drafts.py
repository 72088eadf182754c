"""The draft of a dataset: look through its records, edit them, one by one or many at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Literal

from adaptery.client.connection import PAGE_ITEMS, Connection, checked, path_of
from adaptery.client.operations import wait_for
from adaptery.client.progress import Report, shown
from adaptery.records import JsonObject, Kind, Record
from adaptery.schemas import curation as schemas
from adaptery.schemas.datasets import Operation
from adaptery.schemas.lineage import Split
from adaptery.schemas.review import QualityFlag

__all__ = ["DraftCalls"]

UNDO_SECONDS = 3600.0  # how long undo() waits for a large batch unless told otherwise


class DraftCalls(ABC):
    """What a dataset can do with its draft."""

    _connection: Connection

    @property
    @abstractmethod
    def id(self) -> str:
        """The opaque id of the dataset."""

    def _path(self, *more: str) -> str:
        return path_of("api", "datasets", self.id, *more)

    # -- records ------------------------------------------------------------------------------

    def records(
        self,
        search: str | None = None,
        *,
        field: schemas.RecordField | None = None,
        file: str | None = None,
        kind: Kind | None = None,
        edited: bool = False,
        duplicates: bool = False,
        language: str | None = None,
        flag: QualityFlag | None = None,
        group: int | None = None,
        near_duplicates: bool = False,
        split: Split | Literal["none"] | None = None,
        min_length: int | None = None,
        max_length: int | None = None,
        order: schemas.RecordOrder = "position",
    ) -> Iterator[schemas.RecordItem]:
        """Yield the records of the draft with their positions.

        In another order than that of the positions, what is edited meanwhile may come twice or not
        at all.

        Args:
            search: words that must all occur in a record; the last one may go on.
            field: where the words must stand, such as `assistant`.
            file: the id of a file or collated source: only its records.
            kind: only records of this kind.
            edited: only records that an edit added or changed.
            duplicates: only records that occur more than once.
            language: only records in this language (ISO 639), by the last review.
            flag: only records with this flag, by the last review.
            group: only this group of near-duplicates.
            near_duplicates: only records that are in a group of near-duplicates.
            split: only records of this split; `none`: those that have none.
            min_length: characters of all text, at least.
            max_length: characters of all text, at most.
            order: by position, length or last change; with `-` the other way round.

        Raises:
            InvalidInputError: if the search holds no word, or too many.
            AdapteryError: what the service raised.
        """
        asked = {"search": search, "field": field, "file": file, "kind": kind, "order": order}
        asked |= {"language": language, "flag": flag, "group": group, "split": split}
        asked |= {"edited": edited, "duplicates": duplicates, "near_duplicates": near_duplicates}
        asked |= {"min_length": min_length, "max_length": max_length, "limit": PAGE_ITEMS}
        return self._found({name: value for name, value in asked.items() if value is not None})

    def _found(self, asked: dict[str, object]) -> Iterator[schemas.RecordItem]:
        path, passed, more = self._path("records", "search"), 0, True
        while more:
            page = self._connection.post(path, schemas.RecordPage, asked, repeatable=True)
            yield from page.items
            passed, more = passed + len(page.items), page.has_more and bool(page.items)
            if more and asked["order"] == "position":  # which stays while others edit
                asked["after"] = page.items[-1].id
            else:
                asked["offset"] = passed

    def add(self, record: Record | JsonObject, *, key: str | None = None) -> schemas.RecordItem:
        """Add a record to the draft.

        Args:
            record: the record, or its JSON such as `RecordItem.record` has it.
            key: 1 to 64 letters, digits, `-` and `_` that you made: added again with the same key
                after a lost connection, the record is there once.

        Raises:
            RecordError: if the JSON is no record.
            RecordChangedError: if the record that this key added is gone.
            TooLargeError: if the draft is full.
            AdapteryError: what the service raised.
        """
        body = schemas.RecordCreate(record=_checked(record).to_dict(), key=key)
        return self._connection.post(
            self._path("records"), schemas.RecordItem, body.model_dump(exclude_none=True)
        )

    def replace(
        self, record: schemas.RecordItem | str, new: Record | JsonObject
    ) -> schemas.RecordItem:
        """Give a record of the draft new content.

        Args:
            record: as `records` gave it, which makes sure that nobody changed it since; or its
                position, which does not.
            new: the new content; JSON such as `RecordItem.record` has it will do.

        Raises:
            RecordError: if the JSON is no record.
            NotFoundError: if it is gone.
            RecordChangedError: if somebody changed it since.
            AdapteryError: what the service raised.
        """
        position, expected = _seen(record)
        body = schemas.RecordPatch(record=_checked(new).to_dict(), expected=expected)
        answer = self._connection.send(
            "PATCH", self._path("records", position), json=body.model_dump(exclude_none=True)
        )
        return checked(answer, schemas.RecordItem)

    def remove(self, record: schemas.RecordItem | str) -> None:
        """Remove a record from the draft.

        Args:
            record: as `records` gave it, which makes sure that nobody changed it since; or its
                position, which does not.

        Raises:
            NotFoundError: if it is gone.
            RecordChangedError: if somebody changed it since.
            AdapteryError: what the service raised.
        """
        position, expected = _seen(record)
        query = {"expected": expected} if expected else None
        self._connection.send("DELETE", self._path("records", position), query=query)

    def add_record(self, record: Record | JsonObject) -> schemas.RecordItem:
        """`add`, by its first name."""
        return self.add(record)

    def replace_record(self, position: str, record: Record | JsonObject) -> schemas.RecordItem:
        """`replace`, by its first name."""
        return self.replace(position, record)

    def delete_record(self, position: str) -> None:
        """`remove`, by its first name."""
        self.remove(position)

    # -- edits --------------------------------------------------------------------------------

    def edits(self) -> Iterator[schemas.Edit]:
        """Yield what was edited by hand in the draft, newest first.

        Raises:
            AdapteryError: what the service raised.
        """
        return self._connection.pages(self._path("edits"), schemas.Edit, lambda edit: edit.id)

    def undo(
        self,
        edit: schemas.Edit | str | None = None,
        *,
        timeout_seconds: float = UNDO_SECONDS,
        progress: bool | Report | None = None,
    ) -> schemas.EditResult:
        """Undo your newest edit that stands, or one of yours; return it and its record.

        Of a batch, records that were changed since stay as they are.

        Args:
            edit: as `edits` gave it, or its id.
            timeout_seconds: how long to wait for a large batch; it goes on afterwards.
            progress: called with the records done and in all, or whether to show a bar; in
                notebooks there is one if absent.

        Raises:
            ConflictError: if you have nothing to undo.
            RecordChangedError: if somebody else changed the record since.
            AdapteryError: what the service raised.
        """
        return self._again("undo", edit, timeout_seconds, progress)

    def redo(
        self,
        edit: schemas.Edit | str | None = None,
        *,
        timeout_seconds: float = UNDO_SECONDS,
        progress: bool | Report | None = None,
    ) -> schemas.EditResult:
        """Redo what you undid last, or one edit; return it and its record as it is now.

        Args:
            edit: as for `undo`.
            timeout_seconds: as for `undo`.
            progress: as for `undo`.

        Raises:
            ConflictError: if you have nothing to redo.
            RecordChangedError: if somebody else changed the record since.
            AdapteryError: what the service raised.
        """
        return self._again("redo", edit, timeout_seconds, progress)

    def restore(self, record: schemas.RecordItem | str) -> schemas.RecordItem:
        """Bring back a record (or a position) that anybody removed.

        Raises:
            ConflictError: if the log does not know it any more.
            TooLargeError: if the draft is full.
            AdapteryError: what the service raised.
        """
        position, _ = _seen(record)
        path = self._path("records", position, "restore")
        return self._connection.post(path, schemas.RecordItem, repeatable=True)

    def forget(
        self,
        *,
        edit: schemas.Edit | str | None = None,
        record: schemas.RecordItem | str | None = None,
    ) -> int:
        """Drop from the log what an edit replaced and removed, or all that a record ever was.

        The records that the edit changed go from the edits before it, too. Nobody can read or undo
        any of it any more.

        Args:
            edit: as `edits` gave it, or its id; either this
            record: or this: a record, or its position.

        Raises:
            NotFoundError: if there is no such edit.
            AdapteryError: what the service raised.
        """
        body = {
            "edit": edit if edit is None or isinstance(edit, str) else edit.id,
            "record": None if record is None else _seen(record)[0],
        }
        path = self._path("edits", "forget")
        return self._connection.post(path, schemas.ForgetResult, body, repeatable=True).edits

    def _again(
        self,
        verb: Literal["undo", "redo"],
        edit: schemas.Edit | str | None,
        timeout_seconds: float,
        progress: bool | Report | None,
    ) -> schemas.EditResult:
        body = {"edit": edit if edit is None or isinstance(edit, str) else edit.id}
        result = self._connection.post(self._path("edits", verb), schemas.EditResult, body)
        if result.operation is None:
            return result
        title = {"undo": "Undoing", "redo": "Doing again"}[verb]
        done = self._waited(result.operation, title, timeout_seconds, progress)
        edit_now = result.edit.model_copy(update={"undone": verb == "undo"})
        counts = {"changed": done["changed"], "passed_over": done["passed_over"]}
        return result.model_copy(update={"edit": edit_now, "operation": None, **counts})

    def _waited(
        self,
        operation: Operation,
        title: str,
        timeout_seconds: float,
        progress: bool | Report | None,
    ) -> dict[str, Any]:
        """Wait for a step on the draft; return its result."""
        with shown(title, progress, "records") as report:
            done = wait_for(
                self._connection, operation, timeout_seconds=timeout_seconds, progress=report
            )
        return done.result or {}


def _checked(record: Record | JsonObject) -> Record:
    return record if isinstance(record, Record) else Record.from_dict(record)


def _seen(record: schemas.RecordItem | str) -> tuple[str, str | None]:
    """Return the position of a record, and its id if the caller has seen it."""
    return (record, None) if isinstance(record, str) else (record.id, record.record_id)
