"""Named statements on adapters.

An adapter is `staged` from the moment its files are checked until its job completes, then
`completed`; only completed ones exist for anybody. A deleted one stays as a tombstone, so that its
number never means another.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from functools import lru_cache

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery.adapter_folders import AdapterKind
from adaptery_hub.database import tables
from adaptery_hub.database.prepared import Prepared, Row
from adaptery_hub.database.statements.names import full_name_holds
from adaptery_hub.identity import Identity
from adaptery_hub.permissions import Right, parameters, placeholder, right_of, visible

_adapters = tables.adapters
_tenants = tables.tenants

STAGED = "staged"
COMPLETED = "completed"
DELETED = "deleted"


def adapter_id_of(attempt_id: str) -> str:
    """Returns the id of an attempt's adapter: the same however often it is committed."""
    return f"ad_{attempt_id.partition('_')[2]}"


def _shown(identity: Identity) -> sa.Select[tuple[object, ...]]:
    """Adapters that the caller may use, with the owner's slug and the caller's right."""
    return (
        sa.select(
            _adapters,
            _tenants.c.slug,
            _tenants.c.kind.label("tenant_kind"),
            right_of(_adapters, identity).label("right"),
        )
        .join(_tenants, _tenants.c.id == _adapters.c.tenant_id)
        .where(_adapters.c.state == COMPLETED, visible(_adapters, identity, Right.USE))
    )


def list_usable(
    connection: Connection,
    identity: Identity,
    after: str | None = None,
    limit: int | None = None,
    search: str | None = None,
    kind: AdapterKind | None = None,
) -> list[RowMapping]:
    """Returns adapters that the caller may use, newest first; up to `limit + 1`.

    Args:
        connection: An open transaction.
        identity: The caller.
        after: The last adapter of the page before.
        limit: All, if absent.
        search: What the full name holds, in whatever case.
        kind: Both, if absent.
    """
    statement = _shown(identity).order_by(_adapters.c.id.desc())
    if kind is not None:
        statement = statement.where(_adapters.c.kind == kind)
    if search:
        number = sa.cast(_adapters.c.number, sa.String)
        statement = statement.where(full_name_holds(_adapters.c.name + "@" + number, search))
    if after is not None:
        statement = statement.where(_adapters.c.id < after)
    if limit is not None:
        statement = statement.limit(limit + 1)
    return list(connection.execute(statement).mappings())


def find_usable(
    connection: Connection,
    identity: Identity,
    *,
    adapter_id: str | None = None,
    job_id: str | None = None,
) -> RowMapping | None:
    """Returns the newest adapter with this id, or of this job, that the caller may use."""
    statement = _shown(identity)
    if adapter_id is not None:
        statement = statement.where(_adapters.c.id == adapter_id)
    if job_id is not None:
        statement = statement.where(_adapters.c.job_id == job_id)
    return _newest(connection, statement)


def find_named(
    connection: Connection,
    identity: Identity,
    *,
    name: str,
    slug: str | None,
    group: bool,
    number: int | None,
) -> Row | None:
    """Returns the adapter of this name that the caller may use; the newest one without a number.

    Args:
        connection: An open transaction.
        identity: The caller.
        name: The adapter's name.
        slug: The owner's slug; None means the caller's own.
        group: Whether the slug is a group's.
        number: The version.
    """
    shape = (slug is not None, group, number is not None)
    given = {"asked_name": name, "asked_slug": slug, "asked_number": number}
    if identity.key is not None:
        return connection.execute(_named(identity, *shape), given).mappings().first()
    prepared = _named_by_groups(len(identity.group_tenants), *shape)
    return prepared.first(connection, given | parameters(identity))


@lru_cache(maxsize=512)
def _named_by_groups(groups: int, owned: bool, group: bool, numbered: bool) -> Prepared:
    """Builds the statement of `find_named` once for all who are in so many groups."""
    return Prepared(_named(placeholder(groups), owned, group, numbered))


