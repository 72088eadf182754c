"""Statements about operations."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import ConflictError
from adaptery.times import now
from adaptery_hub.database.tables import operations

#: Operations that change nothing: they run beside others.
_READING = frozenset({"preflight"})


def insert(
    connection: Connection, *, operation_id: str, tenant_id: str, kind: str, thing_id: str
) -> None:
    """Insert a running operation.

    Raises:
        ConflictError: another operation is running on this thing.
    """
    statement = sa.select(operations.c.id).where(
        operations.c.thing_id == thing_id,
        operations.c.state == "running",
        operations.c.kind.not_in(_READING),
    )
    if kind not in _READING and connection.scalar(statement) is not None:
        raise ConflictError(
            "An operation is working on this already.", hint="Wait for it, or cancel it."
        )
    moment = now()
    connection.execute(
        sa.insert(operations).values(
            id=operation_id,
            created_at=moment,
            updated_at=moment,
            tenant_id=tenant_id,
            kind=kind,
            thing_id=thing_id,
            state="running",
            done=0,
            total=0,
        )
    )


def finish(connection: Connection, operation_id: str, state: str, **values: Any) -> None:
    """Move a running operation to a final state."""
    connection.execute(
        sa.update(operations)
        .where(operations.c.id == operation_id, operations.c.state == "running")
        .values(state=state, updated_at=now(), **values)
    )


def get(connection: Connection, operation_id: str) -> RowMapping:
    """Return an operation that is known to exist."""
    statement = sa.select(operations).where(operations.c.id == operation_id)
    return connection.execute(statement).mappings().one()


def running(connection: Connection) -> list[RowMapping]:
    """Return every running operation."""
    statement = sa.select(operations).where(operations.c.state == "running")
    return list(connection.execute(statement).mappings())
