"""Operations: work that takes longer than a request, with progress and cancelling.

The work runs in a thread of this process; its progress is kept in memory, its end in the database.
What the work is, it does not know: see `Work`.

Invariants:

- What an operation made and its state `completed` are committed in one transaction: it completed
  exactly if its result is there.
- An operation that failed, was cancelled or died with the process left nothing (`Work.abandon`).
- At most one operation that changes something runs on one thing.
- Whoever began it may still do so when its turn comes, and when its result is written down; `may`
  asks.
- One tenant's many operations keep nobody else's waiting for more than a turn (`fair_seats`), and
  are bounded.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
)
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Protocol

from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import AdapteryError, UnavailableError
from adaptery.ids import new_id
from adaptery_hub import logs
from adaptery_hub.database import Database
from adaptery_hub.database.statements import operations as statements
from adaptery_hub.fair_seats import FairSeats
from adaptery_hub.full_disk import unexpected
from adaptery_hub.identity import Identity
from adaptery_hub.metrics import Metrics
from adaptery_hub.turnstile import Turnstile

logger = logging.getLogger(__name__)

#: Operations that run at once, of one tenant one fewer; the others wait their turn.
OPERATION_THREADS = 3
#: As many more that take well under a second: they wait for no long one.
QUICK_THREADS = 2
#: Operations of one tenant that run or wait.
OPERATIONS_PER_TENANT = 64

#: Raises if whoever began an operation may not do so any more.
May = Callable[[Connection], object]


class Cancelled(Exception):
    """Raised in the thread of an operation that shall end."""


class Progress:
    """What the work tells about itself, and how it learns that it shall end."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.done = 0
        self.total = 0
        #: Set at the next change, and then replaced: take it before reading the state.
        self.changed = asyncio.Event()
        self._loop = loop
        self._cancelled = threading.Event()

    def report(self, done: int, total: int) -> None:
        """Tell how far the work is.

        Raises:
            Cancelled: the work shall end.
        """
        self.check()
        self.done, self.total = done, total
        self._loop.call_soon_threadsafe(self.notify)

    def check(self) -> None:
        """Go on only if the work shall.

        Raises:
            Cancelled: the work shall end.
        """
        if self._cancelled.is_set():
            raise Cancelled

    def notify(self) -> None:
        """Wake whoever waits for a change; on the event loop only."""
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()

    def cancel(self) -> None:
        """Ask the work to end at its next report."""
        self._cancelled.set()


class Work(Protocol):
    """What an operation does. `run` and `abandon` are called in a thread."""

    def run(self, progress: Progress) -> None:
        """Do everything that can be undone."""
        ...

    def commit(self, connection: Connection) -> Mapping[str, object]:
        """Make it so, with statements on this connection only; return the result."""
        ...

    def abandon(self) -> None:
        """Undo what `run` did; called after any failure."""
        ...


@dataclass(frozen=True)
class _Lane:
    """Threads, and who is next for one."""

    threads: ThreadPoolExecutor
    seats: FairSeats

    @classmethod
    def of(cls, count: int, name: str) -> _Lane:
        return cls(ThreadPoolExecutor(count, thread_name_prefix=name), FairSeats(count))


@dataclass
class _Running:
    progress: Progress
    task: asyncio.Task[None] | None = field(default=None)
    waiting: asyncio.Task[object] | None = field(default=None)  # for what it has to hold

    def cancel(self) -> None:
        self.progress.cancel()
        if self.waiting is not None:
            self.waiting.cancel()

    async def take(self, hold: AbstractAsyncContextManager[object], held: AsyncExitStack) -> None:
        """Wait for what it has to hold.

        Raises:
            Cancelled: it shall end.
        """
        self.progress.check()
        self.waiting = asyncio.create_task(held.enter_async_context(hold))
        try:
            await self.waiting
        except asyncio.CancelledError:
            raise Cancelled from None
        finally:
            self.waiting = None


