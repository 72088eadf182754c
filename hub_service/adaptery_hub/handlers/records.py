"""`api/datasets/{dataset}/records`: the records of a draft."""

from __future__ import annotations

import re
from typing import cast, get_args

from adaptery.errors import FieldProblem, InvalidInputError, NotFoundError
from adaptery.records import Kind, Record
from adaptery.schemas.curation import (
    RecordCreate,
    RecordItem,
    RecordOrder,
    RecordPage,
    RecordPatch,
    RecordSearch,
)
from adaptery.schemas.lineage import Split
from adaptery.schemas.review import QUALITY_FLAGS
from adaptery_hub.database import tables
from adaptery_hub.database.statements import files as file_statements
from adaptery_hub.drafts import ORDERS, Draft, DraftRecord, RecordQuery, flag_bits, flag_names
from adaptery_hub.handlers.base import Handler
from adaptery_hub.permissions import Right, fetch
from adaptery_hub.routes import PAGE_QUERY, Operation, Route
from adaptery_hub.storage import Reservation

_SPLITS: tuple[Split, ...] = get_args(Split)
_POSITION_DIGITS = 18  # more would not fit SQLite's integers


def describe_record(item: DraftRecord) -> RecordItem:
    """Return a record of a draft as the API shows it."""
    return RecordItem(
        id=str(item.position),
        record_id=item.record_id,
        record=dict(item.record),
        file=item.file,
        created_at=item.created_at,
        kind=item.kind,
        length=item.length,
        edited=item.edited,
        changed_at=item.changed_at,
        language=item.language,
        flags=flag_names(item.flags),
        group=item.group,
        split=cast("Split | None", item.split),
    )


def parse_position(text: str | None, name: str) -> int:
    """Return a position that was given as text; None is before the first.

    Raises:
        InvalidInputError: it is no number.
    """
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= _POSITION_DIGITS):
        raise InvalidInputError(errors=[FieldProblem(name, "is no number.", "Use a whole number.")])
    return int(text)


class DraftHandler(Handler):
    """What handlers of one draft share."""

    async def authorise(self, dataset: str, right: Right) -> Right:
        """Check the caller's right on the dataset; return the highest one.

        Raises:
            NotFoundError: there is none, or the caller has no right on it.
            NotAllowedError: the caller has a lesser right.
        """
        row = await self.services.db.read(
            lambda c: fetch(c, tables.datasets, self.identity, dataset, right)
        )
        self._owner: str = row["tenant_id"]
        self.dataset_row = row
        return Right(row["right"])

    async def room(self) -> Reservation:
        """Reserve room for what came, in the name of the owner of the dataset; authorise first.

        Raises:
            StorageQuotaError: there is none.
        """
        return await self.services.storage.reserve(self._owner, self.received_bytes)

    async def check_storage(self) -> None:
        """Refuse what will need room if the owner of the dataset has none; authorise first.

        Raises:
            StorageQuotaError: nothing is left.
        """
        await self.services.storage.check(self._owner)

    async def touch(self, dataset: str) -> None:
        """Note the new number of records."""
        count = await self.services.drafts.read(dataset, Draft.count)
        size = await self.services.drafts.size(dataset)
        await self.services.db.write(
            lambda c: file_statements.touch_dataset(c, dataset, count, size)
        )

    async def answer_records(self, dataset: str, query: RecordQuery) -> None:
        """Answer a page of records; the query asks for one more than the page has."""
        await self.authorise(dataset, Right.VIEW)
        items, total = await self.services.drafts.search(
            self.identity.tenant_id, dataset, lambda d: d.page(query)
        )
        self.answer_page([describe_record(item) for item in items], query.limit - 1, total)


class RecordsHandler(DraftHandler):
    """All records of a draft."""

    async def get(self, dataset: str) -> None:
        """Page through the records, or through those that a filter lets through."""
        await self.answer_records(dataset, self._wanted())

    async def post(self, dataset: str) -> None:
        """Append a record."""
        await self.authorise(dataset, Right.EDIT)
        body = self.body(RecordCreate)
        record, editor = Record.from_dict(body.record), self.identity.tenant_id
        with await self.room():
            item = await self.services.drafts.write(
                dataset, lambda d: d.add(record, editor, body.key)
            )
            await self.touch(dataset)
        self.answer(describe_record(item))

    def _wanted(self) -> RecordQuery:
        """Return what the query parameters ask for, with one record more than the page has.

        Raises:
            InvalidInputError: one is not valid, or two exclude each other.
        """
        after, limit = self.page()
        order = self.one_of("order", ORDERS) or "position"
        offset = self.query("offset")
        _check_place(after, offset, order)
        flag = self.one_of("flag", QUALITY_FLAGS)
        return RecordQuery(
            file=self.query("file"),
            kind=self.one_of("kind", get_args(Kind)),
            edited=self.one_of("edited", ("true",)) is not None,
            duplicates=self.one_of("duplicates", ("true",)) is not None,
            language=self.query("language"),
            flag=flag_bits((flag,)) if flag else 0,
            group=self._number("group"),
            near_duplicates=self.one_of("near_duplicates", ("true",)) is not None,
            split=self.one_of("split", (*_SPLITS, "none")),
            min_length=self._number("min_length"),
            max_length=self._number("max_length"),
            order=order,
            after=parse_position(after, "after"),
            offset=parse_position(offset, "offset"),
            limit=limit + 1,
        )

    def _number(self, name: str) -> int | None:
        text = self.query(name)
        return None if text is None else parse_position(text, name)


