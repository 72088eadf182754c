"""Named statements on jobs and their inputs.

A state changes only through `change_state`, which compares before it sets: of two callers that saw
the same state, one wins and the other is told so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import ConflictError, FieldProblem
from adaptery.states import FINAL_STATES, JobState, check_transition
from adaptery_hub.database import tables

_jobs = tables.jobs
#: In the statement itself: as a parameter it would not be known to be what an index is made of.
_is_created = _jobs.c.state == sa.literal(JobState.CREATED.value, literal_execute=True)

#: Asked at each claim, report or submit, so they are built once: that costs more than to run them.
_GET = sa.select(_jobs).where(_jobs.c.id == sa.bindparam("job"))
_LOCK = _GET.with_for_update()
_LOCK_OF_ATTEMPT = (
    sa.select(_jobs)
    .where(
        _jobs.c.id
        == sa.select(tables.attempts.c.job_id)
        .where(tables.attempts.c.id == sa.bindparam("attempt"))
        .scalar_subquery()
    )
    .with_for_update()
)


@dataclass(frozen=True)
class NewInput:
    """One dataset version that a job learns from."""

    version_id: str
    split: str | None = None
    held_out: bool = False  # named to be evaluated on, and never learnt from


@dataclass(frozen=True)
class RequestKey:
    """What a client calls its request, to send it again, and the digest of the request itself."""

    key: str
    request_digest: str


@dataclass(frozen=True)
class Offer:
    """A free slot of one agent and what it can take."""

    agent_id: str
    queue: str
    weight_digests: frozenset[str]
    #: Of those, what another agent of the queue has a free slot for.
    elsewhere: frozenset[str] = frozenset()
    #: What its workers can beyond the usual; None: whatever the job needs.
    abilities: frozenset[str] | None = None
    #: The one job that it is for; None: whichever is next.
    job_id: str | None = None


def insert_job(
    connection: Connection, values: Mapping[str, object], inputs: Sequence[NewInput], now: datetime
) -> None:
    """Inserts a job with its inputs."""
    times = dict.fromkeys(("created_at", "updated_at", "state_at"), now)
    connection.execute(_jobs.insert(), [{**values, **times, "flag_cancel": False}])
    _insert_inputs(connection, str(values["id"]), inputs, now)


def put_inputs(
    connection: Connection, job_id: str, inputs: Sequence[NewInput], now: datetime
) -> None:
    """Writes down which versions a job learns from, in place of what was written before."""
    table = tables.job_inputs
    connection.execute(table.delete().where(table.c.job_id == job_id))
    _insert_inputs(connection, job_id, inputs, now)


def _insert_inputs(
    connection: Connection, job_id: str, inputs: Sequence[NewInput], now: datetime
) -> None:
    rows = [
        {
            "id": f"{job_id}.{position}",
            "created_at": now,
            "job_id": job_id,
            "version_id": entry.version_id,
            "position": position,
            "split": entry.split,
            "held_out": entry.held_out,
        }
        for position, entry in enumerate(inputs)
    ]
    if rows:
        connection.execute(tables.job_inputs.insert(), rows)


def get(connection: Connection, job_id: str) -> RowMapping | None:
    """Returns one job, whoever may see it; for the service's own use."""
    return connection.execute(_GET, {"job": job_id}).mappings().first()


def find_keyed(connection: Connection, creator_id: str, request: RequestKey) -> str | None:
    """Returns the id of the job that its creator submitted with this key.

    Raises:
        ConflictError: The key was sent with another request.
    """
    statement = sa.select(_jobs.c.id, _jobs.c.request_digest).where(
        _jobs.c.creator_id == creator_id, _jobs.c.key == request.key
    )
    row = connection.execute(statement).first()
    if row is None:
        return None
    if row.request_digest != request.request_digest:
        raise ConflictError(
            "Another job was submitted with this key.",
            hint="Send the request as it was, or a new key.",
            errors=[FieldProblem("key", "belongs to another request.", "Make a new one.")],
        )
    return row.id


