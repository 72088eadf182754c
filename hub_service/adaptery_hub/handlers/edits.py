"""`api/datasets/{dataset}/edits`: what was edited in a draft by hand; undo and redo.

The log holds what is no longer in the draft, so that it can come back. Whoever may only view the
draft learns from it who changed which record when, and not what stood there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Literal

from adaptery.schemas.common import Page
from adaptery.schemas.curation import Edit, EditRequest, EditResult, ForgetRequest, ForgetResult
from adaptery_hub.curation import Outcome, Run, redo_edit, undo_edit
from adaptery_hub.database.statements import tenants
from adaptery_hub.drafts import Draft, DraftEdit
from adaptery_hub.handlers.bulk import CurationHandler
from adaptery_hub.handlers.operations import describe_operation
from adaptery_hub.handlers.records import DraftHandler, describe_record, parse_position
from adaptery_hub.permissions import Right
from adaptery_hub.routes import PAGE_QUERY, Operation, Route

#: Records of a batch that is undone while the caller waits.
AT_ONCE = 1_000


class _EditsHandler(CurationHandler):
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

    async def change(self, dataset: str, verb: Literal["undo", "redo"]) -> None:
        """Undo or redo an edit of the caller, and answer it; a large batch in an operation."""
        self.check_query()
        right = await self.authorise(dataset, Right.EDIT)
        body = self.body(EditRequest)
        seq = None if body.edit is None else int(body.edit)
        editor = self.identity.tenant_id
        await self.check_storage()
        edit = await self.services.drafts.read(
            dataset, lambda d: d.next_edit(editor, verb) if seq is None else d.edit(seq)
        )
        if edit.records > AT_ONCE:
            await self._begin(dataset, verb, edit, right)
            return
        done = await self.services.drafts.write(
            dataset, lambda d: (d.undo if verb == "undo" else d.redo)(editor, seq)
        )
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

    async def _begin(
        self, dataset: str, verb: Literal["undo", "redo"], edit: DraftEdit, right: Right
    ) -> None:
        """Undo or redo a large batch in an operation, and answer that."""

        def run(run: Run) -> Outcome:
            run.hold()
            return run.step(undo_edit if verb == "undo" else redo_edit, edit.seq)

        work = self.work(dataset, f"records.{verb}", run)
        row = await self.begin(verb, dataset, work, quick=False)
        (described,) = await self.describe([edit], right)
        operation = describe_operation(row, self.services.operations)
        answer = EditResult(edit=described, record=None, changed=0, operation=operation)
        self.answer(answer, status=202)

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
        await self.change(dataset, "undo")


class RedoHandler(_EditsHandler):
    """Redoing."""

    async def post(self, dataset: str) -> None:
        """Do again what the caller undid last."""
        await self.change(dataset, "redo")


class ForgetHandler(DraftHandler):
    """What the log shall no longer hold."""

    async def post(self, dataset: str) -> None:
        """Forget what an edit changed, or what a record ever was."""
        self.check_query()
        await self.authorise(dataset, Right.EDIT)
        body = self.body(ForgetRequest)

        def forget(draft: Draft) -> int:
            if body.edit is not None:
                return draft.forget_edit(int(body.edit))
            return draft.forget_record(int(body.record or 0))

        count = await self.services.drafts.write(dataset, forget)
        await self.touch(dataset)
        await self.services.db.write(
            lambda c: self.audit(c, "records.forget", dataset, edits=count)
        )
        self.answer(ForgetResult(edits=count))


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
                "Undo your newest edit that stands, or one of yours; 202: a large batch, which an "
                "operation undoes.",
                request=EditRequest,
                response=EditResult,
                or_status=(202,),
            )
        },
    ),
    Route(
        "api/datasets/{dataset}/edits/redo",
        RedoHandler,
        {
            "POST": Operation(
                "write",
                "Redo what you undid last, or one edit that you undid; 202 as for undoing.",
                request=EditRequest,
                response=EditResult,
                or_status=(202,),
            )
        },
    ),
    Route(
        "api/datasets/{dataset}/edits/forget",
        ForgetHandler,
        {
            "POST": Operation(
                "write",
                "Drop from the log what an edit replaced and removed, and the records that it "
                "changed from the edits before; or all that a record ever "
                "was: nobody can read it or undo it any more.",
                request=ForgetRequest,
                response=ForgetResult,
                fresh_identity=True,
            )
        },
    ),
]
