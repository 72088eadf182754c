"""Named statements on checkpoints: what a job can resume from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery.ids import new_id
from adaptery_hub.database import tables

_checkpoints = tables.checkpoints


def put(
    connection: Connection,
    *,
    job_id: str,
    attempt_id: str,
    step: int,
    digest: str,
    files: Sequence[Mapping[str, object]],
    metrics: Mapping[str, object] | None,
    now: datetime,
) -> None:
    """Stores a checkpoint; a repeated step takes the place of the earlier one.

    It keeps the time at which the step was first reached: to reach it again is no progress.
    """
    earlier = at_step(connection, job_id, step)
    remove(connection, job_id, step)
    connection.execute(
        _checkpoints.insert().values(
            id=new_id("ck"),
            created_at=earlier["created_at"] if earlier is not None else now,
            job_id=job_id,
            attempt_id=attempt_id,
            step=step,
            digest=digest,
            files=[dict(file) for file in files],
            bytes=sum(int(str(file["bytes"])) for file in files),
            metrics=dict(metrics) if metrics is not None else None,
        )
    )


def of_job(connection: Connection, job_id: str) -> list[RowMapping]:
    """Returns the checkpoints of a job, lowest step first."""
    statement = (
        sa.select(_checkpoints).where(_checkpoints.c.job_id == job_id).order_by(_checkpoints.c.step)
    )
    return list(connection.execute(statement).mappings())


def last(connection: Connection, job_id: str) -> RowMapping | None:
    """Returns the checkpoint with the highest step of a job."""
    statement = (
        sa.select(_checkpoints)
        .where(_checkpoints.c.job_id == job_id)
        .order_by(_checkpoints.c.step.desc())
        .limit(1)
    )
    return connection.execute(statement).mappings().first()


def at_step(connection: Connection, job_id: str, step: int) -> RowMapping | None:
    """Returns the checkpoint of a job at one step."""
    statement = sa.select(_checkpoints).where(
        _checkpoints.c.job_id == job_id, _checkpoints.c.step == step
    )
    return connection.execute(statement).mappings().first()


def remove(connection: Connection, job_id: str, step: int) -> None:
    """Removes the checkpoint of a job at one step."""
    connection.execute(
        _checkpoints.delete().where(_checkpoints.c.job_id == job_id, _checkpoints.c.step == step)
    )