class Operations:
    """Starts operations and tells how they are."""

    def __init__(self, database: Database, metrics: Metrics) -> None:
        self._database = database
        self._metrics = metrics
        self._running: dict[str, _Running] = {}
        self._long = _Lane.of(OPERATION_THREADS, "operation")
        self._quick = _Lane.of(QUICK_THREADS, "operation-quick")
        #: What each tenant has running or waiting.
        self.open = Turnstile("operations", OPERATIONS_PER_TENANT)

    async def start(
        self,
        identity: Identity,
        kind: str,
        thing_id: str,
        work: Work,
        *,
        quick: bool = False,
        hold: AbstractAsyncContextManager[object] | None = None,
        may: May | None = None,
    ) -> RowMapping:
        """Begin the work and return the operation's row.

        Args:
            identity: who wants it.
            kind: what it is.
            thing_id: what it works on.
            work: what it does.
            quick: whether it takes well under a second.
            hold: what it has for itself from before it runs until its end is written down; it
                waits for that in no thread, so nobody else waits with it.
            may: asked again when it begins and when it ends: it may have waited for long.

        Raises:
            ConflictError: another operation is running on this thing.
            QuotaError: too many of this tenant run or wait.
        """
        operation_id = new_id("op")
        leave = self.open.enter(identity.tenant_id)
        try:
            await self._database.write(
                lambda c: statements.insert(
                    c,
                    operation_id=operation_id,
                    tenant_id=identity.tenant_id,
                    kind=kind,
                    thing_id=thing_id,
                )
            )
        except BaseException:
            leave()
            raise
        running = _Running(Progress(asyncio.get_running_loop()))
        self._running[operation_id] = running
        lane = self._quick if quick else self._long
        turn = _turn(hold or nullcontext(), lane.seats.seat(identity.tenant_id))
        running.task = asyncio.create_task(
            self._run(operation_id, kind, running, work, lane.threads, turn, may or _always)
        )
        running.task.add_done_callback(lambda _: leave())
        return await self._database.read(lambda c: statements.get(c, operation_id))

    def progress(self, operation_id: str) -> Progress | None:
        """Return the progress of an operation that runs in this process."""
        running = self._running.get(operation_id)
        return running.progress if running else None

    async def ended(self, operation_id: str) -> RowMapping:
        """Wait for the end of an operation and return its row."""
        running = self._running.get(operation_id)
        if running is not None and running.task is not None:
            await asyncio.shield(running.task)
        return await self._database.read(lambda c: statements.get(c, operation_id))

    async def cancel(self, operation_id: str) -> None:
        """Ask an operation to end and wait until it did; one that has ended stays as it is."""
        running = self._running.get(operation_id)
        if running is not None and running.task is not None:
            running.cancel()
            await asyncio.shield(running.task)

    async def recover(self) -> list[RowMapping]:
        """Mark what a former process left running as failed and return it; called at start."""
        error = UnavailableError(
            "The service was restarted before this was done.", hint="Start it again."
        )
        left = await self._database.read(statements.running)
        for row in left:
            await self._finish(row["id"], row["kind"], "failed", error)
        return left

    async def stop(self) -> None:
        """End every operation of this process."""
        for running in list(self._running.values()):
            running.cancel()
        tasks = [running.task for running in self._running.values() if running.task]
        await asyncio.gather(*tasks)
        self._long.threads.shutdown(wait=True)
        self._quick.threads.shutdown(wait=True)

    async def _run(
        self,
        operation_id: str,
        kind: str,
        running: _Running,
        work: Work,
        threads: ThreadPoolExecutor,
        turn: AbstractAsyncContextManager[object],
        may: May,
    ) -> None:
        loop = asyncio.get_running_loop()
        async with AsyncExitStack() as held:
            try:
                await running.take(turn, held)
                await self._database.read(may)
                context = copy_context()  # the thread's log lines keep the request id
                await loop.run_in_executor(threads, lambda: context.run(work.run, running.progress))
                await self._commit(operation_id, work, may)
                self._metrics.operations.labels(kind, "completed").inc()
            except Cancelled:
                await loop.run_in_executor(threads, work.abandon)
                await self._finish(operation_id, kind, "cancelled", None)
            except AdapteryError as error:
                await loop.run_in_executor(threads, work.abandon)
                await self._finish(operation_id, kind, "failed", error)
            except Exception as error:
                logs.log_exception(logger, "operation_failed", error)
                await loop.run_in_executor(threads, work.abandon)
                await self._finish(operation_id, kind, "failed", unexpected(error))
            finally:
                del self._running[operation_id]
                running.progress.notify()

    async def _commit(self, operation_id: str, work: Work, may: May) -> None:
        def commit(connection: Connection) -> None:
            may(connection)
            result = work.commit(connection)
            statements.finish(connection, operation_id, "completed", result=dict(result))

        await self._database.write(commit)

    async def _finish(
        self, operation_id: str, kind: str, state: str, error: AdapteryError | None
    ) -> None:
        problem = error.to_problem(logs.request_id.get()) if error else None
        await self._database.write(
            lambda c: statements.finish(c, operation_id, state, error=problem)
        )
        self._metrics.operations.labels(kind, state).inc()


@asynccontextmanager
async def _turn(
    hold: AbstractAsyncContextManager[object], seat: AbstractAsyncContextManager[None]
) -> AsyncIterator[None]:
    """Have what an operation needs before it runs."""
    async with hold, seat:
        yield


def _always(_: Connection) -> None:
    """Let everybody."""
