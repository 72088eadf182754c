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
from adaptery_hub.database.tables import grants, tenants

Row = dict[str, Any]
Name = tuple[str, str]  # kind, exact Hub name

#: The state of whoever was named in a grant before the service ever saw them.
EXPECTED = "expected"

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
    """Insert the tenants of `names` that are still missing and return them all, as seen.

    Args:
        connection: an open transaction.
        names: whom to insert.
        created_at: when the Hub made which user.
        reserved: slugs that nobody gets, besides those that nobody gets anywhere.
    """
    found = find(connection, names)
    for kind, hub_name in names:
        row, hub_created_at = found.get((kind, hub_name)), created_at.get(hub_name)
        if row is None:
            row = _insert(connection, kind, hub_name, "active", reserved, hub_created_at)
        elif row["state"] == EXPECTED:
            row |= {"state": "active"}
            connection.execute(
                sa.update(tenants)
                .where(tenants.c.id == row["id"])
                .values(state="active", hub_created_at=hub_created_at)
            )
        found[kind, hub_name] = row
    return found


def expect(connection: Connection, hub_name: str, reserved: Collection[str] = ()) -> Row:
    """Insert a user whom nobody has seen yet: whoever logs in with this name will be it."""
    return _insert(connection, "user", hub_name, EXPECTED, reserved)


def forget_expected(connection: Connection, ids: Sequence[str]) -> None:
    """Delete those of these tenants that nobody has seen and that have no grant any more."""
    granted = sa.exists().where(grants.c.principal_id == tenants.c.id)
    connection.execute(
        sa.delete(tenants).where(tenants.c.id.in_(ids), tenants.c.state == EXPECTED, ~granted)
    )


def named(connection: Connection, text: str) -> list[Row]:
    """Return those whom a text names, by slug or exact Hub name: `@user`, otherwise a group.

    The slug of one can be the Hub name of another; then both are returned.
    """
    kinds = ("user", "service") if text.startswith("@") else ("group",)
    name = text.removeprefix("@")
    statement = sa.select(*_COLUMNS).where(
        tenants.c.kind.in_(kinds), sa.or_(tenants.c.slug == name, tenants.c.hub_name == name)
    )
    return [dict(row) for row in connection.execute(statement).mappings()]


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


def _insert(
    connection: Connection,
    kind: str,
    hub_name: str,
    state: str,
    reserved: Collection[str],
    hub_created_at: datetime | None = None,
) -> Row:
    row = {
        "id": new_id("tn"),
        "kind": kind,
        "hub_name": hub_name,
        "slug": mint_slug(hub_name, _slugs(connection, kind), RESERVED.union(reserved)),
        "state": state,
    }
    extra = {"created_at": now(), "hub_created_at": hub_created_at}
    connection.execute(sa.insert(tenants).values(**row, **extra))
    return row


def _slugs(connection: Connection, kind: str) -> set[str]:
    # Users and services share the `@`, so they share one space of slugs.
    kinds = ("group",) if kind == "group" else ("user", "service")
    return set(connection.scalars(sa.select(tenants.c.slug).where(tenants.c.kind.in_(kinds))))
