"""Named statements on the audit. Nothing here changes or removes a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery_hub.database import tables

_audit = tables.audit
_tenants = tables.tenants

#: Asked for each row, so it is built once.
_TAIL = (
    sa.select(_audit.c.seq, _audit.c.row_hash)
    .where(_audit.c.writer == sa.bindparam("whose"))
    .order_by(_audit.c.seq.desc())
    .limit(1)
)


@dataclass(frozen=True)
class AuditFilter:
    """Which rows are asked for; None means all."""

    actor_id: str | None = None
    thing_id: str | None = None
    action: str | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None  # not included


def insert(connection: Connection, rows: Sequence[Mapping[str, object]]) -> None:
    """Append rows."""
    connection.execute(_audit.insert(), rows)


def lock(connection: Connection, writer: str) -> None:
    """Let whoever else appends to this chain wait for the end of this transaction."""
    # On SQLite the transaction itself is the lock: each begins IMMEDIATE.
    if connection.dialect.name == "postgresql":
        number = sa.func.hashtext(f"adaptery audit {writer}")
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(number)))


def tail(connection: Connection, writer: str) -> RowMapping | None:
    """Return seq and row_hash of the last row of a writer."""
    return connection.execute(_TAIL, {"whose": writer}).mappings().first()


def writers(connection: Connection) -> list[str]:
    """Return the names of all writers."""
    statement = sa.select(_audit.c.writer).distinct().order_by(_audit.c.writer)
    return list(connection.execute(statement).scalars())


def rows_of(connection: Connection, writer: str, after: int, limit: int) -> list[RowMapping]:
    """Return rows of a writer in order, from the one after row `after`."""
    statement = (
        sa.select(_audit)
        .where(_audit.c.writer == writer, _audit.c.seq > after)
        .order_by(_audit.c.seq)
        .limit(limit)
    )
    return list(connection.execute(statement).mappings())


def list_rows(
    connection: Connection, wanted: AuditFilter, after: str | None, limit: int
) -> list[RowMapping]:
    """Return rows, newest first, up to `limit + 1`, with the actor's kind and slug."""
    statement = (
        sa.select(_audit, _tenants.c.slug, _tenants.c.kind.label("tenant_kind"))
        .outerjoin(_tenants, _tenants.c.id == _audit.c.tenant_id)
        .order_by(_audit.c.id.desc())
        .limit(limit + 1)
    )
    exact = {
        _audit.c.tenant_id: wanted.actor_id,
        _audit.c.thing_id: wanted.thing_id,
        _audit.c.action: wanted.action,
        _audit.c.request_id: wanted.request_id,
    }
    statement = statement.where(*(c == value for c, value in exact.items() if value is not None))
    if wanted.since is not None:
        statement = statement.where(_audit.c.created_at >= wanted.since)
    if wanted.until is not None:
        statement = statement.where(_audit.c.created_at < wanted.until)
    if after is not None:
        statement = statement.where(_audit.c.id < after)
    return list(connection.execute(statement).mappings())
