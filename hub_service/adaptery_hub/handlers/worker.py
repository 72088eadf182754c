"""`api/worker`: workers of ClearML. They are no users: a key of theirs, then an attempt's token."""

from __future__ import annotations

from adaptery.errors import NotAuthenticatedError, TooLargeError
from adaptery.schemas.worker import MESSAGE_LIMIT_BYTES, Hold, TicketUse, pack, unpack
from adaptery_hub.clearml.workers import WorkerDesk
from adaptery_hub.handlers.base import Handler
from adaptery_hub.handlers.computing import compute_of
from adaptery_hub.routes import Operation, Route


class WorkerHandler(Handler):
    """Base of what workers of ClearML ask for."""

    _admitted = False

    async def authenticate(self) -> None:
        """Check what the worker shows; see `Handler.authenticate`."""
        desk = compute_of(self).workers
        kind, _, shown = self.request.headers.get("Authorization", "").partition(" ")
        if desk is None or kind != "Bearer":
            raise NotAuthenticatedError()
        self.check(desk, shown)
        self.desk = desk
        self._admitted = True

    def check(self, desk: WorkerDesk, shown: str) -> None:
        """Check the secret of the worker.

        Raises:
            NotAuthenticatedError: it is not the right one.
        """
        raise NotImplementedError

    async def data_received(self, chunk: bytes) -> None:
        """Collect a message up to its limit; called by tornado."""
        self._received_bytes += len(chunk)
        if self._admitted and self._received_bytes <= MESSAGE_LIMIT_BYTES:
            self._body += chunk


class TicketsHandler(WorkerHandler):
    """Tickets."""

    def check(self, desk: WorkerDesk, shown: str) -> None:
        """See `WorkerHandler.check`."""
        desk.check_key(shown)

    async def post(self) -> None:
        """Begin the job of a ticket."""
        self.answer(await self.desk.begin(self.body(TicketUse)))


class SessionHandler(WorkerHandler):
    """The session of an attempt."""

    def check(self, desk: WorkerDesk, shown: str) -> None:
        """See `WorkerHandler.check`."""
        desk.check_session(self.path_kwargs["attempt"], shown)

    async def post(self, attempt: str) -> None:
        """Do one operation of the attempt."""
        if self.received_bytes > MESSAGE_LIMIT_BYTES:
            raise TooLargeError(f"A message has at most {MESSAGE_LIMIT_BYTES} bytes.")
        header, blob = await self.desk.handle(attempt, *unpack(bytes(self._body)))
        self.set_header("Content-Type", self.operation.media)
        self.finish(pack(dict(header), blob))


ROUTES = [
    Route(
        "api/worker/tickets",
        TicketsHandler,
        {
            "POST": Operation(
                "worker",
                "Begin the job of a ClearML task; the ticket is of use once.",
                request=TicketUse,
                response=Hold,
            )
        },
    ),
    Route(
        "api/worker/attempts/{attempt}",
        SessionHandler,
        {
            "POST": Operation(
                "worker",
                "One operation of an attempt: fetch, report, hand in, end.",
                media="application/octet-stream",
                streamed=True,
            )
        },
    ),
]
