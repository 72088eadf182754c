"""Named statements on attempts: claims with an end, and the fence around them.

Everything an agent does for an attempt first goes through `renew` or `lock_running`: they compare
the fencing token and that the attempt has not ended, so that an agent which lost its lease changes
nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery.states import AttemptOutcome
from adaptery_hub.database import tables

_attempts = tables.attempts
_checkpoints = tables.checkpoints

#: Asked at each claim or report, so they are built once: that costs more than to run them.
_GET = sa.select(_attempts).where(_attempts.c.id == sa.bindparam("attempt"))
_OF_JOB = (
    sa.select(_attempts)
    .where(_attempts.c.job_id == sa.bindparam("job"))
    .order_by(_attempts.c.number)
)


def insert_attempt(
    connection: Connection,
    *,
    attempt_id: str,
    job_id: str,
    agent_id: str,
    number: int,
    fencing_token: str,
    lease_until: datetime,
    now: datetime,
) -> None:
    """Inserts the next attempt of a job."""
    connection.execute(
        _attempts.insert().values(
            id=attempt_id,
            created_at=now,
            job_id=job_id,
            number=number,
            agent_id=agent_id,
            fencing_token=fencing_token,
            lease_until=lease_until,
        )
    )


def renew(
    connection: Connection, attempt_id: str, fencing_token: str, lease_until: datetime
) -> bool:
    """Extends the lease of a running attempt; returns False if this token does not hold it."""
    statement = (
        _attempts.update()
        .where(_running(attempt_id), _attempts.c.fencing_token == fencing_token)
        .values(lease_until=lease_until)
    )
    return connection.execute(statement).rowcount == 1


def end(
    connection: Connection,
    attempt_id: str,
    outcome: AttemptOutcome,
    reason: str | None,
    now: datetime,
) -> bool:
    """Ends a running attempt; returns False if it had ended already."""
    statement = (
        _attempts.update()
        .where(_running(attempt_id))
        .values(outcome=outcome, reason=reason, finished_at=now)
    )
    return connection.execute(statement).rowcount == 1


def mark_started(connection: Connection, attempt_id: str, now: datetime) -> None:
    """Notes that the agent took the order."""
    connection.execute(
        _attempts.update()
        .where(_running(attempt_id), _attempts.c.started_at.is_(None))
        .values(started_at=now)
    )


def get(connection: Connection, attempt_id: str) -> RowMapping | None:
    """Returns one attempt."""
    return connection.execute(_GET, {"attempt": attempt_id}).mappings().first()


def of_job(connection: Connection, job_id: str) -> list[RowMapping]:
    """Returns the attempts of a job, first to last."""
    return list(connection.execute(_OF_JOB, {"job": job_id}).mappings())


def count_by_job(connection: Connection, job_ids: Collection[str]) -> dict[str, int]:
    """Returns how many attempts each of the jobs had."""
    statement = (
        sa.select(_attempts.c.job_id, sa.func.count())
        .where(_attempts.c.job_id.in_(job_ids))
        .group_by(_attempts.c.job_id)
    )
    return {job_id: count for job_id, count in connection.execute(statement)}


def count_lost(connection: Connection, job_id: str) -> int:
    """Returns how many attempts of a job were lost, after they had started, without progress.

    Progress is a checkpoint of a later step: the attempt that handed it in was not lost in vain,
    nor were those before it.
    """
    progress = sa.select(sa.func.max(_checkpoints.c.created_at)).where(
        _checkpoints.c.job_id == job_id
    )
    since = progress.scalar_subquery()
    statement = sa.select(sa.func.count()).where(
        _attempts.c.job_id == job_id,
        _attempts.c.outcome == AttemptOutcome.LOST,
        _attempts.c.started_at.is_not(None),
        sa.or_(since.is_(None), _attempts.c.created_at > since),
    )
    return connection.execute(statement).scalar_one()


def running(connection: Connection, agent_id: str | None = None) -> list[RowMapping]:
    """Returns the attempts that have not ended, of all agents or of one."""
    statement = sa.select(_attempts).where(_attempts.c.outcome.is_(None))
    if agent_id is not None:
        statement = statement.where(_attempts.c.agent_id == agent_id)
    return list(connection.execute(statement.order_by(_attempts.c.id)).mappings())


def expired(connection: Connection, now: datetime) -> list[RowMapping]:
    """Returns the running attempts whose lease has ended."""
    statement = sa.select(_attempts).where(
        _attempts.c.outcome.is_(None), _attempts.c.lease_until < now
    )
    return list(connection.execute(statement).mappings())


def _running(attempt_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(_attempts.c.id == attempt_id, _attempts.c.outcome.is_(None))
