"""`api/operations`: how far an operation is, its events, cancelling it.

For its starter only, and only while the starter may view what it works on; of a pre-flight, use.
"""

from __future__ import annotations

from sqlalchemy.engine import Connection, RowMapping
from tornado.gen import sleep

from adaptery.schemas.datasets import Operation as OperationAnswer
from adaptery_hub.curation.recovering import ON_DRAFTS
from adaptery_hub.database import tables
from adaptery_hub.handlers.base import Handler
from adaptery_hub.handlers.sse import SSE_MEDIA, EventStream
from adaptery_hub.identity import Identity
from adaptery_hub.operations import Operations
from adaptery_hub.permissions import Right, fetch
from adaptery_hub.routes import Operation, Route

#: Events of one stream are at least this far apart.
EVENT_INTERVAL_SECONDS = 0.1
#: What operations of each kind work on.
_TABLES = {
    "publish": tables.datasets,
    "merge": tables.datasets,
    "erase": tables.datasets,
    "import": tables.files,
    "preflight": tables.versions,
    **dict.fromkeys(ON_DRAFTS, tables.datasets),
}


def describe_operation(row: RowMapping, operations: Operations) -> OperationAnswer:
    """Return an operation as the API shows it, with its live progress if it runs here."""
    done, total = row["done"], row["total"]
    progress = operations.progress(row["id"])
    if progress is not None and row["state"] == "running":
        done, total = progress.done, progress.total
    share = 1.0 if row["state"] == "completed" else min(done / total, 1.0) if total else 0.0
    return OperationAnswer(
        id=row["id"],
        kind=row["kind"],
        state=row["state"],
        progress=share,
        done=done,
        total=total or None,
        result=row["result"],
        error=row["error"],
        created_at=row["created_at"],
    )


def find_operation(connection: Connection, identity: Identity, operation_id: str) -> RowMapping:
    """Return an operation that the caller started, on a thing that they may view.

    Raises:
        NotFoundError: there is none, or the caller may not know it.
        NotAllowedError: the caller has a lesser right on the thing than to view it.
    """
    row = fetch(connection, tables.operations, identity, operation_id, Right.MANAGE)
    needed = Right.USE if row["kind"] == "preflight" else Right.VIEW
    fetch(connection, _TABLES[row["kind"]], identity, row["thing_id"], needed)
    return row


class OperationHandler(Handler):
    """One operation."""

    async def get(self, operation: str) -> None:
        """Answer the operation."""
        self.check_query()
        self.answer(await self.read(operation))

    async def delete(self, operation: str) -> None:
        """Cancel the operation and answer how it ended."""
        await self.read(operation)
        await self.services.operations.cancel(operation)
        self.answer(await self.read(operation))

    async def read(self, operation: str) -> OperationAnswer:
        """Return the operation if the caller started it."""
        row = await self.services.db.read(lambda c: find_operation(c, self.identity, operation))
        return describe_operation(row, self.services.operations)


class OperationEventsHandler(OperationHandler):
    """The changes of one operation."""

    async def get(self, operation: str) -> None:
        """Stream the operation at each change until it has ended."""
        self.check_query()
        row = await self.services.db.read(lambda c: find_operation(c, self.identity, operation))
        stream = EventStream(self)
        await stream.open()
        await stream.while_admitted(
            self._follow(stream, operation),
            row["thing_id"],
            lambda c, identity: find_operation(c, identity, operation),
        )

    async def _follow(self, stream: EventStream, operation: str) -> None:
        while not stream.closed:
            progress = self.services.operations.progress(operation)
            changed = progress.changed if progress else None
            state = await self.read(operation)
            await stream.send(state.model_dump_json(), event="operation")
            if state.state != "running" or changed is None:
                return
            while not (stream.closed or await stream.wait(changed)):
                await stream.keep_alive()
            await sleep(EVENT_INTERVAL_SECONDS)


ROUTES = [
    Route(
        "api/operations/{operation}",
        OperationHandler,
        {
            "GET": Operation("read", "One operation of mine.", response=OperationAnswer),
            "DELETE": Operation(
                "write", "Cancel an operation.", response=OperationAnswer, fresh_identity=True
            ),
        },
    ),
    Route(
        "api/operations/{operation}/events",
        OperationEventsHandler,
        {
            "GET": Operation(
                "read",
                "The operation at each change, as server-sent events.",
                response=OperationAnswer,
                media=SSE_MEDIA,
            )
        },
    ),
]
