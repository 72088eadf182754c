"""Named statements on base models: which weights a name is bound to.

A name is bound once, by the administrator's pin or by the first agent that reports it; the earliest
row is the binding, and an agent with other weights under that name is not eligible.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery.ids import new_id
from adaptery_hub.database import tables

_models = tables.base_models


def bindings(connection: Connection) -> list[RowMapping]:
    """Returns all rows, the binding one of each name first."""
    statement = sa.select(_models).order_by(_models.c.name, _models.c.id)
    return list(connection.execute(statement).mappings())


def bound_digest(connection: Connection, name: str) -> str | None:
    """Returns the digest that a name is bound to; None if it is not bound yet."""
    statement = (
        sa.select(_models.c.weight_digest)
        .where(_models.c.name == name)
        .order_by(_models.c.id)
        .limit(1)
    )
    return connection.execute(statement).scalar_one_or_none()


def bind(connection: Connection, name: str, weight_digest: str, source: str, now: datetime) -> None:
    """Binds a name that is not bound yet."""
    connection.execute(
        _models.insert().values(
            id=new_id("bm"),
            created_at=now,
            updated_at=now,
            name=name,
            weight_digest=weight_digest,
            source=source,
            capabilities={},
        )
    )


def unbind(connection: Connection, name: str) -> None:
    """Removes the binding of a name, for an administrator's new pin."""
    connection.execute(_models.delete().where(_models.c.name == name))
