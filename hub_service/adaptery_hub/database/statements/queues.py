"""Named statements on queues: their states, and how many jobs are in each.

A queue that nobody touched has no row and is open.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery.ids import new_id
from adaptery.schemas.queues import QueueState
from adaptery.states import FINAL_STATES, JobState
from adaptery_hub.database import tables
from adaptery_hub.database.inserts import insert_new
from adaptery_hub.database.statements.distinct import each_value

_queues = tables.queues
_jobs = tables.jobs


def _giving() -> sa.Select[str]:
    name = each_value(_jobs.c.queue, _jobs.c.state == JobState.QUEUED, name="names").c.value
    closed_names = sa.select(_queues.c.name).where(_queues.c.state != "open")
    return sa.select(name).where(name.is_not(None), name.not_in(closed_names))


_GIVING = _giving()


def lock(connection: Connection, name: str, now: datetime) -> RowMapping:
    """Returns a queue and keeps others from claiming in it until the transaction ends."""
    statement = sa.select(_queues).where(_queues.c.name == name).with_for_update()
    row = connection.execute(statement).mappings().first()
    if row is not None:
        return row
    values = {"id": new_id("qu"), "created_at": now, "name": name, "state": "open"}
    insert_new(connection, _queues, values)
    return connection.execute(statement).mappings().one()


def change(
    connection: Connection,
    queue_id: str,
    state: QueueState,
    reason: str | None,
    by: str,
    now: datetime,
) -> None:
    """Sets the state of a queue."""
    values = {"state": state, "reason": reason, "changed_by": by, "changed_at": now}
    connection.execute(_queues.update().where(_queues.c.id == queue_id).values(values))


def state_of(connection: Connection, name: str) -> QueueState:
    """Returns the state of a queue."""
    found = connection.scalar(sa.select(_queues.c.state).where(_queues.c.name == name))
    return found or "open"


def closed(connection: Connection) -> dict[str, RowMapping]:
    """Returns the queues that give no job out, by name."""
    rows = connection.execute(sa.select(_queues).where(_queues.c.state != "open")).mappings()
    return {row["name"]: row for row in rows}


def all_touched(connection: Connection) -> dict[str, RowMapping]:
    """Returns the queues that have a row, by name."""
    return {row["name"]: row for row in connection.execute(sa.select(_queues)).mappings()}


def giving(connection: Connection) -> list[str]:
    """Returns the queues that are open and in which a job waits."""
    return list(connection.scalars(_GIVING))


def of_open_jobs(connection: Connection) -> frozenset[str]:
    """Returns the queues of jobs that are not in a final state."""
    statement = sa.select(_jobs.c.queue).distinct().where(_jobs.c.state.not_in(FINAL_STATES))
    return frozenset(connection.scalars(statement))


def counts(connection: Connection, names: Collection[str]) -> dict[tuple[str, str], RowMapping]:
    """Returns by queue and state how many jobs wait or train, and since when the oldest waits."""
    statement = (
        sa.select(
            _jobs.c.queue,
            _jobs.c.state,
            sa.func.count().label("jobs"),
            sa.func.min(_jobs.c.queued_at).label("since"),
        )
        .where(_jobs.c.queue.in_(names), _jobs.c.state.in_([JobState.QUEUED, JobState.TRAINING]))
        .group_by(_jobs.c.queue, _jobs.c.state)
    )
    rows = connection.execute(statement).mappings()
    return {(row["queue"], row["state"]): row for row in rows}


def count_training(connection: Connection, name: str) -> int:
    """Returns how many jobs of a queue train."""
    statement = sa.select(sa.func.count()).where(
        _jobs.c.queue == name, _jobs.c.state == JobState.TRAINING
    )
    return connection.execute(statement).scalar_one()
