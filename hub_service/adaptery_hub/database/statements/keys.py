"""Named statements on own keys and on the tokens that their running requests may still make.

Secrets are not here: only hashes, and those leave by no list.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery.ids import new_id
from adaptery_hub.database import tables

_keys = tables.keys
_tenants = tables.tenants
_usage = tables.usage
_reservations = tables.reservations


def _with_owner() -> sa.Select[tuple[object, ...]]:
    return sa.select(_keys, _tenants.c.slug, _tenants.c.hub_name, _tenants.c.hub_created_at).join(
        _tenants, _tenants.c.id == _keys.c.tenant_id
    )


def insert(connection: Connection, values: Mapping[str, object], moment: datetime) -> str:
    """Insert a key and return its id."""
    key_id = new_id("ak")
    connection.execute(_keys.insert().values(id=key_id, created_at=moment, **values))
    return key_id


def by_hash(connection: Connection, secret_hash: str, moment: datetime) -> RowMapping | None:
    """Return the key in force that has this secret, with its owner's names."""
    in_force = (_keys.c.revoked_at.is_(None), _keys.c.expires_at > moment)
    current = _with_owner().where(_keys.c.secret_hash == secret_hash, *in_force)
    # Two look-ups, each in a unique index; one with OR might read the table.
    old = _with_owner().where(
        _keys.c.old_secret_hash == secret_hash, _keys.c.old_secret_until > moment, *in_force
    )
    found = connection.execute(current).mappings().first()
    return found or connection.execute(old).mappings().first()


def get(connection: Connection, key_id: str, tenant_id: str | None) -> RowMapping | None:
    """Return one key, of this owner if one is given."""
    statement = _with_owner().where(_keys.c.id == key_id)
    if tenant_id is not None:
        statement = statement.where(_keys.c.tenant_id == tenant_id)
    return connection.execute(statement).mappings().first()


def list_keys(
    connection: Connection, tenant_id: str | None, after: str | None, limit: int
) -> list[RowMapping]:
    """Return keys, newest first, up to `limit + 1`; of this owner if one is given."""
    statement = _with_owner().order_by(_keys.c.id.desc()).limit(limit + 1)
    if tenant_id is not None:
        statement = statement.where(_keys.c.tenant_id == tenant_id)
    if after is not None:
        statement = statement.where(_keys.c.id < after)
    return list(connection.execute(statement).mappings())


def count_in_force(connection: Connection, tenant_id: str, moment: datetime) -> int:
    """Return how many keys of this owner have not ended."""
    statement = sa.select(sa.func.count(_keys.c.id)).where(
        _keys.c.tenant_id == tenant_id, _keys.c.revoked_at.is_(None), _keys.c.expires_at > moment
    )
    return connection.execute(statement).scalar_one()


def rotate(
    connection: Connection,
    key_id: str,
    secret_hash: str,
    prefix: str,
    old_until: datetime | None,
) -> None:
    """Give a key a new secret; the present one works until `old_until`, the one before it ends."""
    # SET reads the row as it was: the old hash is the one that is replaced in the same statement.
    old = _keys.c.secret_hash if old_until is not None else sa.null()
    values = {"secret_hash": secret_hash, "prefix": prefix}
    connection.execute(
        _keys.update()
        .where(_keys.c.id == key_id)
        .values(old_secret_hash=old, old_secret_until=old_until, **values)
    )


def revoke(connection: Connection, key_id: str, moment: datetime) -> bool:
    """End a key; return whether it was in force until now."""
    statement = (
        _keys.update()
        .where(_keys.c.id == key_id, _keys.c.revoked_at.is_(None))
        .values(revoked_at=moment)
    )
    return connection.execute(statement).rowcount == 1


def note_use(connection: Connection, key_id: str, moment: datetime, before: datetime) -> None:
    """Write down that a key was used, unless that was written after `before`."""
    last = _keys.c.last_used_at
    connection.execute(
        _keys.update()
        .where(_keys.c.id == key_id, sa.or_(last.is_(None), last < before))
        .values(last_used_at=moment)
    )


# -- tokens -------------------------------------------------------------------------------------


def spent_since(connection: Connection, key_id: str, since: datetime) -> int:
    """Return the tokens that ended requests of a key cost since then."""
    tokens = _usage.c.prompt_tokens + _usage.c.completion_tokens
    statement = sa.select(sa.func.coalesce(sa.func.sum(tokens), 0)).where(
        _usage.c.key_id == key_id, _usage.c.created_at >= since
    )
    return int(connection.execute(statement).scalar_one())


def spent_by_each(
    connection: Connection, key_ids: Collection[str], since: datetime
) -> dict[str, int]:
    """Return the same for each of these keys that cost something."""
    tokens = _usage.c.prompt_tokens + _usage.c.completion_tokens
    statement = (
        sa.select(_usage.c.key_id, sa.func.sum(tokens))
        .where(_usage.c.key_id.in_(key_ids), _usage.c.created_at >= since)
        .group_by(_usage.c.key_id)
    )
    return {key_id: int(spent) for key_id, spent in connection.execute(statement)}


def reserved_since(connection: Connection, key_id: str, since: datetime) -> int:
    """Return the tokens that requests of a key, begun since then and running, may still make."""
    statement = sa.select(sa.func.coalesce(sa.func.sum(_reservations.c.tokens), 0)).where(
        _reservations.c.key_id == key_id, _reservations.c.created_at >= since
    )
    return int(connection.execute(statement).scalar_one())


def lock(connection: Connection, key_id: str) -> None:
    """Let whoever else locks this key wait for the end of this transaction."""
    connection.execute(sa.select(_keys.c.id).where(_keys.c.id == key_id).with_for_update())


def reserve(
    connection: Connection, request_id: str, key_id: str, tokens: int, moment: datetime
) -> None:
    """Reserve tokens for a request."""
    values = {"id": request_id, "created_at": moment, "key_id": key_id, "tokens": tokens}
    connection.execute(_reservations.insert().values(**values))


def release(connection: Connection, request_id: str, ended_before: datetime) -> None:
    """Give back what a request has reserved, and what crashes left behind before `ended_before`."""
    over = sa.or_(_reservations.c.id == request_id, _reservations.c.created_at < ended_before)
    connection.execute(_reservations.delete().where(over))