class RecordSearchHandler(DraftHandler):
    """Records of a draft that hold some words."""

    async def post(self, dataset: str) -> None:
        """Page through the records that a filter lets through, words included."""
        self.check_query()
        await self.answer_records(dataset, _query_of(self.body(RecordSearch)))


class RecordHandler(DraftHandler):
    """One record of a draft, named by its position."""

    async def get(self, dataset: str, record: str) -> None:
        """Answer the record."""
        self.check_query()
        await self.authorise(dataset, Right.VIEW)
        position = parse_existing(record)
        item = await self.services.drafts.read(dataset, lambda d: d.get(position))
        self.answer(describe_record(item))

    async def patch(self, dataset: str, record: str) -> None:
        """Give the record new content."""
        await self.authorise(dataset, Right.EDIT)
        body = self.body(RecordPatch)
        wanted = Record.from_dict(body.record)
        position, editor = parse_existing(record), self.identity.tenant_id
        with await self.room():
            item = await self.services.drafts.write(
                dataset, lambda d: d.replace(position, wanted, editor, body.expected)
            )
            await self.touch(dataset)
        self.answer(describe_record(item))

    async def delete(self, dataset: str, record: str) -> None:
        """Remove the record."""
        self.check_query()
        expected = _record_id(self.query("expected"))
        await self.authorise(dataset, Right.EDIT)
        position, editor = parse_existing(record), self.identity.tenant_id
        await self.services.drafts.write(dataset, lambda d: d.remove(position, editor, expected))
        await self.touch(dataset)
        self.answer_nothing()


def _query_of(wanted: RecordSearch) -> RecordQuery:
    _check_place(wanted.after, wanted.offset, wanted.order)
    return RecordQuery.of(
        wanted,
        order=wanted.order,
        after=int(wanted.after or 0),
        offset=wanted.offset or 0,
        limit=wanted.limit + 1,
    )


def _check_place(after: str | None, offset: object, order: RecordOrder) -> None:
    if after is not None and (offset is not None or order != "position"):
        raise InvalidInputError(
            errors=[
                FieldProblem("after", "goes with the order position alone.", "Use offset instead.")
            ]
        )


def parse_existing(text: str) -> int:
    """Return the position that a path names.

    Raises:
        NotFoundError: it is no number, so there is no such record.
    """
    try:
        return parse_position(text, "record")
    except InvalidInputError:
        raise NotFoundError("There is no such record in this draft.") from None


def _record_id(text: str | None) -> str | None:
    if text is not None and not re.fullmatch(r"sha256:[0-9a-f]{64}", text):
        raise InvalidInputError(
            errors=[FieldProblem("expected", "is no record id.", "Use the record_id you saw.")]
        )
    return text


ROUTES = [
    Route(
        "api/datasets/{dataset}/records",
        RecordsHandler,
        {
            "GET": Operation(
                "read",
                "Records of the draft, in order, and how many there are in all.",
                response=RecordPage,
                query={
                    **PAGE_QUERY,
                    "offset": "How many records to pass over; not together with `after`.",
                    "order": f"One of {', '.join(ORDERS)}; the first if left out.",
                    "file": "Only records of this file (id).",
                    "kind": f"Only records of this kind: {', '.join(get_args(Kind))}.",
                    "edited": "`true`: only records that an edit added or changed.",
                    "duplicates": "`true`: only records that occur more than once.",
                    "language": "Only records in this language (ISO 639), by the last review.",
                    "flag": f"Only records with this flag: {', '.join(QUALITY_FLAGS)}.",
                    "group": "Only this group of near-duplicates.",
                    "near_duplicates": "`true`: only records in a group of near-duplicates.",
                    "split": f"Only records of this split: {', '.join(_SPLITS)}; or of `none`.",
                    "min_length": "Characters of all text, at least.",
                    "max_length": "Characters of all text, at most.",
                },
            ),
            "POST": Operation(
                "write", "Append a record.", request=RecordCreate, response=RecordItem, status=201
            ),
        },
    ),
    Route(
        "api/datasets/{dataset}/records/search",
        RecordSearchHandler,
        {
            "POST": Operation(
                "read",
                "Records of the draft that hold some words, which no log of addresses gets to see.",
                request=RecordSearch,
                response=RecordPage,
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
            "DELETE": Operation(
                "write",
                "Remove a record.",
                status=204,
                query={"expected": "The record id that you saw; refused if it is another by now."},
                fresh_identity=True,
            ),
        },
    ),
]
