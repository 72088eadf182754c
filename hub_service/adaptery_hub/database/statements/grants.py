"""Statements about grants.

Whoever was named in a grant and was never seen is a tenant only for as long as the grant lasts.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import QuotaError
from adaptery.ids import new_id
from adaptery.times import now
from adaptery_hub.database.statements.names import prefix_column
from adaptery_hub.database.statements.tenants import forget_expected
from adaptery_hub.database.tables import grants, tenants

#: Grants on one thing. For more people than this there are groups.
GRANTS_PER_THING = 200
#: Grants that stand and were given by one user, on whatever things.
GRANTS_PER_CREATOR = 2_000


def list_page(
    connection: Connection, thing_id: str, after: str | None, limit: int
) -> list[RowMapping]:
    """Return up to `limit` grants on a thing, oldest first."""
    statement = _select().where(grants.c.thing_id == thing_id)
    if after is not None:
        statement = statement.where(grants.c.id > after)
    return list(connection.execute(statement.order_by(grants.c.id).limit(limit)).mappings())


def find(connection: Connection, thing_id: str, principal_id: str) -> RowMapping | None:
    """Return the grant that a tenant has on a thing."""
    statement = _select().where(
        grants.c.thing_id == thing_id, grants.c.principal_id == principal_id
    )
    return connection.execute(statement).mappings().first()


def put(
    connection: Connection, thing_id: str, principal_id: str, right: int, creator_id: str
) -> RowMapping:
    """Give a right, in place of the one that was granted before, and return the grant.

    Raises:
        QuotaError: there are too many grants on this thing, or by this creator.
    """
    values = {"right": right, "creator_id": creator_id}
    one = (grants.c.thing_id == thing_id, grants.c.principal_id == principal_id)
    if connection.execute(sa.update(grants).where(*one).values(**values)).rowcount == 0:
        _check_room(connection, thing_id, creator_id)
        made = {"id": new_id("gr"), "created_at": now()}
        whose = {"thing_id": thing_id, "principal_id": principal_id}
        connection.execute(sa.insert(grants).values(**made, **whose, **values))
    return connection.execute(_select().where(*one)).mappings().one()


def remove(connection: Connection, grant: RowMapping) -> None:
    """Take a right away."""
    connection.execute(sa.delete(grants).where(grants.c.id == grant["id"]))
    forget_expected(connection, [grant["principal_id"]])


def remove_all(connection: Connection, thing_id: str) -> None:
    """Take away every right that was given on a thing, because the thing goes."""
    statement = sa.select(grants.c.principal_id).where(grants.c.thing_id == thing_id)
    principals = list(connection.scalars(statement))
    connection.execute(sa.delete(grants).where(grants.c.thing_id == thing_id))
    forget_expected(connection, principals)


def _check_room(connection: Connection, thing_id: str, creator_id: str) -> None:
    count = sa.select(sa.func.count()).select_from(grants)
    on_thing = connection.scalar(count.where(grants.c.thing_id == thing_id)) or 0
    if on_thing >= GRANTS_PER_THING:
        raise QuotaError(
            f"This is shared with {on_thing} users and groups; {GRANTS_PER_THING} is the limit.",
            hint="Share it with a group instead.",
        )
    given = connection.scalar(count.where(grants.c.creator_id == creator_id)) or 0
    if given >= GRANTS_PER_CREATOR:
        raise QuotaError(
            f"You have given {given} grants; {GRANTS_PER_CREATOR} is the limit.",
            hint="Remove some, or share with groups instead.",
        )


def _select() -> sa.Select[tuple[object, ...]]:
    creators = tenants.alias("creators")
    by = sa.select("@" + creators.c.slug).where(creators.c.id == grants.c.creator_id)
    return sa.select(
        grants,
        prefix_column().label("prefix"),
        tenants.c.kind,
        by.scalar_subquery().label("by"),  # only users and services give grants
    ).join_from(grants, tenants, tenants.c.id == grants.c.principal_id)
