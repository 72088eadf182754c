"""`api/datasets/{dataset}/records/bulk` and `…/restore`: many records at once, and their return."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy.engine import Connection, RowMapping

from adaptery.schemas.curation import BulkRequest, RecordItem, RestoreRequest
from adaptery.schemas.datasets import Operation as OperationAnswer
from adaptery_hub.curation import CurationWork, Outcome, Run, bulk_edit
from adaptery_hub.database import tables
from adaptery_hub.handlers.operations import describe_operation
from adaptery_hub.handlers.records import DraftHandler, describe_record, parse_existing
from adaptery_hub.permissions import Right, fetch
from adaptery_hub.routes import Operation, Route


class CurationHandler(DraftHandler):
    """What handlers share that begin a step on a draft."""

    async def begin(
        self,
        kind: str,
        dataset: str,
        work: CurationWork,
        *,
        quick: bool,
        may: Callable[[Connection], object] | None = None,
    ) -> RowMapping:
        """Begin an operation and return its row; whoever edits must still be let when it runs.

        Args:
            kind: what it is.
            dataset: the draft.
            work: what it does.
            quick: whether it takes well under a second.
            may: what else must still hold then; raises.

        Raises:
            ConflictError: another operation is running on this draft.
        """
        identity = self.identity

        def check(connection: Connection) -> None:
            fetch(connection, tables.datasets, identity, dataset, Right.EDIT)
            if may is not None:
                may(connection)

        return await self.services.operations.start(
            identity, kind, dataset, work, quick=quick, may=check
        )

    def work(
        self,
        dataset: str,
        action: str,
        run: Callable[[Run], Outcome],
        check: Callable[[Outcome], None] = lambda _: None,
        also: Callable[[Connection], None] = lambda _: None,
        **details: str,
    ) -> CurationWork:
        """Return the work of a step, which is written down when it is done.

        Args:
            dataset: the draft.
            action: as the audit calls it.
            run: runs the step; called in a thread.
            check: raises if what was done must not stay; called in a thread.
            also: writes what follows from it, in the transaction that makes it so.
            details: for the audit; never content.
        """
        services = self.services

        def note(connection: Connection, outcome: Outcome) -> None:
            also(connection)
            self.audit(connection, action, dataset, records=outcome.changed, **details)

        return CurationWork(
            services.drafts,
            services.processes,
            dataset,
            self.identity.tenant_id,
            run,
            note,
            check,
        )


class BulkHandler(CurationHandler):
    """Many records of a draft."""

    async def post(self, dataset: str) -> None:
        """Begin to change them."""
        self.check_query()
        wanted = self.body(BulkRequest)
        await self.authorise(dataset, Right.EDIT)
        await self.check_storage()

        def run(run: Run) -> Outcome:
            run.hold()
            return run.step(bulk_edit, wanted)

        work = self.work(dataset, f"records.{wanted.action}", run)
        row = await self.begin("bulk", dataset, work, quick=wanted.records is not None)
        self.answer(describe_operation(row, self.services.operations))


class RestoreHandler(DraftHandler):
    """A record that was removed."""

    async def post(self, dataset: str, record: str) -> None:
        """Bring it back."""
        self.check_query()
        await self.authorise(dataset, Right.EDIT)
        self.body(RestoreRequest)
        position, editor = parse_existing(record), self.identity.tenant_id
        with await self.room():
            item = await self.services.drafts.write(dataset, lambda d: d.restore(position, editor))
            await self.touch(dataset)
        self.answer(describe_record(item))


ROUTES = [
    Route(
        "api/datasets/{dataset}/records/bulk",
        BulkHandler,
        {
            "POST": Operation(
                "write",
                "Remove many records, restore them, or give them to a split: one edit, one undo.",
                request=BulkRequest,
                response=OperationAnswer,
                status=202,
                fresh_identity=True,
            )
        },
    ),
    Route(
        "api/datasets/{dataset}/records/{record}/restore",
        RestoreHandler,
        {
            "POST": Operation(
                "write",
                "Bring back a record that anybody removed, as far as the log knows it.",
                request=RestoreRequest,
                response=RecordItem,
            )
        },
    ),
]
