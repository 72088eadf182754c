"""Statements that give what one tenant owns to another; ids, grants and files stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery.ids import new_id
from adaptery.times import now
from adaptery_hub.database.tables import adapters, datasets, grants, jobs, tenants, versions

_KINDS = {"dataset": datasets, "job": jobs, "adapter": adapters}


def owned(connection: Connection, kind: str, tenant_id: str) -> list[RowMapping]:
    """Return id, name and bytes of everything of a kind that a tenant owns, oldest first.

    Adapters that are staged or deleted are there, too: their numbers go with the others.
    """
    table = _KINDS[kind]
    columns: list[sa.ColumnElement[Any]] = [table.c.id, table.c.name, _size(table)]
    if table is adapters:
        columns += [adapters.c.number, adapters.c.state]
    statement = sa.select(*columns).where(table.c.tenant_id == tenant_id).order_by(table.c.id)
    return list(connection.execute(statement).mappings())


def names(connection: Connection, kind: str, tenant_id: str) -> set[str]:
    """Return the names that a tenant's things of a kind have."""
    table = _KINDS[kind]
    statement = sa.select(table.c.name).where(table.c.tenant_id == tenant_id).distinct()
    return set(connection.scalars(statement))


def give(connection: Connection, kind: str, id: str, tenant_id: str, name: str) -> None:
    """Give one thing to a tenant, under a name."""
    table = _KINDS[kind]
    connection.execute(
        sa.update(table).where(table.c.id == id).values(tenant_id=tenant_id, name=name)
    )


def drop_grants_of(connection: Connection, ids: Sequence[str], tenant_id: str) -> None:
    """Remove the grants that a tenant had on things that it owns now."""
    connection.execute(
        sa.delete(grants).where(grants.c.thing_id.in_(ids), grants.c.principal_id == tenant_id)
    )


def without_maker(connection: Connection, kind: str, ids: Sequence[str]) -> list[str]:
    """Return those of these things whose maker is not there any more to manage them."""
    table = _KINDS[kind]
    statement = (
        sa.select(table.c.id)
        .join(tenants, tenants.c.id == table.c.creator_id)
        .where(table.c.id.in_(ids), tenants.c.state != "active")
    )
    return list(connection.scalars(statement))


def let_manage(
    connection: Connection, ids: Sequence[str], tenant_id: str, right: int, creator_id: str
) -> None:
    """Give a tenant a right on things, in place of what it had. No limit counts these grants."""
    drop_grants_of(connection, ids, tenant_id)
    rows = [
        {
            "id": new_id("gr"),
            "created_at": now(),
            "thing_id": id,
            "principal_id": tenant_id,
            "right": right,
            "creator_id": creator_id,
        }
        for id in ids
    ]
    if rows:
        connection.execute(sa.insert(grants), rows)


def _size(table: sa.Table) -> sa.ColumnElement[int]:
    if table is adapters:
        return adapters.c.bytes.label("bytes")
    if table is jobs:
        return sa.literal(0).label("bytes")
    published = sa.cast(versions.c.counts["bytes"].as_string(), sa.BigInteger)
    of_versions = (
        sa.select(sa.func.coalesce(sa.func.sum(published), 0))
        .where(versions.c.dataset_id == datasets.c.id)
        .scalar_subquery()
    )
    return (sa.func.coalesce(datasets.c.draft_bytes, 0) + of_versions).label("bytes")
