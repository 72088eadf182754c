"""Named statements on what a queue's line and its forecasts depend on."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery.states import JobState
from adaptery_hub.database import tables

_jobs = tables.jobs
_attempts = tables.attempts

#: The jobs whose lengths tell how long the next one will take.
PAST_LIMIT = 500


def state_of_queue(connection: Connection, queue: str) -> tuple[object, ...]:
    """Returns what changes whenever a job joins, leaves, starts, ends or gets another priority."""
    statement = (
        sa.select(_jobs.c.state, sa.func.count(), sa.func.max(_jobs.c.state_at))
        .where(_jobs.c.queue == queue, _jobs.c.state.in_([JobState.QUEUED, JobState.TRAINING]))
        .group_by(_jobs.c.state)
        .order_by(_jobs.c.state)
    )
    # Each from an index of its own: thousands may wait.
    priorities = sa.select(sa.func.sum(_jobs.c.priority)).where(
        _jobs.c.queue == queue, _jobs.c.state == JobState.QUEUED
    )
    counted = tuple(tuple(row) for row in connection.execute(statement))
    return counted, connection.scalar(priorities)


def running(connection: Connection) -> list[RowMapping]:
    """Returns each attempt that runs, with how far and how fast its job is."""
    statement = (
        sa.select(
            _attempts.c.agent_id,
            _attempts.c.created_at.label("claimed_at"),
            _jobs.c.task,
            _jobs.c.weight_digest,
            _jobs.c.step,
            _jobs.c.total_steps,
            _jobs.c.stepped_at,
            _jobs.c.step_seconds,
        )
        .join(_jobs, _jobs.c.id == _attempts.c.job_id)
        .where(_attempts.c.outcome.is_(None))
    )
    return list(connection.execute(statement).mappings())


def past(connection: Connection, queue: str) -> list[RowMapping]:
    """Returns when the jobs of a queue that completed last started and ended."""
    statement = (
        sa.select(_jobs.c.task, _jobs.c.weight_digest, _jobs.c.started_at, _jobs.c.finished_at)
        .where(
            _jobs.c.queue == queue,
            _jobs.c.state == JobState.COMPLETED,
            _jobs.c.started_at.is_not(None),
            _jobs.c.finished_at.is_not(None),
        )
        .order_by(_jobs.c.state_at.desc())
        .limit(PAST_LIMIT)
    )
    return list(connection.execute(statement).mappings())
