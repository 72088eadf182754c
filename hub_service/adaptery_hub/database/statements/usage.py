"""Named statements on usage: one row per request that reached an agent. Counts only."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from adaptery_hub.database import tables

_usage = tables.usage


def insert(connection: Connection, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert what requests cost."""
    connection.execute(_usage.insert(), rows)


def known(connection: Connection, ids: Collection[str]) -> set[str]:
    """Return those of these ids that are there already."""
    statement = sa.select(_usage.c.id).where(_usage.c.id.in_(ids))
    return set(connection.execute(statement).scalars())
