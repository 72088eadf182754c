"""Retention: removes what is kept for a while only, a little at a time.

What goes, and when, is said by `KeepDays` and, for the jobs of one tenant, by its own number of
days. Published versions, adapters and the audit are never removed here, but for files of OpenAI's
clients that were uploaded for a while: those are erased, with all that is in their datasets.

Invariants:

- Only of jobs that are over is anything removed: one that may go on finds its checkpoint. An
  adapter is a folder of its own and needs no checkpoint.
- Files go before the row that names them: a sweep that is killed finds the row again and goes on.
- What is removed is a row of the audit, with how many and how large, in the same transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import ConflictError, NotFoundError, QuotaError
from adaptery.times import Clock, now
from adaptery_hub.audit import AuditEntry, AuditLog
from adaptery_hub.database import Database, tables
from adaptery_hub.database.statements import datasets as dataset_statements
from adaptery_hub.database.statements import retention as statements
from adaptery_hub.database.statements import tenants
from adaptery_hub.database.statements.retention import Due, KeepDays, Selection
from adaptery_hub.drafts import Drafts
from adaptery_hub.erasure import Eraser
from adaptery_hub.fleet.offers import prefix_of_checkpoint
from adaptery_hub.identity import Identity
from adaptery_hub.objects import ObjectStore
from adaptery_hub.operations import Operations
from adaptery_hub.permissions import Right
from adaptery_hub.uploads import Uploads

#: Things that are removed in one transaction.
BATCH = 200
#: Things of one kind that one sweep removes.
SWEEP_LIMIT = 5_000

_DUE: dict[str, Callable[[Connection, int, datetime], Selection]] = {
    "checkpoints": statements.due_checkpoints,
    "job_events": statements.due_job_events,
    "usage": statements.due_usage,
    "drafts": statements.due_drafts,
    "files": statements.due_files,
}
_TABLES = {
    "checkpoints": tables.checkpoints,
    "job_events": tables.job_events,
    "usage": tables.usage,
}


@dataclass(frozen=True)
class Kind:
    """Things of one kind: how long they are kept, and how many were found or removed."""

    name: str
    days: int
    due: Due


class Retention:
    """Finds and removes what is due."""

    def __init__(
        self,
        database: Database,
        objects: ObjectStore,
        drafts: Drafts,
        uploads: Uploads,
        audit: AuditLog,
        operations: Operations,
        eraser: Eraser,
        keep: KeepDays,
        clock: Clock = now,
    ) -> None:
        self._database = database
        self._objects = objects
        self._drafts = drafts
        self._uploads = uploads
        self._audit = audit
        self._operations = operations
        self._eraser = eraser
        self._keep = keep
        self._clock = clock
        self._sweeping = asyncio.Lock()

    async def plan(self) -> list[Kind]:
        """Return what is due."""
        moment = self._clock()
        return [
            Kind(name, days, await self._measured(name, moment))
            for name, days in self._days().items()
        ]

    async def sweep(self, by: str | None = None) -> list[Kind]:
        """Remove what is due, up to `SWEEP_LIMIT` of each kind; return what was removed.

        Args:
            by: the administrator who asked for it; None: its time has come.
        """
        async with self._sweeping:
            return [
                Kind(name, days, await self._sweep(name, by)) for name, days in self._days().items()
            ]

    def _days(self) -> dict[str, int]:
        return {name: int(getattr(self._keep, name, 0)) for name in _DUE}

    async def _measured(self, name: str, moment: datetime) -> Due:
        return await self._database.read(
            lambda c: statements.measure(c, self._selection(c, name, moment))
        )

    def _selection(self, connection: Connection, name: str, moment: datetime) -> Selection:
        return _DUE[name](connection, self._days()[name], moment)

    async def _sweep(self, name: str, by: str | None) -> Due:
        count = size = kept = 0
        moment = self._clock()
        while count < SWEEP_LIMIT:
            rows = await self._database.read(
                lambda c, skip=kept: statements.page(
                    c, self._selection(c, name, moment), BATCH, skip
                )
            )
            removed = await self._remove(name, rows, moment, by)
            count += removed.count
            size += removed.bytes
            kept += len(rows) - removed.count  # what cannot go yet is in nobody else's way
            if len(rows) < BATCH:
                break
        return Due(count, size)

    async def _remove(
        self, name: str, rows: list[RowMapping], moment: datetime, by: str | None
    ) -> Due:
        if not rows:
            return Due(0, 0)
        if name == "drafts":
            return await self._remove_drafts(rows, moment, by)
        if name == "files":
            return await self._remove_files(rows, by)
        if name == "checkpoints":
            await asyncio.to_thread(self._remove_folders, rows)
        removed = Due(len(rows), sum(row["bytes"] or 0 for row in rows))
        ids = [row["id"] for row in rows]

        def forget(connection: Connection) -> None:
            statements.remove(connection, _TABLES[name], ids)
            details = {"count": removed.count, "bytes": removed.bytes}
            self._audit.append(connection, AuditEntry(f"retention.{name}", by, None, details))

        await self._database.write(forget)
        return removed

    def _remove_folders(self, rows: list[RowMapping]) -> None:
        for row in rows:
            self._objects.remove_folder(prefix_of_checkpoint(row))

    async def _remove_drafts(self, rows: list[RowMapping], moment: datetime, by: str | None) -> Due:
        count = size = 0
        for row in rows:
            with suppress(ConflictError):  # published, or being published, just now
                if not await self._database.write(
                    lambda c, r=row: self._forget_draft(c, r, moment, by)
                ):
                    continue
                await self._uploads.remove(row["id"])
                await self._drafts.remove(row["id"])
                count += 1
                size += row["bytes"] or 0
        return Due(count, size)

    async def _remove_files(self, rows: list[RowMapping], by: str | None) -> Due:
        count = size = 0
        for row in rows:
            # Worked on, or learnt from: its turn comes. Or it is gone.
            with suppress(ConflictError, NotFoundError, QuotaError):
                remove = self._erase if row["published"] else self._remove_unpublished
                await remove(row, by)
                count += 1
                size += row["bytes"] or 0
        return Due(count, size)

    async def _erase(self, row: RowMapping, by: str | None) -> None:
        def look(connection: Connection) -> tuple[Identity, RowMapping]:
            self._eraser.check(connection, row["id"])
            return _owned(connection, row)

        owner, dataset = await self._database.read(look)
        work = self._eraser.work(dataset, owner, None)
        # Quick: the long operations of its owner do not keep what others have beyond its time.
        begun = await self._operations.start(owner, "erase", row["id"], work, quick=True)
        ended = await self._operations.ended(begun["id"])
        if ended["state"] != "completed":
            raise ConflictError("It was not erased.")
        await self._database.write(lambda c: self._note_file(c, row, by))

    async def _remove_unpublished(self, row: RowMapping, by: str | None) -> None:
        def forget(connection: Connection) -> None:
            dataset_statements.remove_draft(connection, row["id"])
            self._note_file(connection, row, by)

        await self._database.write(forget)
        await self._uploads.remove(row["id"])
        await self._drafts.remove(row["id"])

    def _note_file(self, connection: Connection, row: RowMapping, by: str | None) -> None:
        details = {"name": row["name"], "bytes": row["bytes"] or 0}
        self._audit.append(connection, AuditEntry("retention.files", by, row["id"], details))

    def _forget_draft(
        self, connection: Connection, row: RowMapping, moment: datetime, by: str | None
    ) -> bool:
        due = statements.due_drafts(connection, self._keep.drafts, moment)
        if not statements.page(connection, due.where(tables.datasets.c.id == row["id"]), 1):
            return False  # somebody came back to it
        dataset_statements.remove_draft(connection, row["id"])
        details = {"name": row["name"], "bytes": row["bytes"] or 0}
        self._audit.append(connection, AuditEntry("retention.drafts", by, row["id"], details))
        return True


def _owned(connection: Connection, row: RowMapping) -> tuple[Identity, RowMapping]:
    """Return the owner of a dataset, as who it is erased, and the dataset."""
    (owner,) = tenants.get_many(connection, [row["tenant_id"]])
    identity = Identity(
        tenant_id=owner["id"],
        hub_name=owner["hub_name"],
        slug=owner["slug"],
        groups=(),
        group_tenants=(),
        group_slugs=(),
        scopes=frozenset(),
        token_kind="token",  # noqa: S106 - not a secret
        kind=owner["kind"],
    )
    return identity, dataset_statements.get(connection, identity, row["id"], Right.MANAGE)
