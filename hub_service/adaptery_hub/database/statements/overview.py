"""Statements of the service's own page: the newest things that the caller may see."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery_hub.database.statements.names import prefix_column
from adaptery_hub.database.tables import adapters, datasets, jobs, tenants
from adaptery_hub.identity import Identity
from adaptery_hub.permissions import Right, visible


def newest(
    connection: Connection, table: sa.Table, identity: Identity, right: Right, limit: int
) -> list[RowMapping]:
    """Return the newest rows of `table` that the caller has `right` on, with their `prefix`."""
    assert table in (datasets, jobs, adapters)
    statement = (
        sa.select(table, prefix_column().label("prefix"))
        .join_from(table, tenants, tenants.c.id == table.c.tenant_id)
        .where(visible(table, identity, right))
        .order_by(table.c.id.desc())
        .limit(limit)
    )
    return list(connection.execute(statement).mappings())
