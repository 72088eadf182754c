"""Named statements on what jobs take beside versions, and on whether all of it is still there.

A job keeps what it takes as it was at its submit. Whether it is still there is asked when an agent
takes the job: a version may be withdrawn, an adapter deleted and a checkpoint gone by then.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery.states import JobState
from adaptery_hub.database import tables
from adaptery_hub.database.statements import adapters, checkpoints
from adaptery_hub.database.statements.names import prefix_column

_taken = tables.job_adapters
_inputs = tables.job_inputs
_versions = tables.versions

Role = Literal["start", "reward"]


@dataclass(frozen=True)
class TakenAdapter:
    """An adapter, or a checkpoint, as it was when a job took it."""

    role: Role
    name: str  # pinned
    weight_digest: str
    sensitivity: str
    content_digests: tuple[str, ...]
    source_job_id: str | None  # that made it
    adapter_id: str | None = None  # None: of a checkpoint
    step: int | None = None  # of a checkpoint
    rank: int | None = None  # not kept: the weights say it


def insert_adapters(
    connection: Connection, job_id: str, taken: Sequence[TakenAdapter], now: datetime
) -> None:
    """Writes down which adapters a job takes."""
    for entry in taken:
        connection.execute(
            _taken.insert().values(
                id=f"{job_id}.{entry.role}",
                created_at=now,
                job_id=job_id,
                role=entry.role,
                name=entry.name,
                adapter_id=entry.adapter_id,
                source_job_id=entry.source_job_id,
                step=entry.step,
                weight_digest=entry.weight_digest,
                sensitivity=entry.sensitivity,
                content_digests=list(entry.content_digests),
            )
        )


def adapters_of(connection: Connection, job_ids: Collection[str]) -> list[RowMapping]:
    """Returns the adapters that jobs take."""
    statement = sa.select(_taken).where(_taken.c.job_id.in_(job_ids)).order_by(_taken.c.id)
    return list(connection.execute(statement).mappings())


def weights_of(connection: Connection, taken: RowMapping) -> RowMapping | None:
    """Returns the adapter or checkpoint that a job takes; None if it is not there any more.

    A checkpoint goes with the adapter of its job.
    """
    if taken["adapter_id"] is not None:
        return adapters.get(connection, taken["adapter_id"])
    if connection.scalar(_deleted().where(_taken.c.id == taken["id"])) is not None:
        return None
    row = checkpoints.at_step(connection, taken["source_job_id"], taken["step"])
    same = row is not None and row["weight_digest"] == taken["weight_digest"]
    return row if same else None


def jobs_on(version_ids: Collection[str]) -> sa.Select[tuple[Any]]:
    """Jobs that learn from these versions, or take an adapter that did, however many jobs before.

    A statement, for others to go on from.
    """
    found = sa.select(_inputs.c.job_id).where(_inputs.c.version_id.in_(version_ids))
    found = found.cte("jobs_on", recursive=True)
    heirs = sa.select(_taken.c.job_id).join(found, found.c.job_id == _taken.c.source_job_id)
    return sa.select(found.union(heirs).c.job_id)


def heirs_of(connection: Connection, job_ids: Collection[str]) -> list[RowMapping]:
    """Returns which jobs take an adapter of these, and of which."""
    statement = sa.select(_taken.c.job_id, _taken.c.source_job_id).where(
        _taken.c.source_job_id.in_(job_ids)
    )
    return list(connection.execute(statement.order_by(_taken.c.id)).mappings())


def with_teachers(job_ids: Collection[str]) -> sa.CTE:
    """Each of these jobs with itself and with every job whose adapter is in its own.

    A table of `job_id` and `source_id`, for a statement to go on from.
    """
    jobs = tables.jobs
    found = sa.select(jobs.c.id.label("job_id"), jobs.c.id.label("source_id"))
    found = found.where(jobs.c.id.in_(job_ids)).cte("with_teachers", recursive=True)
    return found.union(
        sa.select(found.c.job_id, _taken.c.source_job_id)
        .join(_taken, _taken.c.job_id == found.c.source_id)
        .where(_taken.c.source_job_id.is_not(None))
    )


def loss(connection: Connection, job_id: str) -> str | None:
    """Returns why a job cannot have all that it takes any more; None if it can."""
    row = connection.execute(_LOST_OF_JOB, {"job": job_id}).mappings().first()
    if row is not None:
        name = f"{row['prefix']}/{row['name']}@{row['number']}"
        if row["state"] != "completed":
            return f"{name} is {row['state']}: submit again with another version"
        return f"{name} holds records of versions that are withdrawn: merge again without them"
    for taken in adapters_of(connection, [job_id]):
        if weights_of(connection, taken) is None:
            return f"{taken['name']} is not there any more: submit again with another adapter"
    return None


def lossy_jobs(connection: Connection) -> list[str]:
    """Returns jobs that wait, and wait in vain: something that they take is not there any more."""
    jobs = tables.jobs
    lost_version = _lost_versions().with_only_columns(_inputs.c.job_id)
    statement = sa.select(jobs.c.id).where(
        jobs.c.state.in_((JobState.CREATED, JobState.QUEUED)),
        sa.or_(jobs.c.id.in_(lost_version), jobs.c.id.in_(_deleted())),
    )
    return list(connection.scalars(statement))


def _deleted() -> sa.Select[tuple[str]]:
    """Jobs that take an adapter, or a checkpoint of its job, that was deleted."""
    deleted = tables.adapters
    own = sa.or_(deleted.c.id == _taken.c.adapter_id, deleted.c.job_id == _taken.c.source_job_id)
    return sa.select(_taken.c.job_id).join(deleted, own).where(deleted.c.state == adapters.DELETED)


def _lost_versions() -> sa.Select[*tuple[Any, ...]]:
    """Inputs that are withdrawn or erased, or were merged from such."""
    source, datasets, tenants = _versions.alias(), tables.datasets, tables.tenants
    merged_from_lost = (
        sa.select(source.c.id)
        .join(tables.version_sources, tables.version_sources.c.source_version_id == source.c.id)
        .where(tables.version_sources.c.version_id == _versions.c.id, source.c.state != "completed")
        .exists()
    )
    return (
        sa.select(
            _inputs.c.job_id,
            _versions.c.number,
            _versions.c.state,
            datasets.c.name,
            prefix_column().label("prefix"),
        )
        .join_from(_inputs, _versions, _versions.c.id == _inputs.c.version_id)
        .join(datasets, datasets.c.id == _versions.c.dataset_id)
        .join(tenants, tenants.c.id == datasets.c.tenant_id)
        .where(sa.or_(_versions.c.state != "completed", merged_from_lost))
    )


#: Asked at each claim, so it is built once.
_LOST_OF_JOB = _lost_versions().where(_inputs.c.job_id == sa.bindparam("job"))
