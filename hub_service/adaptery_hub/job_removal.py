"""Removes a job that is over: its numbers, log and checkpoints go; its adapter stays.

Invariants:
- What its adapter learnt from is still told: the job's inputs stay, for nobody to see but lineage.
- From the moment on in which it is deleted it is there for nobody. A removal that is cut off is
  gone on with by the retention.
"""

from __future__ import annotations

import asyncio
from datetime import datetime

from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import NotFoundError
from adaptery.states import JobState
from adaptery.times import now
from adaptery_hub.audit import AuditEntry, AuditLog
from adaptery_hub.database import Database
from adaptery_hub.database.statements import checkpoints, grants, job_events, jobs
from adaptery_hub.fleet.offers import prefix_of_checkpoint
from adaptery_hub.job_actions import check_action
from adaptery_hub.objects import ObjectStore

__all__ = ["remove_job"]

#: Events that are removed in one transaction.
_BATCH = 5_000


async def remove_job(
    database: Database,
    objects: ObjectStore,
    audit: AuditLog,
    job_id: str,
    by: str,
    request_id: str | None = None,
) -> None:
    """Deletes a job.

    Args:
        database: Where it is.
        objects: Where its checkpoints are.
        audit: Where it is written down.
        job_id: The job; whoever asks may manage it.
        by: Who asks.
        request_id: In which request.

    Raises:
        NotFoundError: It has just been deleted.
        JobStateError: It is not over.
    """

    def mark(connection: Connection) -> list[RowMapping]:
        kept = checkpoints.of_job(connection, job_id)
        details = {"checkpoints": len(kept), "bytes": sum(row["bytes"] or 0 for row in kept)}
        _mark(connection, job_id, now())
        audit.append(connection, AuditEntry("job.delete", by, job_id, details, request_id))
        return kept

    for row in await database.write(mark):
        prefix = prefix_of_checkpoint(row)
        await asyncio.to_thread(objects.remove_folder, prefix)
        await database.write(lambda c, step=row["step"]: checkpoints.remove(c, job_id, step))
    while await database.write(lambda c: job_events.remove_some(c, job_id, _BATCH)):
        pass


def _mark(connection: Connection, job_id: str, moment: datetime) -> None:
    job = jobs.lock_job(connection, job_id)
    if job is None or job["deleted_at"] is not None:
        raise NotFoundError()
    check_action("delete", JobState(job["state"]))
    grants.remove_all(connection, job_id)
    # A request that comes again with its key makes a new job.
    nothing = dict.fromkeys(("key", "request_digest", "summary", "reason"))
    jobs.change_fields(connection, job_id, moment, deleted_at=moment, **nothing)
