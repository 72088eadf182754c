"""Statements about what tenants store: sums over rows, never a walk through folders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from adaptery_hub.database.statements.adapters import COMPLETED, STAGED
from adaptery_hub.database.tables import (
    adapters,
    checkpoints,
    datasets,
    files,
    jobs,
    tenants,
    versions,
)

#: What is counted, in the order in which it is shown.
PARTS: tuple[str, ...] = ("drafts", "uploads", "versions", "checkpoints", "adapters")


def used(connection: Connection, tenant_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return for each of these tenants how many bytes of each part lie in its name."""
    found: dict[str, dict[str, int]] = {id: dict.fromkeys(PARTS, 0) for id in tenant_ids}
    for row in connection.execute(_USED, {"tenant_ids": list(tenant_ids)}):
        found[row.tenant_id][row.part] = int(row.bytes or 0)
    return found


def quota_of(connection: Connection, tenant_id: str) -> int | None:
    """Return what an administrator set for one tenant; None: nothing, 0: no limit."""
    statement = sa.select(tenants.c.storage_quota_bytes).where(tenants.c.id == tenant_id)
    return connection.scalar(statement)


def uncounted_drafts(connection: Connection) -> list[str]:
    """Return the datasets whose draft was never looked at: they are from an earlier release."""
    return list(
        connection.scalars(sa.select(datasets.c.id).where(datasets.c.draft_bytes.is_(None)))
    )


def count_draft(connection: Connection, dataset_id: str, size: int) -> None:
    """Note what a draft takes on disk."""
    connection.execute(
        sa.update(datasets).where(datasets.c.id == dataset_id).values(draft_bytes=size)
    )


def _sums() -> list[sa.Select[Any, str, int]]:
    # As text: PostgreSQL would read a JSON number as 32 bits.
    of_version = sa.cast(versions.c.counts["bytes"].as_string(), sa.BigInteger)
    files_of = files.join(datasets, datasets.c.id == files.c.dataset_id)
    versions_of = versions.join(datasets, datasets.c.id == versions.c.dataset_id)
    checkpoints_of = checkpoints.join(jobs, jobs.c.id == checkpoints.c.job_id)
    kept = adapters.c.state.in_((STAGED, COMPLETED))
    return [
        _sum("drafts", datasets, datasets, datasets.c.draft_bytes),
        _sum("uploads", files_of, datasets, files.c.kept_bytes),
        _sum("versions", versions_of, datasets, of_version),
        _sum("checkpoints", checkpoints_of, jobs, checkpoints.c.bytes),
        _sum("adapters", adapters, adapters, adapters.c.bytes, kept),
    ]


def _sum(
    part: str,
    source: sa.FromClause,
    owned: sa.Table,
    size: sa.ColumnElement[int],
    *where: sa.ColumnElement[bool],
) -> sa.Select[Any, str, int]:
    owner = owned.c.tenant_id
    return (
        sa.select(owner, sa.literal(part).label("part"), sa.func.sum(size).label("bytes"))
        .select_from(source)
        .where(owner.in_(sa.bindparam("tenant_ids", expanding=True)), *where)
        .group_by(owner)
    )


#: Asked before whatever needs room, so it is built once.
_USED = sa.union_all(*_sums())
