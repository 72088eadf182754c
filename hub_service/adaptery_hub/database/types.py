"""Column types that mean the same on SQLite and PostgreSQL.

Invariant: a time goes in aware and comes out aware UTC; a naive time is our bug and raises.
"""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

#: Prefix, underscore and 26 characters of a ULID; room for longer prefixes.
ID_LENGTH = 40
#: "sha256:" and 64 hex digits.
DIGEST_LENGTH = 71


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC time with microseconds."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store UTC without an offset; refuse a naive time."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time for the database must be aware")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give back what was stored as aware UTC."""
        return None if value is None else value.replace(tzinfo=UTC)


def Id() -> sa.String:
    """The type of an opaque id."""
    return sa.String(ID_LENGTH)


def Digest() -> sa.String:
    """The type of a digest with its algorithm prefix."""
    return sa.String(DIGEST_LENGTH)
