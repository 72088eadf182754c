"""`api/datasets/{dataset}/edits`: what was edited in a draft by hand; undo and redo.

The log holds what is no longer in the draft, so that it can come back. Whoever may only view the
draft learns from it who changed which record when, and not what stood there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from adaptery.schemas.common import Page
from adaptery.schemas.curation import Edit, EditRequest, EditResult
from adaptery_hub.database.statements import tenants
from adaptery_hub.drafts import Draft, DraftEdit, Undone
from adaptery_hub.handlers.records import DraftHandler, describe_record, parse_position
from adaptery_hub.permissions import Right
from adaptery_hub.routes import PAGE_QUERY, Operation, Route


class _EditsHandler(DraftHandler):
    async def describe(self, edits: Iterable[DraftEdit], right: Right) -> list[Edit]:
        """Return edits as the API shows them to whom has this right on the draft."""
        content = right >= Right.EDIT
        edits = list(edits)
        names = await self._names({edit.editor for edit in edits})
        return [
            Edit(
                id=str(edit.seq),
                at=edit.at,
                editor=names[edit.editor],
                action=edit.action,
                record=None if edit.position is None else str(edit.position),
                before=json.loads(edit.before) if edit.before and content else None,
                after=json.loads(edit.after) if edit.after and content else None,
                undone=edit.undone,
                batch=edit.batch,
                records=edit.records,
                forgotten=edit.forgotten,
            )
            for edit in edits
        ]

    async def change(self, dataset: str, step: Callable[[Draft, str, int | None], Undone]) -> None:
        """Undo or redo an edit of the caller, and answer it."""
        right = await self.authorise(dataset, Right.EDIT)
        body = self.body(EditRequest)
        seq = None if body.edit is None else int(body.edit)
        editor = self.identity.tenant_id
        done = await self.services.drafts.write(dataset, lambda d: step(d, editor, seq))
        await self.touch(dataset)
        (described,) = await self.describe([done.edit], right)
        self.answer(
            EditResult(
                edit=described,
                record=None if done.record is None else describe_record(done.record),
                changed=done.changed,
                passed_over=done.passed_over,
            )
        )

    async def _names(self, ids: set[str]) -> dict[str, str]:
        rows = await self.services.db.read(lambda c: tenants.get_many(c, list(ids)))
        return {row["id"]: f"@{row['slug']}" for row in rows}  # only users edit


class EditsHandler(_EditsHandler):
    """All edits of a draft."""

    async def get(self, dataset: str) -> None:
        """List the edits, newest first."""
        after, limit = self.page()
        before = None if after is None else parse_position(after, "after")
        right = await self.authorise(dataset, Right.VIEW)
        edits = await self.services.drafts.read(dataset, lambda d: d.edits(before, limit + 1))
        self.answer_page(await self.describe(edits, right), limit)


class UndoHandler(_EditsHandler):
    """Undoing."""

    async def post(self, dataset: str) -> None:
        """Undo the caller's newest edit that stands."""
        await self.change(dataset, Draft.undo)


class RedoHandler(_EditsHandler):
    """Redoing."""

    async def post(self, dataset: str) -> None:
        """Do again what the caller undid last."""
        await self.change(dataset, Draft.redo)


ROUTES = [
    Route(
        "api/datasets/{dataset}/edits",
        EditsHandler,
        {
            "GET": Operation(
                "read",
                "What was edited by hand, newest first; the records before and after for whoever "
                "may edit.",
                response=Page[Edit],
                query=PAGE_QUERY,
            )
        },
    ),
    Route(
        "api/datasets/{dataset}/edits/undo",
        UndoHandler,
        {
            "POST": Operation(
                "write",
                "Undo your newest edit that stands.",
                request=EditRequest,
                response=EditResult,
            )
        },
    ),
    Route(
        "api/datasets/{dataset}/edits/redo",
        RedoHandler,
        {
            "POST": Operation(
                "write", "Redo what you undid last.", request=EditRequest, response=EditResult
            )
        },
    ),
]