def _named(
    identity: Identity, owned: bool, group: bool, numbered: bool
) -> sa.Select[tuple[object, ...]]:
    statement = _shown(identity).where(_adapters.c.name == sa.bindparam("asked_name"))
    if owned:
        is_group = _tenants.c.kind == "group"
        statement = statement.where(
            _tenants.c.slug == sa.bindparam("asked_slug"), is_group if group else ~is_group
        )
    else:
        statement = statement.where(_adapters.c.tenant_id == identity.tenant_id)
    if numbered:
        statement = statement.where(_adapters.c.number == sa.bindparam("asked_number"))
    return _newest_first(statement)


def usable_of(
    connection: Connection, identity: Identity, ids: Collection[str]
) -> dict[str, RowMapping]:
    """Returns those of these adapters that the caller may use, by id, with the owner's slug."""
    statement = _shown(identity).where(_adapters.c.id.in_(ids))
    return {row["id"]: row for row in connection.execute(statement).mappings()}


def of_jobs(
    connection: Connection, job_ids: list[str], identity: Identity
) -> dict[str, RowMapping]:
    """Returns the completed adapter of each job that has one, whoever may see it.

    With its owner's slug, and the caller's right: 0 for none.
    """
    statement = (
        sa.select(
            _adapters,
            _tenants.c.slug,
            _tenants.c.kind.label("tenant_kind"),
            right_of(_adapters, identity).label("right"),
        )
        .join(_tenants, _tenants.c.id == _adapters.c.tenant_id)
        .where(_adapters.c.job_id.in_(job_ids), _adapters.c.state == COMPLETED)
    )
    return {row["job_id"]: row for row in connection.execute(statement).mappings()}


def get(connection: Connection, adapter_id: str) -> RowMapping | None:
    """Returns one completed adapter, whoever may see it; for the service's own use."""
    statement = sa.select(_adapters).where(
        _adapters.c.id == adapter_id, _adapters.c.state == COMPLETED
    )
    return connection.execute(statement).mappings().first()


def stage(connection: Connection, values: Mapping[str, object], now: datetime) -> Row:
    """Inserts the staged adapter of a job in place of an earlier attempt's; returns its row."""
    connection.execute(
        _adapters.delete().where(
            _adapters.c.job_id == values["job_id"], _adapters.c.state == STAGED
        )
    )
    same_name = (
        _adapters.c.tenant_id == values["tenant_id"],
        _adapters.c.name == values["name"],
    )
    number = (
        1
        + connection.execute(
            sa.select(sa.func.coalesce(sa.func.max(_adapters.c.number), 0)).where(*same_name)
        ).scalar_one()
    )
    row = {**values, "number": number, "state": STAGED, "created_at": now}
    connection.execute(_adapters.insert().values(row))
    return row


def set_manifest(connection: Connection, adapter_id: str, manifest: str) -> None:
    """Keeps the signed manifest of an adapter."""
    changed = _adapters.update().where(_adapters.c.id == adapter_id)
    connection.execute(changed.values(manifest=manifest))


def staged_of_job(connection: Connection, job_id: str) -> RowMapping | None:
    """Returns the adapter that waits for its job to complete."""
    statement = sa.select(_adapters).where(
        _adapters.c.job_id == job_id, _adapters.c.state == STAGED
    )
    return connection.execute(statement).mappings().first()


def set_state(connection: Connection, adapter_id: str, old: str, new: str) -> bool:
    """Moves an adapter from one state to another; returns False if it was not in the old one."""
    statement = (
        _adapters.update()
        .where(_adapters.c.id == adapter_id, _adapters.c.state == old)
        .values(state=new)
    )
    return connection.execute(statement).rowcount == 1


def set_limits(connection: Connection, adapter_id: str, limits: Mapping[str, int] | None) -> None:
    """Sets what its manager allows to be asked of an adapter."""
    connection.execute(_adapters.update().where(_adapters.c.id == adapter_id).values(limits=limits))


def _newest(connection: Connection, statement: sa.Select[tuple[object, ...]]) -> RowMapping | None:
    return connection.execute(_newest_first(statement)).mappings().first()


def _newest_first(statement: sa.Select[tuple[object, ...]]) -> sa.Select[tuple[object, ...]]:
    return statement.order_by(_adapters.c.number.desc(), _adapters.c.id.desc()).limit(1)
