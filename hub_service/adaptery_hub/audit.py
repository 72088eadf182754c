"""The audit: who did what, with which thing, when; one hash chain per writer.

A row is written in the transaction of the change it tells about, so that neither exists without the
other.

Not here: content. Names, digests, sizes and outcomes only; the caller passes nothing else.

Invariants:
- Rows are only ever appended. Row `n` of a writer holds the hash of its row `n - 1`; `GENESIS`
  stands before row 1.
- `row_hash` is the SHA-256 of the canonical JSON of all other fields, so that changing, dropping or
  reordering any row but the last ones shows in `verify`.
- Two processes that claim the same writer name cannot fork a chain: (writer, seq) is unique.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery.canonical import canonical_json
from adaptery.digests import sha256_bytes
from adaptery.errors import IntegrityError
from adaptery.ids import new_id
from adaptery.times import Clock, now, to_text
from adaptery_hub.database import tables

GENESIS = "sha256:" + "0" * 64

Detail = str | int | bool | None | list[str]


@dataclass(frozen=True)
class AuditEntry:
    """One thing that happened; `tenant_id` None means the service itself."""

    action: str
    tenant_id: str | None = None
    thing_id: str | None = None
    details: Mapping[str, Detail] = field(default_factory=dict[str, Detail])
    request_id: str | None = None


class AuditLog:
    """Appends to the chain of one writer."""

    def __init__(self, writer: str, clock: Clock = now) -> None:
        self._writer = writer
        self._clock = clock

    def append(self, connection: Connection, entry: AuditEntry) -> None:
        """Appends one row inside the caller's transaction."""
        seq, prev = self._last(connection)
        row: dict[str, object] = {
            "id": new_id("au"),
            "created_at": self._clock(),
            "writer": self._writer,
            "seq": seq + 1,
            "prev": prev,
            "tenant_id": entry.tenant_id,
            "action": entry.action,
            "thing_id": entry.thing_id,
            "details": dict(entry.details),
            "request_id": entry.request_id,
        }
        row["row_hash"] = row_hash(row)
        connection.execute(tables.audit.insert().values(row))

    def _last(self, connection: Connection) -> tuple[int, str]:
        audit = tables.audit
        statement = (
            sa.select(audit.c.seq, audit.c.row_hash)
            .where(audit.c.writer == self._writer)
            .order_by(audit.c.seq.desc())
            .limit(1)
        )
        last = connection.execute(statement).first()
        return (last.seq, last.row_hash) if last else (0, GENESIS)


def row_hash(row: Mapping[str, object] | RowMapping) -> str:
    """Returns the hash that a row must carry."""
    created_at = row["created_at"]
    assert isinstance(created_at, datetime)
    hashed = {name: row[name] for name in row if name not in ("row_hash", "created_at")}
    return sha256_bytes(canonical_json({**hashed, "created_at": to_text(created_at)}))


def verify(rows: Iterable[RowMapping]) -> None:
    """Checks the chain of one writer, rows in order.

    Raises:
        IntegrityError: A row was changed, dropped, added or moved; names its number.
    """
    prev = GENESIS
    for expected, row in enumerate(rows, start=1):
        if row["seq"] != expected or row["prev"] != prev or row["row_hash"] != row_hash(row):
            raise IntegrityError(f"The audit chain breaks at row {expected}.")
        prev = row["row_hash"]
