"""Statements about tenants.

Of one Hub name there is at most one tenant that is not dormant: whoever has the name now. Which of
them a caller is, `adaptery_hub.succession` says.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery.ids import new_id
from adaptery.names import RESERVED, mint_slug
from adaptery.times import now
from adaptery_hub.database.inserts import insert_new
from adaptery_hub.database.prepared import Prepared
from adaptery_hub.database.statements.names import prefix_column
from adaptery_hub.database.tables import grants, keys, tenants

Row = dict[str, Any]
Name = tuple[str, str]  # kind, exact Hub name

ACTIVE = "active"
#: The state of whoever was named in a grant before the service ever saw them.
EXPECTED = "expected"
#: The state of whoever an administrator keeps out for now.
SUSPENDED = "suspended"
#: The state of whoever is gone from the Hub. What they own stays, and nobody acts as them.
DORMANT = "dormant"

_COLUMNS = (
    tenants.c.id,
    tenants.c.kind,
    tenants.c.hub_name,
    tenants.c.hub_created_at,
    tenants.c.slug,
    tenants.c.state,
)
_alive = tenants.c.state != DORMANT

#: Asked in each request, so it is built once.
_STATE_OF = Prepared(sa.select(tenants.c.state).where(tenants.c.id == sa.bindparam("asked_id")))


def find(connection: Connection, names: Sequence[Name]) -> dict[Name, Row]:
    """Return who has these exact names now; names without a tenant are left out."""
    rows = connection.execute(
        sa.select(*_COLUMNS).where(sa.tuple_(tenants.c.kind, tenants.c.hub_name).in_(names), _alive)
    ).mappings()
    return {(row["kind"], row["hub_name"]): dict(row) for row in rows}


def find_dormant(
    connection: Connection, hub_name: str, hub_created_at: datetime, before: datetime
) -> Row | None:
    """Return the user of this name and time who was gone before that moment."""
    statement = sa.select(*_COLUMNS).where(
        tenants.c.kind == "user",
        tenants.c.hub_name == hub_name,
        tenants.c.hub_created_at == hub_created_at,
        tenants.c.state == DORMANT,
        tenants.c.dormant_at < before,
    )
    row = connection.execute(statement.order_by(tenants.c.id.desc()).limit(1)).mappings().first()
    return dict(row) if row else None


def insert(
    connection: Connection,
    kind: str,
    hub_name: str,
    state: str,
    *,
    hub_created_at: datetime | None = None,
    reserved: Collection[str] = (),
) -> Row:
    """Insert a tenant and return it as seen, or the one that somebody inserted meanwhile.

    Args:
        connection: an open transaction.
        kind: user, group or service.
        hub_name: exactly as the Hub spells it.
        state: active or expected.
        hub_created_at: when the Hub made the user.
        reserved: slugs that nobody gets, besides those that nobody gets anywhere.
    """
    reserved = RESERVED.union(reserved)
    while True:
        id = new_id("tn")
        row = {
            "id": id,
            "kind": kind,
            "hub_name": hub_name,
            "hub_created_at": hub_created_at,
            "slug": _slug(connection, kind, hub_name, reserved, id),
            "state": state,
        }
        if insert_new(connection, tenants, {**row, "created_at": now()}):
            return row
        # Many requests of somebody new come at once. Or another name took the slug: then once more.
        if found := find(connection, [(kind, hub_name)]):
            return found[kind, hub_name]


def wake(connection: Connection, tenant_id: str, hub_created_at: datetime | None) -> None:
    """Let a tenant be active that was expected or dormant."""
    connection.execute(
        sa.update(tenants)
        .where(tenants.c.id == tenant_id)
        .values(state=ACTIVE, hub_created_at=hub_created_at, dormant_at=None)
    )


def change_state(connection: Connection, tenant_id: str, before: str, after: str) -> bool:
    """Take a tenant from one state to another; return whether it was in the first."""
    statement = sa.update(tenants).where(tenants.c.id == tenant_id, tenants.c.state == before)
    return connection.execute(statement.values(state=after)).rowcount == 1


def stamp(connection: Connection, tenant_id: str, hub_created_at: datetime) -> None:
    """Note when the Hub made a user of whom that was not known."""
    connection.execute(
        sa.update(tenants)
        .where(tenants.c.id == tenant_id, tenants.c.hub_created_at.is_(None))
        .values(hub_created_at=hub_created_at)
    )


def put_to_sleep(connection: Connection, tenant_id: str, moment: datetime) -> bool:
    """Let a tenant be dormant and end its keys for good; return whether it was awake until now."""
    statement = (
        sa.update(tenants)
        .where(tenants.c.id == tenant_id, _alive)
        .values(state=DORMANT, dormant_at=moment)
    )
    if connection.execute(statement).rowcount == 0:
        return False
    connection.execute(
        sa.update(keys)
        .where(keys.c.tenant_id == tenant_id, keys.c.revoked_at.is_(None))
        .values(revoked_at=moment)
    )
    return True


def awake(connection: Connection, kind: str, after: str, limit: int) -> list[Row]:
    """Return up to `limit` tenants of a kind that were seen and are not dormant, behind an id."""
    statement = sa.select(*_COLUMNS).where(
        tenants.c.kind == kind, _alive, tenants.c.state != EXPECTED, tenants.c.id > after
    )
    rows = connection.execute(statement.order_by(tenants.c.id).limit(limit)).mappings()
    return [dict(row) for row in rows]


def forget_expected(connection: Connection, ids: Sequence[str]) -> None:
    """Delete those of these tenants that nobody has seen and that have no grant any more."""
    granted = sa.exists().where(grants.c.principal_id == tenants.c.id)
    connection.execute(
        sa.delete(tenants).where(tenants.c.id.in_(ids), tenants.c.state == EXPECTED, ~granted)
    )


def named(connection: Connection, text: str, *, dormant: bool = False) -> list[Row]:
    """Return those whom a text names, by slug or exact Hub name: `@user`, otherwise a group.

    The slug of one can be the Hub name of another; then both are returned.

    Args:
        connection: an open transaction.
        text: the name.
        dormant: whether it may also mean somebody who is gone.
    """
    kinds = ("user", "service") if text.startswith("@") else ("group",)
    name = text.removeprefix("@")
    statement = sa.select(*_COLUMNS).where(
        tenants.c.kind.in_(kinds), sa.or_(tenants.c.slug == name, tenants.c.hub_name == name)
    )
    if not dormant:
        statement = statement.where(_alive)
    return [dict(row) for row in connection.execute(statement).mappings()]


def get_many(connection: Connection, ids: Sequence[str]) -> list[Row]:
    """Return the tenants with these ids."""
    rows = connection.execute(sa.select(*_COLUMNS).where(tenants.c.id.in_(ids))).mappings()
    return [dict(row) for row in rows]


def details_of(connection: Connection, ids: Sequence[str]) -> dict[str, RowMapping]:
    """Return all that is known of tenants, by their ids, with `prefix`."""
    statement = sa.select(tenants, prefix_column().label("prefix")).where(tenants.c.id.in_(ids))
    return {row["id"]: row for row in connection.execute(statement).mappings()}


def state_of(connection: Connection, tenant_id: str) -> str | None:
    """Return the state of a tenant."""
    row = _STATE_OF.first(connection, {"asked_id": tenant_id})
    return None if row is None else row["state"]


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


def _slug(
    connection: Connection, kind: str, hub_name: str, reserved: Collection[str], id: str
) -> str:
    taken = _slugs(connection, kind)
    try:
        return mint_slug(hub_name, taken, reserved)
    except ValueError:  # so many had this name before
        return mint_slug(f"{hub_name} {id}", taken, reserved)


def _slugs(connection: Connection, kind: str) -> set[str]:
    # Users and services share the `@`, so they share one space of slugs.
    kinds = ("group",) if kind == "group" else ("user", "service")
    return set(connection.scalars(sa.select(tenants.c.slug).where(tenants.c.kind.in_(kinds))))
