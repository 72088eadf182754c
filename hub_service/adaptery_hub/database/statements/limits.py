"""Named statements on the tokens of a day: what answers cost, and what running ones may still."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from adaptery_hub.database import tables

_adapters = tables.adapters
_running = tables.running_answers
_usage = tables.usage

#: Whose tokens they are: who asks, who owns the adapter, the adapter.
Kind = Literal["user", "owner", "adapter"]


def lock(connection: Connection, tenant_ids: Collection[str]) -> None:
    """Let whoever else counts for these tenants wait for the end of this transaction."""
    tenants = tables.tenants.c.id
    # In one order, so that two who count for the same ones never wait for each other.
    statement = sa.select(tenants).where(tenants.in_(tenant_ids)).order_by(tenants)
    connection.execute(statement.with_for_update())


def spent_since(connection: Connection, kind: Kind, holder_id: str, since: datetime) -> int:
    """Return the tokens that ended answers cost since then."""
    tokens = _usage.c.prompt_tokens + _usage.c.completion_tokens
    statement = sa.select(sa.func.coalesce(sa.func.sum(tokens), 0)).where(
        _usage.c.created_at >= since
    )
    if kind == "user":
        statement = statement.where(_usage.c.tenant_id == holder_id)
    elif kind == "adapter":
        statement = statement.where(_usage.c.adapter_id == holder_id)
    else:
        owned = sa.select(_adapters.c.id).where(_adapters.c.tenant_id == holder_id)
        statement = statement.where(_usage.c.adapter_id.in_(owned))
    return int(connection.execute(statement).scalar_one())


def adapters_of(connection: Connection, owner_id: str) -> list[str]:
    """Return the ids of a tenant's adapters."""
    statement = sa.select(_adapters.c.id).where(_adapters.c.tenant_id == owner_id)
    return list(connection.scalars(statement))


def running_since(connection: Connection, kind: Kind, holder_id: str, since: datetime) -> int:
    """Return the tokens that answers, begun since then and running, may still make."""
    column = {
        "user": _running.c.tenant_id,
        "owner": _running.c.owner_id,
        "adapter": _running.c.adapter_id,
    }[kind]
    statement = sa.select(sa.func.coalesce(sa.func.sum(_running.c.tokens), 0)).where(
        column == holder_id, _running.c.created_at >= since
    )
    return int(connection.execute(statement).scalar_one())


def begin(
    connection: Connection,
    request_id: str,
    moment: datetime,
    *,
    tenant_id: str,
    owner_id: str | None,
    adapter_id: str | None,
    tokens: int,
) -> None:
    """Note what an answer may make."""
    whose = {"tenant_id": tenant_id, "owner_id": owner_id, "adapter_id": adapter_id}
    values = {"id": request_id, "created_at": moment, "tokens": tokens, **whose}
    connection.execute(_running.insert().values(**values))


def end(connection: Connection, request_id: str, ended_before: datetime) -> None:
    """Forget an answer that has ended, and what crashes left behind before `ended_before`."""
    over = sa.or_(_running.c.id == request_id, _running.c.created_at < ended_before)
    connection.execute(_running.delete().where(over))
