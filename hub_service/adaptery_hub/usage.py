"""Accounts for inference: one usage row and one audit row per request, in one transaction.

Counts, names, digests and outcomes; never a prompt or an output. What the caller is told about
usage comes from the same counts.

With a spool, rows are gathered and written together, at the latest `FLUSH_SECONDS` after the first
of them, and when the service stops. Without one, `add` returns once its row is written.

Invariants:
- A row is in the spool before `add` returns, and leaves it after the commit that writes it. A
  process that is killed at any moment loses none: the next start writes what is in the spool.
- A row is written once: what may have been written already is looked for by its id.
- A usage row has its audit row (same id but for the prefix), and the other way round.
- What waits is counted in `pending_tokens` until the database counts it, and not longer.
- A database that takes no writes delays rows and loses none; what the spool has taken needs memory
  for `BATCHES_IN_MEMORY` batches at most.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DataError, IntegrityError

from adaptery.ids import new_id
from adaptery.times import Clock, now
from adaptery_hub import logs
from adaptery_hub.audit import AuditLog
from adaptery_hub.database import Database
from adaptery_hub.database.statements import usage as statements
from adaptery_hub.spool import Segment, Spool
from adaptery_hub.usage_rows import (
    UsageEntry,
    UsageRow,
    audit_entry,
    from_lines,
    to_line,
    usage_row,
)

__all__ = ["UsageEntry", "UsageLog"]

logger = logging.getLogger(__name__)

#: How long a row waits for others. Longer would not save much: at a thousand requests a second, a
#: batch takes 15 ms, in which the event loop shares the interpreter with the writer.
FLUSH_SECONDS = 0.25
#: Rows of one transaction: it keeps other writers waiting for less than a tenth of a second.
BATCH_ROWS = 1000
#: Batches that wait in memory; the rows of further ones are in the spool only, until their turn.
BATCHES_IN_MEMORY = 20
#: What is wrong with a row, and will be again; anything else is wrong with the database.
_ROW_FAULTS = (IntegrityError, DataError, ArithmeticError, ValueError, TypeError)
#: How long to wait after a failed write.
RETRY_SECONDS = 2.0


@dataclass
class _Batch:
    """Rows that are written together."""

    segment: Segment | None = None
    rows: list[UsageRow] = field(default_factory=list[UsageRow])
    #: Whether `rows` holds them; else the segment does.
    in_memory: bool = True
    #: Whether the segment took all of them.
    spooled: bool = True
    #: Whether they are in what waits, by key; those of a crash never were.
    pending: bool = True
    #: Whether some of them may be in the database already.
    doubtful: bool = False


class UsageLog:
    """Writes usage."""

    def __init__(
        self, database: Database, audit: AuditLog, clock: Clock = now, spool: Spool | None = None
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._spool = spool
        self._open = _Batch()  # rows are added to it
        self._full: deque[_Batch] = deque()  # wait for their turn
        self._writing = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._flushing: asyncio.Task[None] | None = None
        self._pending: Counter[str] = Counter()  # tokens by key, user and adapter
        self._pending_lock = threading.Lock()

    async def start(self) -> None:
        """Write what a crash left in the spool."""
        if self._spool is not None:
            left = await asyncio.to_thread(list, self._spool.left_behind())
            for segment in left:
                batch = _Batch(segment, in_memory=False, pending=False, doubtful=True)
                self._full.append(batch)
            if left:
                logs.log(logger, logging.INFO, "usage_recovered", segments=len(left))
                await self._try_flush()

    async def add(self, entry: UsageEntry) -> None:
        """Accounts for one request."""
        self._keep(UsageRow(new_id("us")[3:], self._clock(), entry))
        with self._pending_lock:
            for holder_id in _holders(entry):
                self._pending[holder_id] += entry.tokens
        if self._spool is None:
            await self.flush()
        elif len(self._open.rows) >= BATCH_ROWS:
            self._seal()
            self._flush_soon(0)
        elif self._timer is None:
            self._flush_soon(FLUSH_SECONDS)

    def pending_tokens(self, holder_id: str) -> int:
        """Returns the tokens of a key, user or adapter that the database does not count yet.

        From any thread. Inside a write transaction on SQLite, they and what it reads add up
        exactly.
        """
        with self._pending_lock:
            return self._pending.get(holder_id, 0)

    async def flush(self) -> None:
        """Writes all that was added.

        Raises:
            Exception: The database does not take it; it is kept for the next time.
        """
        async with self._writing:
            self._seal()
            while self._full:
                await self._write(self._full[0])
                self._full.popleft()

    async def stop(self) -> None:
        """Writes what waits; what the database does not take now is left to the next start."""
        if self._timer is not None:
            self._timer.cancel()
        if self._flushing is not None:
            await asyncio.wait([self._flushing])
        await self._try_flush()
        for batch in self._full:
            if batch.segment is not None:
                batch.segment.release()
        if self._timer is not None:  # a flush that failed just now
            self._timer.cancel()

    # -- gathering ------------------------------------------------------------------------------

    def _keep(self, row: UsageRow) -> None:
        batch = self._open
        batch.rows.append(row)
        if self._spool is None:
            return
        try:
            if batch.segment is None:
                batch.segment = self._spool.begin()
            batch.segment.append(to_line(row))
        except OSError as error:  # no reason to refuse an answer: the row is in memory
            batch.spooled = False
            logs.log_exception(logger, "usage_spool_failed", error)

    def _seal(self) -> None:
        if not self._open.rows:
            return
        batch, self._open = self._open, _Batch()
        in_spool = batch.segment is not None and batch.spooled
        if in_spool and len(self._full) >= BATCHES_IN_MEMORY:
            batch.rows, batch.in_memory = [], False
        self._full.append(batch)

    def _flush_soon(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._begin_flush)

    def _begin_flush(self) -> None:
        self._timer = None
        if self._flushing is not None and not self._flushing.done():
            self._flush_soon(FLUSH_SECONDS)
        else:
            self._flushing = asyncio.create_task(self._try_flush())

    async def _try_flush(self) -> None:
        try:
            await self.flush()
        except Exception as error:
            logs.log_exception(logger, "usage_not_written", error)
            self._flush_soon(RETRY_SECONDS)

    # -- writing --------------------------------------------------------------------------------

    async def _write(self, batch: _Batch) -> None:
        rows = batch.rows if batch.in_memory else await asyncio.to_thread(_read, batch)
        try:
            await self._write_rows(batch, rows)
        except _ROW_FAULTS:
            # One row that the database refuses must not keep the others out.
            for row in rows:
                await self._write_one(batch, row)
        if batch.segment is not None:
            batch.segment.remove()

    async def _write_rows(self, batch: _Batch, rows: Sequence[UsageRow]) -> None:
        doubtful, batch.doubtful = batch.doubtful, True
        await self._database.write(
            lambda c: self._insert(c, rows, doubtful),
            committed=lambda: self._forget(batch, rows),
            durable=True,
        )

    async def _write_one(self, batch: _Batch, row: UsageRow) -> None:
        try:
            await self._write_rows(batch, [row])
        except _ROW_FAULTS as error:
            self._forget(batch, [row])
            logs.log_exception(logger, "usage_refused", error)

    def _insert(self, connection: Connection, rows: Sequence[UsageRow], doubtful: bool) -> None:
        if doubtful:
            known = statements.known(connection, [row.usage_id for row in rows])
            rows = [row for row in rows if row.usage_id not in known]
        if rows:
            statements.insert(connection, [usage_row(row) for row in rows])
            self._audit.append_all(connection, [audit_entry(row) for row in rows])

    def _forget(self, batch: _Batch, rows: Sequence[UsageRow]) -> None:
        """Takes rows off what waits; in the thread of the writer, after the commit."""
        if not batch.pending:
            return
        with self._pending_lock:
            for row in rows:
                for holder_id in _holders(row.entry):
                    self._pending[holder_id] -= row.entry.tokens
                    if self._pending[holder_id] <= 0:
                        del self._pending[holder_id]


def _holders(entry: UsageEntry) -> list[str]:
    """Returns whom an answer counts for."""
    whose = (entry.key_id, entry.tenant_id, entry.adapter_id)
    return [holder_id for holder_id in whose if holder_id is not None]


def _read(batch: _Batch) -> list[UsageRow]:
    """Returns the rows of a batch from its segment; tells of lines that a loss of power cut."""
    assert batch.segment is not None
    lines = batch.segment.lines()
    rows = from_lines(lines)
    if len(rows) < len(lines):
        logs.log(logger, logging.WARNING, "usage_lines_cut", lines=len(lines) - len(rows))
    return rows
