"""Statements about what came from what: merged versions, jobs, adapters; what they inherit.

`version_sources` names, for a merged version, every version whose records it may hold: its own
sources first, then theirs. So both directions are one look-up, however deep a merge goes.
`dataset_sources` names the datasets that records were collated from, theirs not.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery.ids import new_id
from adaptery.schemas.common import SENSITIVITIES
from adaptery_hub.database.statements.job_inputs import jobs_on, with_teachers
from adaptery_hub.database.statements.names import prefix_column
from adaptery_hub.database.tables import (
    adapters,
    dataset_sources,
    datasets,
    job_inputs,
    jobs,
    tenants,
    version_files,
    version_sources,
    versions,
)
from adaptery_hub.identity import Identity
from adaptery_hub.permissions import Right, visible

_COMPLETED = "completed"


def with_sources(connection: Connection, version_ids: Sequence[str]) -> list[str]:
    """Return these versions, then all that they reference."""
    statement = (
        sa.select(version_sources.c.source_version_id)
        .where(version_sources.c.version_id.in_(version_ids))
        .order_by(version_sources.c.version_id, version_sources.c.position)
    )
    return list(dict.fromkeys([*version_ids, *connection.scalars(statement)]))


def versions_by_id(
    connection: Connection, identity: Identity, version_ids: Collection[str]
) -> dict[str, RowMapping]:
    """Return those of these versions that the caller may view, with their datasets' names."""
    statement = _versions(identity).where(versions.c.id.in_(version_ids))
    return {row["id"]: row for row in connection.execute(statement).mappings()}


def datasets_by_id(
    connection: Connection, identity: Identity, dataset_ids: Collection[str]
) -> dict[str, RowMapping]:
    """Return those of these datasets that the caller may view, with their owners' prefixes."""
    statement = (
        sa.select(datasets.c.id, datasets.c.name, prefix_column().label("prefix"))
        .join(tenants, tenants.c.id == datasets.c.tenant_id)
        .where(datasets.c.id.in_(dataset_ids), visible(datasets, identity, Right.VIEW))
    )
    return {row["id"]: row for row in connection.execute(statement).mappings()}


def merged_from(
    connection: Connection, identity: Identity, version_ids: Collection[str], limit: int
) -> list[RowMapping]:
    """Return versions that reference one of these and that the caller may view."""
    statement = _versions(identity).where(
        versions.c.id.in_(
            sa.select(version_sources.c.version_id).where(
                version_sources.c.source_version_id.in_(version_ids)
            )
        )
    )
    return list(connection.execute(statement.order_by(versions.c.id).limit(limit)).mappings())


def newest_versions(connection: Connection, identity: Identity, limit: int) -> list[RowMapping]:
    """Return the newest versions that the caller may view and that can be read."""
    statement = _versions(identity).where(versions.c.state.in_((_COMPLETED, "withdrawn")))
    return list(
        connection.execute(statement.order_by(versions.c.id.desc()).limit(limit)).mappings()
    )


def files_of(connection: Connection, version_ids: Collection[str]) -> list[RowMapping]:
    """Return the files that versions came from; the caller may view these versions."""
    statement = (
        sa.select(version_files)
        .where(version_files.c.version_id.in_(version_ids))
        .order_by(version_files.c.id)
    )
    return list(connection.execute(statement).mappings())


def uses_of(connection: Connection, version_ids: Collection[str]) -> list[RowMapping]:
    """Return which job took which version, and which split of it."""
    statement = (
        sa.select(job_inputs.c.job_id, job_inputs.c.version_id, job_inputs.c.split)
        .where(job_inputs.c.version_id.in_(version_ids))
        .order_by(job_inputs.c.job_id)
    )
    return list(connection.execute(statement).mappings())


def jobs_by_id(
    connection: Connection, identity: Identity, job_ids: Collection[str]
) -> dict[str, RowMapping]:
    """Return those of these jobs that the caller may view."""
    statement = sa.select(jobs).where(jobs.c.id.in_(job_ids), visible(jobs, identity, Right.VIEW))
    return {row["id"]: row for row in connection.execute(statement).mappings()}


def adapters_of(
    connection: Connection, identity: Identity, job_ids: Collection[str]
) -> list[RowMapping]:
    """Return the adapters of jobs that the caller may use, with their owners' prefixes."""
    statement = (
        sa.select(adapters, prefix_column().label("prefix"))
        .join_from(adapters, tenants, tenants.c.id == adapters.c.tenant_id)
        .where(
            adapters.c.job_id.in_(job_ids),
            adapters.c.state == _COMPLETED,
            visible(adapters, identity, Right.USE),
        )
        .order_by(adapters.c.id)
    )
    return list(connection.execute(statement).mappings())


def withdrawn_jobs(connection: Connection, job_ids: Collection[str]) -> set[str]:
    """Return those of these jobs that learnt from a version that is withdrawn or erased.

    Also by an adapter that they went on from.
    """
    source, line = versions.alias(), with_teachers(job_ids)
    gone = sa.or_(
        versions.c.state != _COMPLETED,
        sa.exists().where(
            version_sources.c.version_id == versions.c.id,
            version_sources.c.source_version_id == source.c.id,
            source.c.state != _COMPLETED,
        ),
    )
    statement = (
        sa.select(line.c.job_id)
        .join(job_inputs, job_inputs.c.job_id == line.c.source_id)
        .join(versions, versions.c.id == job_inputs.c.version_id)
        .where(gone)
    )
    return set(connection.scalars(statement))