def lock_job(connection: Connection, job_id: str) -> RowMapping | None:
    """Returns the job and keeps others from changing it until the transaction ends."""
    return connection.execute(_LOCK, {"job": job_id}).mappings().first()


def lock_job_of(connection: Connection, attempt_id: str) -> RowMapping | None:
    """Returns the job of an attempt; as `lock_job`. What the attempt is now is read after it."""
    return connection.execute(_LOCK_OF_ATTEMPT, {"attempt": attempt_id}).mappings().first()


def change_state(
    connection: Connection,
    job_id: str,
    old: JobState,
    new: JobState,
    now: datetime,
    **changes: object,
) -> bool:
    """Moves a job from `old` to `new`; returns False if it was not in `old` any more.

    Raises:
        JobStateError: The table of transitions has no such step.
    """
    check_transition(old, new)
    if new in FINAL_STATES:
        changes["finished_at"] = now
    statement = (
        _jobs.update()
        .where(_jobs.c.id == job_id, _jobs.c.state == old)
        .values(state=new, updated_at=now, state_at=now, **changes)
    )
    return connection.execute(statement).rowcount == 1


def change_fields(connection: Connection, job_id: str, now: datetime, **changes: object) -> None:
    """Changes what is not the state."""
    connection.execute(_jobs.update().where(_jobs.c.id == job_id).values(updated_at=now, **changes))


def list_created(connection: Connection) -> list[RowMapping]:
    """Returns all jobs that are not queued yet, oldest first."""
    return _oldest_first(connection, _is_created)


def to_translate(connection: Connection) -> list[RowMapping]:
    """Returns the jobs that wait for their versions to be translated, oldest first."""
    return _oldest_first(connection, _is_created, _jobs.c.translation.is_not(None))


def _oldest_first(connection: Connection, *where: sa.ColumnElement[bool]) -> list[RowMapping]:
    """Returns a few jobs in order. SQLite, asked for an order, would read all jobs in that one."""
    rows = connection.execute(sa.select(_jobs).where(*where)).mappings()
    return sorted(rows, key=lambda row: row["id"])


def count_open(connection: Connection, tenant_id: str) -> int:
    """Returns how many jobs of a tenant are not in a final state."""
    return _count_open(connection, _jobs.c.tenant_id == tenant_id)


def count_open_by(connection: Connection, creator_id: str) -> int:
    """Returns how many jobs that a user submitted are not in a final state."""
    return _count_open(connection, _jobs.c.creator_id == creator_id)


def _count_open(connection: Connection, whose: sa.ColumnElement[bool]) -> int:
    statement = sa.select(sa.func.count()).where(whose, _jobs.c.state.not_in(FINAL_STATES))
    return connection.execute(statement).scalar_one()


def inputs_of(connection: Connection, job_ids: Collection[str]) -> list[RowMapping]:
    """Returns the inputs of jobs with the version, dataset and tenant that each names."""
    inputs, versions, datasets = tables.job_inputs, tables.versions, tables.datasets
    statement = (
        sa.select(
            inputs.c.job_id,
            inputs.c.position,
            inputs.c.split,
            inputs.c.held_out,
            versions.c.id.label("version_id"),
            versions.c.number,
            versions.c.content_digest,
            versions.c.split_digest,
            versions.c.manifest_digest,
            versions.c.counts,
            versions.c.splits,
            datasets.c.id.label("dataset_id"),
            datasets.c.name.label("dataset_name"),
            datasets.c.sensitivity,
            tables.tenants.c.slug,
            tables.tenants.c.kind.label("tenant_kind"),
        )
        .join(versions, versions.c.id == inputs.c.version_id)
        .join(datasets, datasets.c.id == versions.c.dataset_id)
        .join(tables.tenants, tables.tenants.c.id == datasets.c.tenant_id)
        .where(inputs.c.job_id.in_(job_ids))
        .order_by(inputs.c.job_id, inputs.c.position)
    )
    return list(connection.execute(statement).mappings())
