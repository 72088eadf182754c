"""Statements about what is kept for a while only: whose time is over, and their removal.

Of a job that is not over nothing is ever due: it may have to go on from its checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery.states import FINAL_STATES
from adaptery_hub.database.tables import (
    checkpoints,
    datasets,
    files,
    job_events,
    job_inputs,
    jobs,
    operations,
    tenants,
    usage,
    versions,
)

#: What of a job's events is kept as long as the job: how it went, in a few rows.
KEPT_EVENTS = ("state", "summary", "error")


#: A statement that selects at least `id` and `bytes`.
Selection: TypeAlias = "sa.Select[*tuple[Any, ...]]"


@dataclass(frozen=True)
class KeepDays:
    """How long things are kept, in days; 0: for ever."""

    checkpoints: int = 0  # of jobs that are over
    job_events: int = 0  # of jobs that are over: numbers and log
    usage: int = 0
    drafts: int = 0  # of datasets that were never published, since their last change


@dataclass(frozen=True)
class Due:
    """How much of one kind is due."""

    count: int
    bytes: int


def due_checkpoints(connection: Connection, days: int, moment: datetime) -> Selection:
    """Return the statement that selects the checkpoints of jobs that are long over."""
    columns = (checkpoints.c.id, checkpoints.c.job_id, checkpoints.c.attempt_id)
    return (
        sa.select(*columns, checkpoints.c.step, checkpoints.c.light, checkpoints.c.bytes)
        .join(jobs, jobs.c.id == checkpoints.c.job_id)
        .join(tenants, tenants.c.id == jobs.c.tenant_id)
        .where(_long_over(connection, days, moment))
        .order_by(checkpoints.c.id)
    )


def next_checkpoints(connection: Connection, tenant_id: str, days: int) -> datetime | None:
    """Return when the next checkpoints of one tenant are due; None: none that are there will be."""
    own = connection.scalar(sa.select(tenants.c.retention_days).where(tenants.c.id == tenant_id))
    kept_days = days if own is None else own
    if not kept_days:
        return None
    first = connection.scalar(
        sa.select(_ended_at())
        .join(checkpoints, checkpoints.c.job_id == jobs.c.id)
        .where(jobs.c.tenant_id == tenant_id, jobs.c.state.in_(FINAL_STATES))
        .order_by(_ended_at())
        .limit(1)
    )
    return None if first is None else first + timedelta(days=kept_days)


def due_job_events(connection: Connection, days: int, moment: datetime) -> Selection:
    """Return the statement that selects numbers and log lines of jobs that are long over."""
    return (
        sa.select(job_events.c.id, sa.literal(0).label("bytes"))
        .join(jobs, jobs.c.id == job_events.c.job_id)
        .join(tenants, tenants.c.id == jobs.c.tenant_id)
        .where(
            sa.or_(job_events.c.kind.not_in(KEPT_EVENTS), jobs.c.deleted_at.is_not(None)),
            _long_over(connection, days, moment),
        )
        .order_by(job_events.c.id)
    )


def due_usage(connection: Connection, days: int, moment: datetime) -> Selection:
    """Return the statement that selects old rows of usage."""
    statement = sa.select(usage.c.id, sa.literal(0).label("bytes")).order_by(usage.c.created_at)
    return statement.where(_before(usage.c.created_at, days, moment))


def due_drafts(connection: Connection, days: int, moment: datetime) -> Selection:
    """Return the statement that selects datasets without a version that nobody has touched."""
    busy = sa.or_(
        sa.exists().where(versions.c.dataset_id == datasets.c.id),
        sa.exists().where(operations.c.thing_id == datasets.c.id, operations.c.state == "running"),
        sa.exists().where(files.c.dataset_id == datasets.c.id, files.c.state != "ready"),
    )
    return (
        sa.select(datasets.c.id, datasets.c.name, datasets.c.draft_bytes.label("bytes"))
        .where(_before(datasets.c.updated_at, days, moment), ~busy)
        .order_by(datasets.c.id)
    )


def due_files(connection: Connection, days: int, moment: datetime) -> Selection:
    """Return the statement that selects datasets that were uploaded for a while, and it is over.

    None that a job learns from which is not over.
    """
    waited_for = (
        sa.exists()
        .where(versions.c.dataset_id == datasets.c.id, job_inputs.c.version_id == versions.c.id)
        .where(jobs.c.id == job_inputs.c.job_id, jobs.c.state.not_in(FINAL_STATES))
    )
    return (
        sa.select(
            datasets.c.id,
            datasets.c.tenant_id,
            datasets.c.name,
            datasets.c.draft_bytes.label("bytes"),
            sa.exists().where(versions.c.dataset_id == datasets.c.id).label("published"),
        )
        .where(datasets.c.expires_at <= moment, ~waited_for)
        .order_by(datasets.c.id)
    )


def measure(connection: Connection, due: Selection) -> Due:
    """Return how much a statement selects."""
    rows = due.order_by(None).subquery()
    statement = sa.select(sa.func.count(), sa.func.sum(rows.c.bytes)).select_from(rows)
    count, size = connection.execute(statement).one()
    return Due(count, int(size or 0))


def page(connection: Connection, due: Selection, limit: int, skip: int = 0) -> list[RowMapping]:
    """Return the first rows that a statement selects, after those that are skipped."""
    return list(connection.execute(due.limit(limit).offset(skip)).mappings())


def remove(connection: Connection, table: sa.Table, ids: Sequence[str]) -> None:
    """Remove rows."""
    connection.execute(sa.delete(table).where(table.c.id.in_(ids)))


def _long_over(connection: Connection, days: int, moment: datetime) -> sa.ColumnElement[bool]:
    """Whether a job ended longer ago than is set for its owner, or else for all; or was deleted."""
    ended_at = _ended_at()
    own = tenants.c.retention_days
    set_days = connection.scalars(sa.select(own).where(own.is_not(None)).distinct()).all()
    terms = [sa.and_(own.is_(None), _before(ended_at, days, moment))]
    terms += [sa.and_(own == given, _before(ended_at, given, moment)) for given in set_days]
    over = sa.and_(jobs.c.state.in_(FINAL_STATES), sa.or_(*terms))
    return sa.or_(over, jobs.c.deleted_at.is_not(None))


def _ended_at() -> sa.ColumnElement[datetime]:
    return sa.func.coalesce(jobs.c.finished_at, jobs.c.state_at, jobs.c.updated_at)


def _before(
    column: sa.ColumnElement[datetime], days: int, moment: datetime
) -> sa.ColumnElement[bool]:
    if not days:
        return sa.false()
    cutoff = sa.literal(moment - timedelta(days=days), jobs.c.updated_at.type)
    return column < cutoff
