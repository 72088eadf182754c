"""The draft of a dataset: look through its records, edit them, one by one or many at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from adaptery.client.connection import PAGE_ITEMS, Connection, checked, path_of
from adaptery.records import Kind, Record
from adaptery.schemas import curation as schemas

__all__ = ["DraftCalls"]


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
        file: str | None = None,
        kind: Kind | None = None,
        edited: bool = False,
        duplicates: bool = False,
        order: schemas.RecordOrder = "position",
    ) -> Iterator[schemas.RecordItem]:
        """Yield the records of the draft with their positions.

        In another order than that of the positions, what is edited meanwhile may come twice or not
        at all.

        Args:
            search: words that must all occur in a record; the last one may go on.
            file: the id of a file: only its records.
            kind: only records of this kind.
            edited: only records that an edit added or changed.
            duplicates: only records that occur more than once.
            order: by position, length or last change; with `-` the other way round.

        Raises:
            InvalidInputError: if the search holds no word, or too many.
            AdapteryError: what the service raised.
        """
        asked = {"search": search, "file": file, "kind": kind, "order": order}
        asked |= {"edited": edited, "duplicates": duplicates, "limit": PAGE_ITEMS}
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

    def add(self, record: Record, *, key: str | None = None) -> schemas.RecordItem:
        """Add a record to the draft.

        Args:
            record: the record.
            key: 1 to 64 letters, digits, `-` and `_` that you made: added again with the same key
                after a lost connection, the record is there once.

        Raises:
            RecordChangedError: if the record that this key added is gone.
            TooLargeError: if the draft is full.
            AdapteryError: what the service raised.
        """
        body = schemas.RecordCreate(record=record.to_dict(), key=key)
        return self._connection.post(
            self._path("records"), schemas.RecordItem, body.model_dump(exclude_none=True)
        )

    def replace(self, record: schemas.RecordItem | str, new: Record) -> schemas.RecordItem:
        """Give a record of the draft new content.

        Args:
            record: as `records` gave it, which makes sure that nobody changed it since; or its
                position, which does not.
            new: the new content.

        Raises:
            NotFoundError: if it is gone.
            RecordChangedError: if somebody changed it since.
            AdapteryError: what the service raised.
        """
        position, expected = _seen(record)
        body = schemas.RecordPatch(record=new.to_dict(), expected=expected)
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

    def add_record(self, record: Record) -> schemas.RecordItem:
        """`add`, by its first name."""
        return self.add(record)

    def replace_record(self, position: str, record: Record) -> schemas.RecordItem:
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

    def undo(self) -> schemas.EditResult:
        """Undo your newest edit that stands; return it and its record as it is now.

        Raises:
            ConflictError: if you have nothing to undo.
            RecordChangedError: if somebody else changed the record since.
            AdapteryError: what the service raised.
        """
        return self._connection.post(self._path("edits", "undo"), schemas.EditResult)

    def redo(self) -> schemas.EditResult:
        """Redo what you undid last; return the edit and its record as it is now.

        Raises:
            ConflictError: if you have nothing to redo.
            RecordChangedError: if somebody else changed the record since.
            AdapteryError: what the service raised.
        """
        return self._connection.post(self._path("edits", "redo"), schemas.EditResult)


def _seen(record: schemas.RecordItem | str) -> tuple[str, str | None]:
    """Return the position of a record, and its id if the caller has seen it."""
    return (record, None) if isinstance(record, str) else (record.id, record.record_id)
