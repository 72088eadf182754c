"""The audit: who did what, with which thing, when; one hash chain per writer.

A row about a change is written in the transaction of the change, so that neither exists without the
other. Rows about answers come by the batch, in the transaction of their usage (`usage.UsageLog`).
Both extend the same chain, in the order in which they are committed; `created_at` is when the thing
happened.

Not here: content. Names, digests, sizes and outcomes only; the caller passes nothing else.

Invariants:
- Rows are only ever appended. Row `n` of a writer holds the hash of its row `n - 1`; `GENESIS`
  stands before row 1.
- `row_hash` is the SHA-256 of the canonical JSON of all other fields, so that changing, dropping or
  reordering any row but the last ones shows in `verify`. Whether the last ones are all there shows
  against a tail that was noted elsewhere.
- Each append reads the tail inside its own transaction, which no other may enter meanwhile, so two
  processes that claim the same writer name extend one chain and cannot fork it; (writer, seq) is
  unique besides.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

from sqlalchemy.engine import Connection, RowMapping

from adaptery.canonical import SAFE_INTEGER, canonical_json
from adaptery.digests import sha256_bytes
from adaptery.errors import IntegrityError
from adaptery.ids import new_id
from adaptery.times import Clock, now, to_text
from adaptery_hub.database.statements import audit as statements

GENESIS = "sha256:" + "0" * 64

#: What the hash of a row is made over, besides `created_at`.
_HASHED = (
    *("id", "writer", "seq", "prev"),
    *("tenant_id", "action", "thing_id", "details", "request_id"),
)
#: Rows that are held in memory while a chain is checked.
VERIFIED_ROWS = 1000

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)

Detail = str | int | bool | None | list[str]


@dataclass(frozen=True)
class AuditEntry:
    """One thing that happened; `tenant_id` None means the service itself."""

    action: str
    tenant_id: str | None = None
    thing_id: str | None = None
    details: Mapping[str, Detail] = field(default_factory=dict[str, Detail])
    request_id: str | None = None
    id: str | None = None  # made when it is written, if absent
    at: datetime | None = None  # when it happened, if not just now


@dataclass(frozen=True)
class Tail:
    """Where a chain ends."""

    seq: int = 0
    row_hash: str = GENESIS


class AuditLog:
    """Appends to the chain of one writer."""

    def __init__(self, writer: str, clock: Clock = now) -> None:
        self.writer = writer
        self._clock = clock

    def append(self, connection: Connection, entry: AuditEntry) -> None:
        """Appends one row inside the caller's transaction."""
        self.append_all(connection, [entry])

    def append_all(self, connection: Connection, entries: Sequence[AuditEntry]) -> None:
        """Appends rows in this order inside the caller's transaction."""
        if not entries:
            return
        statements.lock(connection, self.writer)
        tail = self.tail(connection)
        rows: list[dict[str, object]] = []
        for entry in entries:
            row = self._row(tail, entry)
            tail = Tail(tail.seq + 1, row_hash(row))
            rows.append({**row, "row_hash": tail.row_hash})
        statements.insert(connection, rows)

    def tail(self, connection: Connection) -> Tail:
        """Returns where the chain ends now."""
        last = statements.tail(connection, self.writer)
        return Tail(last["seq"], last["row_hash"]) if last is not None else Tail()

    def _row(self, tail: Tail, entry: AuditEntry) -> dict[str, object]:
        return {
            "id": entry.id or new_id("au"),
            "created_at": entry.at or self._clock(),
            "writer": self.writer,
            "seq": tail.seq + 1,
            "prev": tail.row_hash,
            "tenant_id": entry.tenant_id,
            "action": entry.action,
            "thing_id": entry.thing_id,
            "details": dict(entry.details),
            "request_id": entry.request_id,
        }


def row_hash(row: Mapping[str, object] | RowMapping) -> str:
    """Returns the hash that a row must carry."""
    created_at = row["created_at"]
    assert isinstance(created_at, datetime)
    hashed = {name: row[name] for name in _HASHED}
    hashed["created_at"] = to_text(created_at)
    return sha256_bytes(_canonical(hashed))


def verify(rows: Iterable[RowMapping], tail: Tail | None = None) -> Tail:
    """Checks rows of one writer, in order, and returns where they end.

    Args:
        rows: From the one after `tail`.
        tail: Where the rows before them ended; the beginning of the chain, if absent.

    Raises:
        IntegrityError: A row was changed, dropped, added or moved; names its number.
    """
    tail = tail or Tail()
    for row in rows:
        if reason := _broken(row, tail):
            raise IntegrityError(f"The audit chain breaks at row {tail.seq + 1}: {reason}.")
        tail = Tail(row["seq"], row["row_hash"])
    return tail


def verify_writer(connection: Connection, writer: str) -> Iterator[Tail]:
    """Checks the whole chain of one writer, some rows at a time; yields where each of them end.

    Raises:
        IntegrityError: As `verify`.
    """
    tail = Tail()
    while True:
        try:
            rows = statements.rows_of(connection, writer, tail.seq, VERIFIED_ROWS)
        except (ValueError, TypeError):  # a time or a JSON text that is none
            reason = f"a row after row {tail.seq} was changed, and can no longer be read"
            raise IntegrityError(f"The audit chain breaks: {reason}.") from None
        if not rows:
            return
        tail = verify(rows, tail)
        yield tail


def _broken(row: RowMapping, tail: Tail) -> str | None:
    if row["seq"] != tail.seq + 1:
        return f"the next row that is there is row {row['seq']}"
    if row["prev"] != tail.row_hash:
        return "it does not continue the row before it"
    try:
        same = row["row_hash"] == row_hash(row)
    except (ValueError, TypeError):  # what was put there has no canonical form
        same = False
    return None if same else "it was changed"


def _canonical(row: Mapping[str, object]) -> bytes:
    """Returns the canonical JSON of a row: what `canonical_json` does, ten times as fast for most.

    Plain ASCII text has one normal form and one order, and whole numbers have one spelling.
    """
    if all(map(_is_plain, cast("Mapping[str, object]", row["details"]).values())):
        text = _ENCODER.encode(row)
        if text.isascii():
            return text.encode()
    return canonical_json(row)


def _is_plain(value: object) -> bool:
    if isinstance(value, int):
        return abs(value) <= SAFE_INTEGER
    if isinstance(value, list):
        return all(isinstance(item, str) for item in cast("list[object]", value))
    return value is None or isinstance(value, str)
