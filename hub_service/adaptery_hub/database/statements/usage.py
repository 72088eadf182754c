"""Named statements on usage: one row per request that reached an agent. Counts only."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery_hub.database import tables
from adaptery_hub.identity import Identity
from adaptery_hub.permissions import Right, visible

_usage = tables.usage
_adapters = tables.adapters
_keys = tables.keys
_tenants = tables.tenants


def insert(connection: Connection, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert what requests cost."""
    connection.execute(_usage.insert(), rows)


def known(connection: Connection, ids: Collection[str]) -> set[str]:
    """Return those of these ids that are there already."""
    statement = sa.select(_usage.c.id).where(_usage.c.id.in_(ids))
    return set(connection.execute(statement).scalars())


# -- what it comes to ----------------------------------------------------------------------------

#: How an answer ends that is no error.
COMPLETED, CANCELLED = "completed", "cancelled"

#: Times are texts of one form on SQLite, and become them on PostgreSQL.
_moment = sa.cast(_usage.c.created_at, sa.String)


def _beginning(example: str) -> sa.ColumnElement[str]:
    # Numbers and texts in groups are written out: PostgreSQL takes an expression with parameters
    # for another one than the same with the same parameters elsewhere in the statement.
    length = sa.literal_column(str(len(example)))
    return sa.func.substr(_moment, sa.literal_column("1"), length)


def _or_none(column: sa.Column[str]) -> sa.ColumnElement[str]:
    return sa.func.coalesce(column, sa.literal_column("''"))


#: What rows are told apart by, in the order in which they are sorted; "" stands for none.
DIMENSIONS: Mapping[str, sa.ColumnElement[str]] = {
    "day": _beginning("2026-01-02"),
    "hour": _beginning("2026-01-02 03"),
    "user": _usage.c.tenant_id,
    "owner": _or_none(_adapters.c.tenant_id),
    "key": _or_none(_usage.c.key_id),
    "adapter": _or_none(_usage.c.adapter_id),
    "base_model": _or_none(_usage.c.base_model),
    "kind": _or_none(_usage.c.kind),
    "channel": _usage.c.channel,
}


@dataclass(frozen=True)
class UsageFilter:
    """Which rows are summed up; None means all."""

    since: datetime
    until: datetime  # not included
    tenant_id: str | None = None
    managed_by: Identity | None = None  # of adapters that this caller manages
    adapter_id: str | None = None
    key_id: str | None = None


def summed(
    connection: Connection,
    wanted: UsageFilter,
    by: Sequence[str],
    after: Sequence[str] | None,
    limit: int,
) -> list[RowMapping]:
    """Return what requests cost together, in order of what they are told apart by.

    Args:
        connection: an open transaction.
        wanted: which requests.
        by: names of `DIMENSIONS`, in their order; none at all makes one row.
        after: the values of the last row of the page before.
        limit: rows to return; one more says that there are more.
    """
    groups = [DIMENSIONS[name] for name in by]
    statement = sa.select(
        *(group.label(name) for name, group in zip(by, groups, strict=True)), *_sums()
    ).where(*_conditions(wanted))
    if "owner" in by:
        joined = _usage.outerjoin(_adapters, _adapters.c.id == _usage.c.adapter_id)
        statement = statement.select_from(joined)
    if after is not None:
        statement = statement.where(sa.tuple_(*groups) > sa.tuple_(*map(sa.literal, after)))
    statement = statement.group_by(*groups).order_by(*groups).limit(limit + 1)
    return list(connection.execute(statement).mappings())


def _sums() -> list[sa.Label[int]]:
    outcome = _usage.c.outcome
    error = sa.case((outcome.in_((COMPLETED, CANCELLED)), 0), else_=1)
    left = sa.case((outcome == CANCELLED, 1), else_=0)
    zero = sa.func.coalesce
    return [
        sa.func.count(_usage.c.id).label("requests"),
        zero(sa.func.sum(error), 0).label("errors"),
        zero(sa.func.sum(left), 0).label("cancelled"),
        zero(sa.func.sum(_usage.c.prompt_tokens), 0).label("prompt_tokens"),
        zero(sa.func.sum(_usage.c.completion_tokens), 0).label("completion_tokens"),
    ]


def _conditions(wanted: UsageFilter) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = [
        _usage.c.created_at >= wanted.since,
        _usage.c.created_at < wanted.until,
    ]
    exact = {
        _usage.c.tenant_id: wanted.tenant_id,
        _usage.c.adapter_id: wanted.adapter_id,
        _usage.c.key_id: wanted.key_id,
    }
    conditions += [column == value for column, value in exact.items() if value is not None]
    if wanted.managed_by is not None:
        managed = visible(_adapters, wanted.managed_by, Right.MANAGE)
        conditions.append(_usage.c.adapter_id.in_(sa.select(_adapters.c.id).where(managed)))
    return conditions


# -- names ----------------------------------------------------------------------------------------


def adapters_named(
    connection: Connection, reader: Identity | None, ids: Collection[str]
) -> list[RowMapping]:
    """Return id, name, number and owner of adapters that the reader may use; of all, to None."""
    statement = (
        sa.select(
            _adapters.c.id,
            _adapters.c.name,
            _adapters.c.number,
            _tenants.c.slug,
            _tenants.c.kind.label("tenant_kind"),
        )
        .join(_tenants, _tenants.c.id == _adapters.c.tenant_id)
        .where(_adapters.c.id.in_(ids))
    )
    if reader is not None:
        statement = statement.where(visible(_adapters, reader, Right.USE))
    return list(connection.execute(statement).mappings())


def keys_named(
    connection: Connection, reader: Identity | None, ids: Collection[str]
) -> dict[str, str]:
    """Return the names of the reader's keys, by id; of all, to None."""
    statement = sa.select(_keys.c.id, _keys.c.name).where(_keys.c.id.in_(ids))
    if reader is not None:
        statement = statement.where(_keys.c.tenant_id == reader.tenant_id)
    return {row.id: row.name for row in connection.execute(statement)}


def tenants_named(connection: Connection, ids: Collection[str]) -> list[RowMapping]:
    """Return id, kind and slug of tenants."""
    statement = sa.select(_tenants.c.id, _tenants.c.kind, _tenants.c.slug)
    return list(connection.execute(statement.where(_tenants.c.id.in_(ids))).mappings())
