"""Statements about tenants."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from adaptery.ids import new_id
from adaptery.names import RESERVED, mint_slug
from adaptery.times import now
from adaptery_hub.database.tables import tenants

Row = dict[str, Any]
Name = tuple[str, str]  # kind, exact Hub name

_COLUMNS = (tenants.c.id, tenants.c.kind, tenants.c.hub_name, tenants.c.slug, tenants.c.state)


def find(connection: Connection, names: Sequence[Name]) -> dict[Name, Row]:
    """Return the tenants with these exact names; names without a tenant are left out."""
    rows = connection.execute(
        sa.select(*_COLUMNS).where(sa.tuple_(tenants.c.kind, tenants.c.hub_name).in_(names))
    ).mappings()
    return {(row["kind"], row["hub_name"]): dict(row) for row in rows}


def mint(
    connection: Connection,
    names: Sequence[Name],
    created_at: Mapping[str, datetime | None],
    reserved: Collection[str] = (),
) -> dict[Name, Row]:
    """Insert the tenants of `names` that are still missing and return them all.

    Args:
        connection: an open transaction.
        names: whom to insert.
        created_at: when the Hub made which user.
        reserved: slugs that nobody gets, besides those that nobody gets anywhere.
    """
    barred = RESERVED.union(reserved)
    found = find(connection, names)
    for kind, hub_name in names:
        if (kind, hub_name) in found:
            continue
        row = {
            "id": new_id("tn"),
            "kind": kind,
            "hub_name": hub_name,
            "slug": mint_slug(hub_name, _slugs(connection, kind), barred),
            "state": "active",
        }
        extra = {"created_at": now(), "hub_created_at": created_at.get(hub_name)}
        connection.execute(sa.insert(tenants).values(**row, **extra))
        found[kind, hub_name] = row
    return found


def get_many(connection: Connection, ids: Sequence[str]) -> list[Row]:
    """Return the tenants with these ids."""
    rows = connection.execute(sa.select(*_COLUMNS).where(tenants.c.id.in_(ids))).mappings()
    return [dict(row) for row in rows]


def state_of(connection: Connection, tenant_id: str) -> str | None:
    """Return the state of one tenant."""
    return connection.scalar(sa.select(tenants.c.state).where(tenants.c.id == tenant_id))


def lock(connection: Connection, tenant_id: str) -> None:
    """Let whoever else locks this tenant wait for the end of this transaction."""
    connection.execute(sa.select(tenants.c.id).where(tenants.c.id == tenant_id).with_for_update())


def by_prefix(connection: Connection, prefix: str) -> Row | None:
    """Return the tenant whose things are named `@slug/…` or `slug/…`."""
    kinds = ("user", "service") if prefix.startswith("@") else ("group",)
    statement = sa.select(*_COLUMNS).where(
        tenants.c.slug == prefix.removeprefix("@"), tenants.c.kind.in_(kinds)
    )
    row = connection.execute(statement).mappings().first()
    return dict(row) if row else None


def _slugs(connection: Connection, kind: str) -> set[str]:
    # Users and services share the `@`, so they share one space of slugs.
    kinds = ("group",) if kind == "group" else ("user", "service")
    return set(connection.scalars(sa.select(tenants.c.slug).where(tenants.c.kind.in_(kinds))))
