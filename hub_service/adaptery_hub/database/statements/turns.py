"""Named statements on whose turn it is: what the fair order of a queue depends on.

Those of a claim are built once: that costs more than to run them. They read the first of each line
and nothing of what waits behind it, however many jobs wait.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from itertools import product

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery.abilities import met_needs
from adaptery.states import JobState
from adaptery_hub.database import tables
from adaptery_hub.database.statements.distinct import each_value
from adaptery_hub.database.statements.jobs import Offer

_jobs = tables.jobs
_tenants = tables.tenants


def waiting(connection: Connection, queue: str) -> list[RowMapping]:
    """Returns what a queue's order and its forecasts depend on, for each job that waits."""
    statement = sa.select(
        _jobs.c.id,
        _jobs.c.tenant_id,
        _jobs.c.creator_id,
        _jobs.c.priority,
        _jobs.c.queued_at,
        _jobs.c.task,
        _jobs.c.weight_digest,
        _jobs.c.step,
        _jobs.c.total_steps,
        _jobs.c.step_seconds,
    ).where(_jobs.c.state == JobState.QUEUED, _jobs.c.queue == queue)
    return list(connection.execute(statement).mappings())


def firsts(connection: Connection, offer: Offer, now: datetime) -> list[RowMapping]:
    """Returns of the jobs that a slot can take the first one of each user in each tenant.

    Of an offer that is for one job, that one, if the slot can take it.
    """
    asked: dict[str, object] = {
        "queue": offer.queue,
        "agent": offer.agent_id,
        "moment": now,
        "weights": list(offer.weight_digests),
        "elsewhere": list(offer.elsewhere),
    }
    if offer.abilities is not None:
        asked["met"] = list(met_needs(offer.abilities))
    if offer.job_id is not None:
        asked["job"] = offer.job_id
    statement = _FIRST_IDS[offer.abilities is not None, offer.job_id is not None]
    ids = connection.scalars(statement, asked).all()
    found = [job_id for job_id in ids if job_id is not None]
    return list(connection.execute(_IN_LINE, {"ids": found}).mappings())


def running(connection: Connection, queue: str) -> list[RowMapping]:
    """Returns how many jobs train of each user in each tenant."""
    return list(connection.execute(_RUNNING, {"queue": queue}).mappings())


def last_starts(
    connection: Connection, queue: str, tenant_ids: Collection[str]
) -> dict[str, datetime | None]:
    """Returns when each of the tenants last started a job."""
    asked = {"queue": queue, "tenant_ids": list(tenant_ids)}
    return {tenant_id: at for tenant_id, at in connection.execute(_LAST_STARTS, asked)}


def _first_ids(*, needs_matter: bool, one_job: bool) -> sa.Select[str]:
    """The first job of each line that a slot can take; null if it can take none of them."""
    lines, job = _lines(), _jobs.alias("job")
    may_return = sa.and_(
        sa.or_(job.c.retry_at.is_(None), job.c.retry_at <= sa.bindparam("moment")),
        job.c.weight_digest.not_in(sa.bindparam("elsewhere", expanding=True)),
    )
    fits = sa.and_(
        job.c.queue == sa.bindparam("queue"),
        job.c.state == JobState.QUEUED,
        job.c.tenant_id == lines.c.tenant_id,
        job.c.creator_id == lines.c.creator_id,
        job.c.weight_digest.in_(sa.bindparam("weights", expanding=True)),
        sa.or_(job.c.lost_by.is_(None), job.c.lost_by != sa.bindparam("agent"), may_return),
    )
    if needs_matter:
        fits = sa.and_(fits, job.c.needs.in_(sa.bindparam("met", expanding=True)))
    if one_job:
        fits = sa.and_(fits, job.c.id == sa.bindparam("job"))
    most = sa.select(job.c.priority).where(fits).order_by(job.c.priority.desc()).limit(1)
    first = sa.select(job.c.id).where(fits).order_by(job.c.queued_at, job.c.id).limit(1)
    return sa.select(
        first.where(job.c.priority == most.correlate(lines).scalar_subquery())
        .correlate(lines)
        .scalar_subquery()
    ).select_from(lines)


def _lines() -> sa.Subquery:
    """Each user in each tenant who has jobs that wait in a queue."""
    waits = (_jobs.c.queue == sa.bindparam("queue"), _jobs.c.state == JobState.QUEUED)
    tenant_id = each_value(_jobs.c.tenant_id, *waits, name="tenant_ids").c.value
    creator = sa.select(sa.func.min(_jobs.c.creator_id)).where(*waits)
    first = creator.where(_jobs.c.tenant_id == tenant_id).correlate(tenant_id.table)
    lines = sa.select(tenant_id.label("tenant_id"), first.scalar_subquery().label("creator_id"))
    lines = lines.where(tenant_id.is_not(None)).cte("lines", recursive=True)
    following = creator.where(
        _jobs.c.tenant_id == lines.c.tenant_id, _jobs.c.creator_id > lines.c.creator_id
    )
    each = lines.union_all(
        sa.select(lines.c.tenant_id, following.correlate(lines).scalar_subquery()).where(
            lines.c.creator_id.is_not(None)
        )
    )
    return sa.select(each).where(each.c.creator_id.is_not(None)).subquery("line")


_FIRST_IDS = {
    (needs_matter, one_job): _first_ids(needs_matter=needs_matter, one_job=one_job)
    for needs_matter, one_job in product((False, True), repeat=2)
}
_IN_LINE = sa.select(
    _jobs.c.id, _jobs.c.tenant_id, _jobs.c.creator_id, _jobs.c.priority, _jobs.c.queued_at
).where(_jobs.c.id.in_(sa.bindparam("ids", expanding=True)))
_RUNNING = (
    sa.select(_jobs.c.tenant_id, _jobs.c.creator_id, sa.func.count().label("jobs"))
    .where(_jobs.c.queue == sa.bindparam("queue"), _jobs.c.state == JobState.TRAINING)
    .group_by(_jobs.c.tenant_id, _jobs.c.creator_id)
)
#: One look into an index for each tenant; a GROUP BY would read all their jobs.
_LAST_STARTS = sa.select(
    _tenants.c.id,
    sa.select(sa.func.max(_jobs.c.started_at))
    .where(_jobs.c.queue == sa.bindparam("queue"), _jobs.c.tenant_id == _tenants.c.id)
    .scalar_subquery(),
).where(_tenants.c.id.in_(sa.bindparam("tenant_ids", expanding=True)))
