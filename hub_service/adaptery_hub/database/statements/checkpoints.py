"""Named statements on checkpoints: what a job can resume from, and what answers as a model.

Who may have a checkpoint: of a job whose adapter is there, whoever has that right on the adapter.
Before, it is those who may edit the job: the adapter will be theirs. Once the adapter is deleted,
nobody.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery.ids import new_id
from adaptery_hub.database import tables
from adaptery_hub.identity import Identity
from adaptery_hub.permissions import Right, right_of

_checkpoints = tables.checkpoints
_adapters = tables.adapters
_jobs = tables.jobs


@dataclass(frozen=True)
class Servable:
    """What of a checkpoint is an adapter that can be served, as `adapters` has it."""

    weight_digest: str
    kind: str
    rank: int
    sensitivity: str
    content_digests: Sequence[str]


def put(
    connection: Connection,
    *,
    job_id: str,
    attempt_id: str,
    step: int,
    digest: str,
    files: Sequence[Mapping[str, object]],
    metrics: Mapping[str, object] | None,
    servable: Servable | None = None,
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
            weight_digest=servable and servable.weight_digest,
            kind=servable and servable.kind,
            rank=servable and servable.rank,
            sensitivity=servable and servable.sensitivity,
            content_digests=servable and list(servable.content_digests),
        )
    )


def lighten(connection: Connection, row: RowMapping, names: Collection[str]) -> None:
    """Notes that only these files of a checkpoint are left, in a place of their own.

    It gets another id: what was listed under the old one is not there any more.
    """
    files = [file for file in row["files"] if file["path"] in names]
    connection.execute(
        _checkpoints.update()
        .where(_checkpoints.c.id == row["id"])
        .values(
            id=new_id("ck"),
            light=True,
            files=files,
            bytes=sum(int(str(file["bytes"])) for file in files),
        )
    )


def find_of_job(
    connection: Connection, identity: Identity, step: int, job_id: str
) -> RowMapping | None:
    """Returns the checkpoint of a job at a step, as an adapter that the caller may use."""
    statement = _served(identity, step).where(_checkpoints.c.job_id == job_id)
    return connection.execute(statement).mappings().first()


def find_named(
    connection: Connection,
    identity: Identity,
    step: int,
    *,
    name: str,
    slug: str | None,
    group: bool,
    number: int | None,
) -> RowMapping | None:
    """Returns the checkpoint behind an adapter of this name; see `adapters.find_named`."""
    owner = tables.tenants
    statement = _served(identity, step).where(
        _adapters.c.name == name, _adapters.c.number == number
    )
    if slug is None:
        statement = statement.where(_adapters.c.tenant_id == identity.tenant_id)
    else:
        of_group = owner.c.kind == "group"
        statement = statement.where(owner.c.slug == slug, of_group if group else ~of_group)
    return connection.execute(statement).mappings().first()


def find_served(
    connection: Connection, identity: Identity, checkpoint_id: str
) -> RowMapping | None:
    """Returns a checkpoint by its id, as an adapter that the caller may use."""
    statement = _served(identity, None).where(_checkpoints.c.id == checkpoint_id)
    return connection.execute(statement).mappings().first()


def get(connection: Connection, checkpoint_id: str) -> RowMapping | None:
    """Returns one checkpoint, whoever may see it; for the service's own use."""
    statement = sa.select(_checkpoints).where(_checkpoints.c.id == checkpoint_id)
    return connection.execute(statement).mappings().first()


def _served(identity: Identity, step: int | None) -> sa.Select[tuple[object, ...]]:
    """Checkpoints that can be served and that the caller may use, with the columns of adapters."""
    owner = tables.tenants
    ended = sa.and_(_adapters.c.job_id == _jobs.c.id, _adapters.c.state != "staged")
    of_job = right_of(_jobs, identity)
    right = sa.case(
        (_adapters.c.id.is_not(None), right_of(_adapters, identity)),
        (of_job >= int(Right.EDIT), of_job),
        else_=0,
    )
    statement = (
        sa.select(
            _checkpoints,
            _adapters.c.id.label("adapter_id"),
            _adapters.c.number,
            _adapters.c.limits,
            _jobs.c.tenant_id,
            _jobs.c.name,
            _jobs.c.base_model,
            _jobs.c.weight_digest.label("base_weight_digest"),
            owner.c.slug,
            owner.c.kind.label("tenant_kind"),
            right.label("right"),
        )
        .join(_jobs, _jobs.c.id == _checkpoints.c.job_id)
        .outerjoin(_adapters, ended)
        .join(owner, owner.c.id == sa.func.coalesce(_adapters.c.tenant_id, _jobs.c.tenant_id))
        .where(_checkpoints.c.weight_digest.is_not(None), right >= int(Right.USE))
    )
    return statement if step is None else statement.where(_checkpoints.c.step == step)


def of_job(connection: Connection, job_id: str, after: str | None = None) -> list[RowMapping]:
    """Returns the checkpoints of a job, lowest step first; those after one with this id."""
    statement = (
        sa.select(_checkpoints).where(_checkpoints.c.job_id == job_id).order_by(_checkpoints.c.step)
    )
    if after is not None:
        before = sa.select(_checkpoints.c.step).where(
            _checkpoints.c.id == after, _checkpoints.c.job_id == job_id
        )
        statement = statement.where(_checkpoints.c.step > before.scalar_subquery())
    return list(connection.execute(statement).mappings())


def last(connection: Connection, job_id: str) -> RowMapping | None:
    """Returns the checkpoint with the highest step of a job, of those that can be resumed from."""
    statement = (
        sa.select(_checkpoints)
        .where(_checkpoints.c.job_id == job_id, ~_checkpoints.c.light)
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
