"""Statements about the erasing of datasets: what has to go, and what is out of its reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery.ids import new_id
from adaptery.states import FINAL_STATES
from adaptery.times import now
from adaptery_hub.database.statements import versions as version_statements
from adaptery_hub.database.statements.job_inputs import jobs_on
from adaptery_hub.database.statements.names import prefix_column
from adaptery_hub.database.tables import (
    adapters,
    checkpoints,
    datasets,
    erasures,
    files,
    job_inputs,
    jobs,
    tenants,
    version_sources,
    versions,
)
from adaptery_hub.identity import Identity
from adaptery_hub.permissions import Right, right_of

RUNNING, COMPLETED = "running", "completed"


def insert(
    connection: Connection, dataset_id: str, creator_id: str, result: Mapping[str, Any]
) -> str:
    """Write down that a dataset is being erased; return the id of that."""
    erasure_id = new_id("er")
    connection.execute(
        sa.insert(erasures).values(
            id=erasure_id,
            created_at=now(),
            dataset_id=dataset_id,
            creator_id=creator_id,
            state=RUNNING,
            result=dict(result),
        )
    )
    return erasure_id


def finish(connection: Connection, erasure_id: str, result: Mapping[str, Any]) -> None:
    """Write down what an erasing came to."""
    connection.execute(
        sa.update(erasures)
        .where(erasures.c.id == erasure_id)
        .values(state=COMPLETED, result=dict(result))
    )


def latest(connection: Connection, dataset_id: str) -> RowMapping | None:
    """Return the last erasing of a dataset."""
    statement = sa.select(erasures).where(erasures.c.dataset_id == dataset_id)
    statement = statement.order_by(erasures.c.id.desc()).limit(1)
    return connection.execute(statement).mappings().first()


def running(connection: Connection) -> list[RowMapping]:
    """Return every erasing that has begun and not ended."""
    statement = sa.select(erasures).where(erasures.c.state == RUNNING).order_by(erasures.c.id)
    return list(connection.execute(statement).mappings())


def forget_content(connection: Connection, dataset_id: str) -> None:
    """Let nobody use what a dataset held from now on; its draft is empty, its files are gone."""
    connection.execute(
        sa.update(versions)
        .where(versions.c.dataset_id == dataset_id)
        .values(state=version_statements.ERASED)
    )
    connection.execute(sa.delete(files).where(files.c.dataset_id == dataset_id))
    connection.execute(
        sa.update(datasets)
        .where(datasets.c.id == dataset_id)
        .values(records=0, draft_bytes=None, expires_at=None, updated_at=now())
    )


def count_bytes(connection: Connection, sizes: Mapping[str, int]) -> None:
    """Note what versions still take in the store."""
    statement = sa.select(versions.c.id, versions.c.counts).where(versions.c.id.in_(list(sizes)))
    for row in connection.execute(statement).mappings().all():
        counts = {**row["counts"], "bytes": sizes[row["id"]]}
        connection.execute(
            sa.update(versions).where(versions.c.id == row["id"]).values(counts=counts)
        )


def versions_of(connection: Connection, dataset_id: str) -> list[RowMapping]:
    """Return the versions of a dataset that are not erased, with what their names need."""
    statement = (
        sa.select(versions, datasets.c.name.label("dataset_name"), prefix_column().label("prefix"))
        .join_from(versions, datasets, datasets.c.id == versions.c.dataset_id)
        .join(tenants, tenants.c.id == datasets.c.tenant_id)
        .where(versions.c.dataset_id == dataset_id, versions.c.state != version_statements.ERASED)
        .order_by(versions.c.number)
    )
    return list(connection.execute(statement).mappings())


def is_erased(connection: Connection, dataset_id: str) -> bool:
    """Tell whether a dataset was erased, and nothing came into it since."""
    last = latest(connection, dataset_id)
    if last is None or last["state"] != COMPLETED:
        return False
    records = connection.scalar(sa.select(datasets.c.records).where(datasets.c.id == dataset_id))
    return not (
        records or count_files(connection, dataset_id) or versions_of(connection, dataset_id)
    )


def count_files(connection: Connection, dataset_id: str) -> int:
    """Return how many files were uploaded into a draft."""
    statement = sa.select(sa.func.count()).where(files.c.dataset_id == dataset_id)
    return connection.scalar(statement) or 0


def merged_from(connection: Connection, version_ids: Sequence[str]) -> list[str]:
    """Return the versions elsewhere that were merged from these, and from those again."""
    known, newest = set(version_ids), set(version_ids)
    while newest:
        statement = sa.select(version_sources.c.version_id).where(
            version_sources.c.source_version_id.in_(newest)
        )
        newest = set(connection.scalars(statement)) - known
        known |= newest
    return sorted(known - set(version_ids))


def merged_shown(
    connection: Connection, identity: Identity, version_ids: Sequence[str]
) -> list[RowMapping]:
    """Return versions with their names and the caller's `right`."""
    statement = (
        sa.select(
            versions.c.number,
            datasets.c.name.label("dataset_name"),
            prefix_column().label("prefix"),
            right_of(datasets, identity).label("right"),
        )
        .join_from(versions, datasets, datasets.c.id == versions.c.dataset_id)
        .join(tenants, tenants.c.id == datasets.c.tenant_id)
        .where(versions.c.id.in_(version_ids))
        .order_by(versions.c.id)
    )
    return list(connection.execute(statement).mappings())


def open_jobs(connection: Connection, version_ids: Sequence[str]) -> int:
    """Return how many jobs that are not over learn from these versions themselves."""
    readers = sa.select(job_inputs.c.job_id).where(job_inputs.c.version_id.in_(version_ids))
    statement = sa.select(sa.func.count(sa.distinct(jobs.c.id))).where(
        jobs.c.id.in_(readers), jobs.c.state.not_in([s.value for s in FINAL_STATES])
    )
    return connection.scalar(statement) or 0


def adapters_of(
    connection: Connection, identity: Identity, version_ids: Sequence[str]
) -> list[RowMapping]:
    """Return the adapters that learnt from these versions, with names and the caller's `right`."""
    statement = (
        sa.select(
            adapters.c.name,
            adapters.c.number,
            prefix_column().label("prefix"),
            right_of(adapters, identity).label("right"),
        )
        .join_from(adapters, tenants, tenants.c.id == adapters.c.tenant_id)
        .where(adapters.c.job_id.in_(jobs_on(version_ids)), adapters.c.state == "completed")
        .order_by(adapters.c.id)
    )
    return list(connection.execute(statement).mappings())


def checkpoints_of(
    connection: Connection, identity: Identity, version_ids: Sequence[str]
) -> list[RowMapping]:
    """Return the jobs on these versions that have checkpoints, with how many."""
    statement = (
        sa.select(
            jobs.c.id,
            jobs.c.name,
            sa.func.count().label("count"),
            right_of(jobs, identity).label("right"),
        )
        .join_from(jobs, checkpoints, checkpoints.c.job_id == jobs.c.id)
        .where(jobs.c.id.in_(jobs_on(version_ids)))
        .group_by(jobs.c.id, jobs.c.name, jobs.c.tenant_id, jobs.c.creator_id)
        .order_by(jobs.c.id)
    )
    return list(connection.execute(statement).mappings())


def sees(row: RowMapping) -> bool:
    """Tell whether the caller may know of a row of this module."""
    return row["right"] >= int(Right.USE)
