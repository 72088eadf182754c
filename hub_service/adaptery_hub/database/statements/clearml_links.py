"""Statements about which versions ClearML was told of, and what it was told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery.times import now
from adaptery_hub.database.statements import versions as version_statements
from adaptery_hub.database.statements.names import prefix_column
from adaptery_hub.database.tables import clearml_links, datasets, tenants, versions

#: `pending`: ClearML did not answer, or was not asked yet; `failed`: it said no; both go on.
PENDING, LINKED, FAILED = "pending", "linked", "failed"


def get(connection: Connection, version_id: str) -> RowMapping | None:
    """Return what is known of a version, if it was tried."""
    statement = sa.select(clearml_links).where(clearml_links.c.version_id == version_id)
    return connection.execute(statement).mappings().first()


def due_links(
    connection: Connection, sensitivities: Sequence[str], at: datetime, limit: int
) -> list[RowMapping]:
    """Return versions that ClearML shall be told of now, oldest first: sources before merges."""
    statement = _wanting(sensitivities).where(
        sa.or_(clearml_links.c.id.is_(None), clearml_links.c.next_try_at <= at)
    )
    statement = statement.order_by(versions.c.id).limit(limit)
    return list(connection.execute(statement).mappings())


def count_waiting(connection: Connection, sensitivities: Sequence[str]) -> int:
    """Return how many versions ClearML was not told of yet."""
    statement = sa.select(sa.func.count()).select_from(_wanting(sensitivities).subquery())
    return connection.scalar(statement) or 0


def due_marks(connection: Connection, at: datetime, limit: int) -> list[RowMapping]:
    """Return linked versions of which ClearML does not know yet that they were withdrawn."""
    statement = _versions().where(
        clearml_links.c.state == LINKED,
        clearml_links.c.dataset.is_not(None),
        clearml_links.c.told != versions.c.state,
        clearml_links.c.next_try_at <= at,
    )
    return list(connection.execute(statement.order_by(versions.c.id).limit(limit)).mappings())


def begin(connection: Connection, version_id: str, at: datetime, until: datetime) -> bool:
    """Write down that a version is being told of until then; False: somebody else is at it."""
    statement = sa.update(clearml_links).where(
        clearml_links.c.version_id == version_id, clearml_links.c.next_try_at <= at
    )
    tried = clearml_links.c.attempts + 1
    if connection.execute(statement.values(next_try_at=until, attempts=tried)).rowcount:
        return True
    if get(connection, version_id) is not None:
        return False
    row = {"version_id": version_id, "state": PENDING, "attempts": 1, "next_try_at": until}
    connection.execute(
        sa.insert(clearml_links).values(id=f"{version_id}.clearml", created_at=now(), **row)
    )
    return True


def set_linked(connection: Connection, version_id: str, dataset: str | None, told: str) -> None:
    """Write down that ClearML has a version, in a state; None: somebody deleted it there."""
    known = {"state": LINKED, "dataset": dataset, "told": told, "reason": None}
    _change(connection, version_id, **known, attempts=0, next_try_at=now())


def set_failed(
    connection: Connection, version_id: str, state: str, reason: str, next_try_at: datetime
) -> None:
    """Write down why it did not work; a link that is there stays."""
    kept = sa.case((clearml_links.c.state == LINKED, LINKED), else_=state)
    _change(connection, version_id, state=kept, reason=reason, next_try_at=next_try_at)


def datasets_of(connection: Connection, version_ids: Sequence[str]) -> list[str]:
    """Return the ClearML datasets of those of these versions that have one, in this order."""
    statement = sa.select(clearml_links.c.version_id, clearml_links.c.dataset).where(
        clearml_links.c.version_id.in_(version_ids), clearml_links.c.dataset.is_not(None)
    )
    found = {row.version_id: row.dataset for row in connection.execute(statement)}
    return [found[id] for id in version_ids if id in found]


def tried(connection: Connection, version_ids: Sequence[str]) -> list[RowMapping]:
    """Return those of these versions that ClearML may know of, with what their names need."""
    statement = _versions().where(versions.c.id.in_(version_ids), clearml_links.c.id.is_not(None))
    return list(connection.execute(statement.order_by(versions.c.id)).mappings())


def _change(connection: Connection, version_id: str, **values: Any) -> None:
    statement = sa.update(clearml_links).where(clearml_links.c.version_id == version_id)
    connection.execute(statement.values(**values))


def _wanting(sensitivities: Sequence[str]) -> sa.Select[Any]:
    encrypted = sa.func.coalesce(versions.c.counts["encrypted"].as_boolean(), sa.false())
    statement = _versions().where(
        versions.c.state == version_statements.COMPLETED,
        datasets.c.sensitivity.in_(sensitivities),
        sa.or_(clearml_links.c.id.is_(None), clearml_links.c.state != LINKED),
    )
    if "restricted" not in sensitivities:
        statement = statement.where(sa.not_(encrypted))
    return statement


def _versions() -> sa.Select[Any]:
    columns: list[sa.ColumnElement[Any]] = [
        versions.c.id,
        versions.c.dataset_id,
        versions.c.number,
        versions.c.content_digest,
        versions.c.split_digest,
        versions.c.manifest_digest,
        versions.c.counts,
        versions.c.recipe,
        versions.c.state,
        datasets.c.name.label("dataset_name"),
        prefix_column().label("prefix"),
        clearml_links.c.dataset,
        sa.func.coalesce(clearml_links.c.attempts, 0).label("attempts"),
    ]
    return (
        sa.select(*columns)
        .join_from(versions, datasets, datasets.c.id == versions.c.dataset_id)
        .join(tenants, tenants.c.id == datasets.c.tenant_id)
        .outerjoin(clearml_links, clearml_links.c.version_id == versions.c.id)
    )
