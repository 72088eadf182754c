"""Statements about tenants as administrators see them: names, states and how much there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery_hub.database.statements.names import prefix_column
from adaptery_hub.database.tables import EXISTS, adapters, datasets, jobs, tenants

#: What is counted of each tenant.
COUNTED: Mapping[str, sa.Table] = {"datasets": datasets, "jobs": jobs, "adapters": adapters}


@dataclass(frozen=True)
class TenantFilter:
    """Which tenants someone wants to see."""

    state: str | None = None
    kind: str | None = None
    search: str | None = None  # what the name or the Hub name holds, in whatever case


def list_page(
    connection: Connection, wanted: TenantFilter, after: str | None, limit: int
) -> list[RowMapping]:
    """Return up to `limit` tenants, oldest first, with `prefix`."""
    statement = sa.select(tenants, prefix_column().label("prefix"))
    if wanted.state is not None:
        statement = statement.where(tenants.c.state == wanted.state)
    if wanted.kind is not None:
        statement = statement.where(tenants.c.kind == wanted.kind)
    if wanted.search:
        holds = (
            column.icontains(wanted.search, autoescape=True)
            for column in (prefix_column(), tenants.c.hub_name)
        )
        statement = statement.where(sa.or_(*holds))
    if after is not None:
        statement = statement.where(tenants.c.id > after)
    return list(connection.execute(statement.order_by(tenants.c.id).limit(limit)).mappings())


def counts(connection: Connection, ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return for each of these tenants how many things of each kind it owns."""
    found: dict[str, dict[str, int]] = {id: dict.fromkeys(COUNTED, 0) for id in ids}
    for name, table in COUNTED.items():
        statement = (
            sa.select(table.c.tenant_id, sa.func.count())
            .where(table.c.tenant_id.in_(ids))
            .group_by(table.c.tenant_id)
        )
        if table in EXISTS:
            statement = statement.where(EXISTS[table])
        for tenant_id, count in connection.execute(statement):
            found[tenant_id][name] = count
    return found


def change(connection: Connection, tenant_id: str, values: Mapping[str, int | None]) -> None:
    """Set what an administrator sets for one tenant."""
    if values:
        connection.execute(sa.update(tenants).where(tenants.c.id == tenant_id).values(**values))
