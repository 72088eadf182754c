"""Named statements on the events of jobs: append, read on from a place, and what charts need.

Sequence numbers are of the job, without gaps; the caller holds the lock on the job
(`jobs.lock_job`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery.ids import new_id
from adaptery_hub.database import tables

_events = tables.job_events

#: Asked at each claim, report or submit, so they are built once: that costs more than to run them.
_LAST_SEQ = sa.select(sa.func.coalesce(sa.func.max(_events.c.seq), 0)).where(
    _events.c.job_id == sa.bindparam("job")
)
_LAST_ATTEMPT_SEQ = sa.select(sa.func.coalesce(sa.func.max(_events.c.attempt_seq), 0)).where(
    _events.c.attempt_id == sa.bindparam("attempt")
)
_LATEST = (
    sa.select(_events)
    .where(_events.c.job_id == sa.bindparam("job"), _events.c.kind == sa.bindparam("of_kind"))
    .order_by(_events.c.seq.desc())
    .limit(sa.bindparam("most", type_=sa.Integer))
)
_RECENT_METRICS = (
    sa.select(_events.c.created_at, _events.c.data)
    .where(_events.c.attempt_id == sa.bindparam("attempt"), _events.c.kind == "metrics")
    .order_by(_events.c.attempt_seq.desc())
    .limit(sa.bindparam("most", type_=sa.Integer))
)


@dataclass(frozen=True)
class NewEvent:
    """One event to append; `attempt_seq` only for a worker's."""

    kind: str
    data: Mapping[str, object]
    at: datetime
    attempt_seq: int | None = None


def append(
    connection: Connection,
    job_id: str,
    attempt_id: str | None,
    events: Sequence[NewEvent],
    last: int | None = None,
) -> int:
    """Appends events; returns the number of the last one of the job.

    Args:
        connection: An open transaction that holds the lock on the job.
        job_id: The job.
        attempt_id: The attempt that tells them, if one does.
        events: What is told.
        last: The number of the last one until now, if it is known.
    """
    if last is None:
        last = last_seq(connection, job_id)
    rows = [
        {
            "id": new_id("ev"),
            "created_at": event.at,
            "job_id": job_id,
            "attempt_id": attempt_id if event.attempt_seq is not None else None,
            "attempt_seq": event.attempt_seq,
            "seq": last + offset,
            "kind": event.kind,
            "data": dict(event.data),
        }
        for offset, event in enumerate(events, start=1)
    ]
    if rows:
        connection.execute(_events.insert(), rows)
    return last + len(rows)


def last_seq(connection: Connection, job_id: str) -> int:
    """Returns the number of the last event of a job; 0 for none."""
    return connection.execute(_LAST_SEQ, {"job": job_id}).scalar_one()


def last_attempt_seq(connection: Connection, attempt_id: str) -> int:
    """Returns the number of the last worker event stored for an attempt; 0 for none."""
    return connection.execute(_LAST_ATTEMPT_SEQ, {"attempt": attempt_id}).scalar_one()


def latest(connection: Connection, job_id: str, kind: str, limit: int = 1) -> list[RowMapping]:
    """Returns the last events of one kind of a job, newest first."""
    asked = {"job": job_id, "of_kind": kind, "most": limit}
    return list(connection.execute(_LATEST, asked).mappings())


def recent_metrics(connection: Connection, attempt_id: str, limit: int) -> list[RowMapping]:
    """Returns the last metrics of an attempt, in order."""
    asked = {"attempt": attempt_id, "most": limit}
    return list(reversed(connection.execute(_RECENT_METRICS, asked).mappings().all()))


def metrics_texts(
    connection: Connection, job_id: str, after_seq: int, limit: int
) -> tuple[str, str]:
    """Returns up to `limit` metrics of a job after one number, in order.

    The database puts the text together: hundreds of thousands of rows, one by one, take seconds.

    Returns:
        Their numbers, with commas between them, and their data, a JSON object a line.
    """
    rows = (
        sa.select(_events.c.seq, sa.cast(_events.c.data, sa.Text).label("data"))
        .where(_events.c.job_id == job_id, _events.c.kind == "metrics", _events.c.seq > after_seq)
        .order_by(_events.c.seq)
        .limit(limit)
        .subquery()
    )
    statement = sa.select(
        sa.func.aggregate_strings(sa.cast(rows.c.seq, sa.Text), ","),
        sa.func.aggregate_strings(rows.c.data, "\n"),
    )
    seqs, lines = connection.execute(statement).one()
    return seqs or "", lines or ""


def read_back(
    connection: Connection, job_id: str, before_seq: int | None, limit: int
) -> list[RowMapping]:
    """Returns up to `limit` events of a job before one number, newest first."""
    statement = sa.select(_events).where(_events.c.job_id == job_id)
    if before_seq is not None:
        statement = statement.where(_events.c.seq < before_seq)
    statement = statement.order_by(_events.c.seq.desc()).limit(limit)
    return list(connection.execute(statement).mappings())


def first_seqs(connection: Connection, attempt_ids: Sequence[str]) -> list[int]:
    """Returns the number in the job of the first event of each attempt that told any."""
    found: list[int] = []
    for attempt_id in attempt_ids:
        statement = (
            sa.select(_events.c.seq)
            .where(_events.c.attempt_id == attempt_id)
            .order_by(_events.c.attempt_seq)
            .limit(1)
        )
        first = connection.scalar(statement)
        found += [] if first is None else [first]
    return found


def get_many(connection: Connection, job_id: str, seqs: Sequence[int]) -> list[RowMapping]:
    """Returns the events of a job with these numbers, in order."""
    statement = (
        sa.select(_events)
        .where(_events.c.job_id == job_id, _events.c.seq.in_(seqs))
        .order_by(_events.c.seq)
    )
    return list(connection.execute(statement).mappings())


def remove_some(connection: Connection, job_id: str, limit: int) -> bool:
    """Removes up to `limit` events of a job; returns False if there were none."""
    some = sa.select(_events.c.id).where(_events.c.job_id == job_id).limit(limit)
    removed = connection.execute(_events.delete().where(_events.c.id.in_(some)))
    return removed.rowcount > 0


def read_on(
    connection: Connection,
    job_id: str,
    after_seq: int,
    limit: int,
    kinds: Collection[str] | None = None,
) -> list[RowMapping]:
    """Returns up to `limit` events of a job after one number, in order."""
    statement = (
        sa.select(_events)
        .where(_events.c.job_id == job_id, _events.c.seq > after_seq)
        .order_by(_events.c.seq)
        .limit(limit)
    )
    if kinds is not None:
        statement = statement.where(_events.c.kind.in_(kinds))
    return list(connection.execute(statement).mappings())
