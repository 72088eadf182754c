"""Statements about the ClearML tasks that carry jobs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery.states import JobState
from adaptery_hub.database.statements.names import prefix_column
from adaptery_hub.database.tables import (
    clearml_tasks,
    datasets,
    job_adapters,
    job_inputs,
    jobs,
    tenants,
    versions,
)

PLACING, WAITING, BEGUN, ENDING, OVER = "placing", "waiting", "begun", "ending", "over"
#: Nothing comes of it any more.
_IDLE = (ENDING, OVER)
#: Sensitivity that ClearML's workers do not get unless the administrator says so.
GUARDED = "restricted"


def insert(
    connection: Connection, id: str, job_id: str, queue: str, code_digest: str, now: datetime
) -> None:
    """Write down that a job is about to be handed to ClearML."""
    row = {"id": id, "created_at": now, "job_id": job_id, "queue": queue}
    row |= {"state": PLACING, "code_digest": code_digest}
    connection.execute(clearml_tasks.insert().values(row))


def open_tasks(connection: Connection) -> list[RowMapping]:
    """Return what is not over, with the state of its job, oldest first."""
    statement = (
        sa.select(clearml_tasks, jobs.c.state.label("job_state"))
        .join_from(clearml_tasks, jobs)
        .where(clearml_tasks.c.state != OVER)
        .order_by(clearml_tasks.c.id)
    )
    return list(connection.execute(statement).mappings())


def waiting_jobs(connection: Connection, queue: str) -> list[RowMapping]:
    """Return the jobs of a queue that wait and that ClearML was not given."""
    given = sa.select(clearml_tasks.c.job_id).where(clearml_tasks.c.state.not_in(_IDLE))
    statement = sa.select(jobs).where(
        jobs.c.queue == queue, jobs.c.state == JobState.QUEUED, jobs.c.id.not_in(given)
    )
    return list(connection.execute(statement).mappings())


def carried_job(connection: Connection, job_id: str) -> RowMapping:
    """Return a job with the prefix of its owner."""
    statement = (
        sa.select(jobs, prefix_column().label("prefix"))
        .join(tenants, tenants.c.id == jobs.c.tenant_id)
        .where(jobs.c.id == job_id)
    )
    return connection.execute(statement).mappings().one()


def given_up(connection: Connection, job_id: str) -> list[datetime]:
    """Return when ClearML was given a job's tasks since its last attempt, that no worker began."""
    begun = (
        sa.select(sa.func.max(clearml_tasks.c.id))
        .where(clearml_tasks.c.job_id == job_id, clearml_tasks.c.attempt_id.is_not(None))
        .scalar_subquery()
    )
    statement = (
        sa.select(clearml_tasks.c.created_at)
        .where(
            clearml_tasks.c.job_id == job_id,
            clearml_tasks.c.state.in_(_IDLE),
            clearml_tasks.c.id > sa.func.coalesce(begun, ""),
        )
        .order_by(clearml_tasks.c.id)
    )
    return list(connection.scalars(statement))


def change(connection: Connection, id: str, *held: str, **values: Any) -> bool:
    """Change what is in one of some states; False: it is in none of them."""
    statement = clearml_tasks.update().where(
        clearml_tasks.c.id == id, clearml_tasks.c.state.in_(held)
    )
    return connection.execute(statement.values(**values)).rowcount == 1


def use(connection: Connection, job_id: str, code_digest: str) -> RowMapping | None:
    """Take the code of a ticket; None: there is none, or it was taken before."""
    statement = sa.select(clearml_tasks).where(
        clearml_tasks.c.job_id == job_id, clearml_tasks.c.code_digest == code_digest
    )
    row = connection.execute(statement).mappings().first()
    if row is None or not change(connection, row["id"], PLACING, WAITING, state=BEGUN):
        return None
    return row


def last_of_jobs(connection: Connection, job_ids: Collection[str]) -> Mapping[str, RowMapping]:
    """Return the newest task of each of these jobs that ClearML has one of."""
    statement = (
        sa.select(clearml_tasks)
        .where(clearml_tasks.c.job_id.in_(job_ids), clearml_tasks.c.task.is_not(None))
        .order_by(clearml_tasks.c.id)
    )
    return {row["job_id"]: row for row in connection.execute(statement).mappings()}


def of_versions(connection: Connection, version_ids: Collection[str]) -> list[RowMapping]:
    """Return the tasks of jobs that learn from these versions, with the names of the jobs."""
    learning = sa.select(job_inputs.c.job_id).where(job_inputs.c.version_id.in_(version_ids))
    statement = (
        sa.select(clearml_tasks.c.task, jobs.c.name)
        .join_from(clearml_tasks, jobs)
        .where(clearml_tasks.c.task.is_not(None), clearml_tasks.c.job_id.in_(learning))
        .order_by(clearml_tasks.c.id)
    )
    return list(connection.execute(statement).mappings())


def takes_guarded(connection: Connection, job_id: str) -> bool:
    """Whether a job takes what is restricted now, or what was encrypted because it was."""
    encrypted = sa.func.coalesce(versions.c.counts["encrypted"].as_boolean(), sa.false())
    learnt = (
        sa.select(sa.literal(1))
        .select_from(job_inputs)
        .join(versions, versions.c.id == job_inputs.c.version_id)
        .join(datasets, datasets.c.id == versions.c.dataset_id)
        .where(
            job_inputs.c.job_id == job_id,
            sa.or_(datasets.c.sensitivity == GUARDED, encrypted),
        )
    )
    taken = sa.select(sa.literal(1)).where(
        job_adapters.c.job_id == job_id, job_adapters.c.sensitivity == GUARDED
    )
    return connection.scalar(sa.select(sa.or_(learnt.exists(), taken.exists()))) or False