def count_adapters(connection: Connection, version_id: str) -> int:
    """Return how many adapters learnt from a version, whoever owns them."""
    using = sa.select(version_sources.c.version_id).where(
        version_sources.c.source_version_id == version_id
    )
    learnt = jobs_on([version_id, *connection.scalars(using)])
    statement = sa.select(sa.func.count(adapters.c.id)).where(
        adapters.c.state == _COMPLETED, adapters.c.job_id.in_(learnt)
    )
    return connection.scalar(statement) or 0


def sensitivities(connection: Connection, ids: Collection[str]) -> list[str]:
    """Return how sensitive the datasets are that some ids name, of datasets or of versions."""
    of_versions = sa.select(versions.c.dataset_id).where(versions.c.id.in_(ids))
    statement = sa.select(datasets.c.sensitivity).where(
        sa.or_(datasets.c.id.in_(ids), datasets.c.id.in_(of_versions))
    )
    return list(connection.scalars(statement))


def direct_sources(connection: Connection, version_ids: Collection[str]) -> dict[str, list[str]]:
    """Return what each of these versions references itself, not by what it references."""
    statement = (
        sa.select(version_sources.c.version_id, version_sources.c.source_version_id)
        .where(
            version_sources.c.version_id.in_(version_ids)
            | version_sources.c.version_id.in_(
                sa.select(version_sources.c.source_version_id).where(
                    version_sources.c.version_id.in_(version_ids)
                )
            )
        )
        .order_by(version_sources.c.version_id, version_sources.c.position)
    )
    every: dict[str, list[str]] = {}
    for row in connection.execute(statement):
        every.setdefault(row.version_id, []).append(row.source_version_id)
    found: dict[str, list[str]] = {}
    for version_id in version_ids:
        sources = every.get(version_id, [])
        indirect = {below for source in sources for below in every.get(source, ())}
        found[version_id] = [source for source in sources if source not in indirect]
    return found


def least_sensitivity(connection: Connection, dataset_id: str) -> str:
    """Return what a dataset must be at least, for what was merged or collated into it."""
    own, source = versions.alias(), versions.alias()
    statement = (
        sa.select(datasets.c.sensitivity)
        .distinct()
        .join_from(version_sources, own, own.c.id == version_sources.c.version_id)
        .join(source, source.c.id == version_sources.c.source_version_id)
        .join(datasets, datasets.c.id == source.c.dataset_id)
        .where(own.c.dataset_id == dataset_id, datasets.c.id != dataset_id)
    )
    collated = (
        sa.select(datasets.c.sensitivity)
        .distinct()
        .join(dataset_sources, dataset_sources.c.source_dataset_id == datasets.c.id)
        .where(dataset_sources.c.dataset_id == dataset_id)
    )
    found = [*connection.scalars(statement), *connection.scalars(collated)]
    return max(found, key=SENSITIVITIES.index, default=SENSITIVITIES[0])


def insert_dataset_sources(
    connection: Connection, dataset_id: str, source_ids: Collection[str], at: datetime
) -> None:
    """Write down from which other datasets records were collated into one."""
    statement = sa.select(dataset_sources.c.source_dataset_id).where(
        dataset_sources.c.dataset_id == dataset_id
    )
    known = {dataset_id, *connection.scalars(statement)}
    for source_id in sorted(set(source_ids) - known):
        connection.execute(
            sa.insert(dataset_sources).values(
                id=new_id("cs"),
                created_at=at,
                dataset_id=dataset_id,
                source_dataset_id=source_id,
            )
        )


def raise_sensitivity(connection: Connection, dataset_id: str, sensitivity: str) -> list[str]:
    """Make a dataset, and those that were merged or collated from it, at least so sensitive.

    Returns:
        The datasets that changed.
    """
    lower = SENSITIVITIES[: SENSITIVITIES.index(sensitivity)]
    affected = sa.and_(
        datasets.c.id.in_(_with_heirs(connection, dataset_id)), datasets.c.sensitivity.in_(lower)
    )
    changed = list(connection.scalars(sa.select(datasets.c.id).where(affected)))
    connection.execute(
        sa.update(datasets).where(datasets.c.id.in_(changed)).values(sensitivity=sensitivity)
    )
    return changed


def _with_heirs(connection: Connection, dataset_id: str) -> set[str]:
    """Return a dataset and all that hold records of it, however many steps away."""
    own, source = versions.alias(), versions.alias()
    found, level = {dataset_id}, {dataset_id}
    while level:
        merged = (
            sa.select(own.c.dataset_id)
            .join_from(version_sources, own, own.c.id == version_sources.c.version_id)
            .join(source, source.c.id == version_sources.c.source_version_id)
            .where(source.c.dataset_id.in_(level))
        )
        collated = sa.select(dataset_sources.c.dataset_id).where(
            dataset_sources.c.source_dataset_id.in_(level)
        )
        level = set(connection.scalars(sa.union(merged, collated))) - found
        found |= level
    return found


def _versions(identity: Identity) -> sa.Select[tuple[object, ...]]:
    return (
        sa.select(
            versions,
            datasets.c.name.label("dataset_name"),
            datasets.c.sensitivity,
            prefix_column().label("prefix"),
        )
        .join_from(versions, datasets, datasets.c.id == versions.c.dataset_id)
        .join(tenants, tenants.c.id == datasets.c.tenant_id)
        .where(visible(datasets, identity, Right.VIEW))
    )
