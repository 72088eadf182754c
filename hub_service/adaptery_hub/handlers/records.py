"""`api/datasets/{dataset}/records`: the records of a draft."""

from __future__ import annotations

from adaptery.errors import FieldProblem, InvalidInputError, NotFoundError
from adaptery.records import Record
from adaptery.schemas.common import Page
from adaptery.schemas.datasets import RecordCreate, RecordItem, RecordPatch
from adaptery_hub.database import tables
from adaptery_hub.database.statements import files as file_statements
from adaptery_hub.drafts import Draft, DraftRecord
from adaptery_hub.handlers.base import Handler
from adaptery_hub.permissions import Right, fetch
from adaptery_hub.routes import PAGE_QUERY, Operation, Route

_POSITION_DIGITS = 18  # more would not fit SQLite's integers


def describe_record(item: DraftRecord) -> RecordItem:
    """Return a record of a draft as the API shows it."""
    return RecordItem(
        id=str(item.position),
        record_id=item.record_id,
        record=dict(item.record),
        file=item.file,
        created_at=item.created_at,
    )


def parse_position(text: str | None, name: str) -> int:
    """Return a position that was given as text; None is before the first.

    Raises:
        InvalidInputError: it is no number.
    """
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= _POSITION_DIGITS):
        raise InvalidInputError(errors=[FieldProblem(name, "is no number.", "Use a record's id.")])
    return int(text)


class _DraftHandler(Handler):
    async def authorise(self, dataset: str, right: Right) -> None:
        """Check the caller's right on the dataset.

        Raises:
            NotFoundError: there is none, or the caller has no right on it.
            NotAllowedError: the caller has a lesser right.
        """
        await self.services.db.read(
            lambda c: fetch(c, tables.datasets, self.identity, dataset, right)
        )

    async def touch(self, dataset: str) -> None:
        """Note the new number of records."""
        count = await self.services.drafts.read(dataset, Draft.count)
        await self.services.db.write(lambda c: file_statements.touch_dataset(c, dataset, count))


class RecordsHandler(_DraftHandler):
    """All records of a draft."""

    async def get(self, dataset: str) -> None:
        """Page through the records, or through those that a search finds."""
        after, limit = self.page()
        position = parse_position(after, "after")
        search, file = self.query("search"), self.query("file")
        await self.authorise(dataset, Right.VIEW)
        items = await self.services.drafts.read(
            dataset, lambda d: d.page(position, limit + 1, search=search, file=file)
        )
        self.answer_page([describe_record(item) for item in items], limit)

    async def post(self, dataset: str) -> None:
        """Append a record."""
        await self.authorise(dataset, Right.EDIT)
        record = Record.from_dict(self.body(RecordCreate).record)
        editor = self.identity.tenant_id
        item = await self.services.drafts.write(dataset, lambda d: d.add(record, editor))
        await self.touch(dataset)
        self.answer(describe_record(item))


class RecordHandler(_DraftHandler):
    """One record of a draft, named by its position."""

    async def get(self, dataset: str, record: str) -> None:
        """Answer the record."""
        self.check_query()
        await self.authorise(dataset, Right.VIEW)
        position = _existing(record)
        item = await self.services.drafts.read(dataset, lambda d: d.get(position))
        self.answer(describe_record(item))

    async def patch(self, dataset: str, record: str) -> None:
        """Give the record new content."""
        await self.authorise(dataset, Right.EDIT)
        wanted = Record.from_dict(self.body(RecordPatch).record)
        position, editor = _existing(record), self.identity.tenant_id
        item = await self.services.drafts.write(
            dataset, lambda d: d.replace(position, wanted, editor)
        )
        await self.touch(dataset)
        self.answer(describe_record(item))

    async def delete(self, dataset: str, record: str) -> None:
        """Remove the record."""
        await self.authorise(dataset, Right.EDIT)
        position, editor = _existing(record), self.identity.tenant_id
        await self.services.drafts.write(dataset, lambda d: d.remove(position, editor))
        await self.touch(dataset)
        self.answer_nothing()


def _existing(text: str) -> int:
    try:
        return parse_position(text, "record")
    except InvalidInputError:
        raise NotFoundError("There is no such record in this draft.") from None


ROUTES = [
    Route(
        "api/datasets/{dataset}/records",
        RecordsHandler,
        {
            "GET": Operation(
                "read",
                "Records of the draft, in order.",
                response=Page[RecordItem],
                query={
                    **PAGE_QUERY,
                    "search": "Words that must all occur in the record.",
                    "file": "Only records of this file (id).",
                },
            ),
            "POST": Operation(
                "write", "Append a record.", request=RecordCreate, response=RecordItem, status=201
            ),
        },
    ),
    Route(
        "api/datasets/{dataset}/records/{record}",
        RecordHandler,
        {
            "GET": Operation("read", "One record.", response=RecordItem),
            "PATCH": Operation(
                "write", "Give a record new content.", request=RecordPatch, response=RecordItem
            ),
            "DELETE": Operation("write", "Remove a record.", status=204, fresh_identity=True),
        },
    ),
]
