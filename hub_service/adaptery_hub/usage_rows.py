"""Rows of usage: what one request cost, on its way through a spool into two tables.

Counts, names, digests and outcomes; never a prompt or an output. Pure: who writes what when is
`usage.UsageLog`'s.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, cast

from adaptery_hub.audit import AuditEntry, Detail


@dataclass(frozen=True)
class UsageEntry:
    """What one request cost, and how it ended: `completed`, `cancelled` or an error code."""

    tenant_id: str
    request_id: str
    model: str
    base_model: str
    adapter_id: str | None
    digests: tuple[str, ...]  # of the weights, and of the datasets that they came from
    agent_id: str | None
    prompt_tokens: int
    completion_tokens: int
    duration_ms: int
    outcome: str
    key_id: str | None = None  # the own key that asked, if one did
    channel: str = "open"  # or sealed
    kind: str = "chat"  # or completions, embeddings, ...
    job_id: str | None = None  # that made the adapter

    @property
    def tokens(self) -> int:
        """All tokens of the request."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True)
class UsageRow:
    """An entry with its time, and with the id that its two rows share but for the prefix."""

    id: str  # a ULID
    at: datetime
    entry: UsageEntry

    @property
    def usage_id(self) -> str:
        """The id of the row in `usage`."""
        return f"us_{self.id}"


def usage_row(row: UsageRow) -> dict[str, object]:
    """Returns the row of `usage`."""
    entry = row.entry
    return {
        "id": row.usage_id,
        "created_at": row.at,
        "tenant_id": entry.tenant_id,
        "adapter_id": entry.adapter_id,
        "base_model": entry.base_model,
        "agent_id": entry.agent_id,
        "key_id": entry.key_id,
        "request_id": entry.request_id,
        "channel": entry.channel,
        "kind": entry.kind,
        "prompt_tokens": entry.prompt_tokens,
        "completion_tokens": entry.completion_tokens,
        "duration_ms": entry.duration_ms,
        "outcome": entry.outcome,
    }


def audit_entry(row: UsageRow) -> AuditEntry:
    """Returns what the audit says: request -> adapter -> job -> digests of weights and datasets."""
    entry = row.entry
    details: dict[str, Detail] = {
        "prompt_tokens": entry.prompt_tokens,
        "completion_tokens": entry.completion_tokens,
        "duration_ms": entry.duration_ms,
        "outcome": entry.outcome,
        "model": entry.model,
        "digests": list(entry.digests),
        "kind": entry.kind,
        "channel": entry.channel,
    }
    for name, value in (("key", entry.key_id), ("job", entry.job_id), ("agent", entry.agent_id)):
        if value is not None:
            details[name] = value
    return AuditEntry(
        "infer",
        entry.tenant_id,
        entry.adapter_id,
        details,
        entry.request_id,
        f"au_{row.id}",
        row.at,
    )


# -- lines of a spool -----------------------------------------------------------------------------

_FIELDS = frozenset(f.name for f in fields(UsageEntry))


def to_line(row: UsageRow) -> bytes:
    """Returns a row as a line."""
    return json.dumps([row.id, row.at.isoformat(), vars(row.entry)]).encode()


def from_lines(lines: Iterable[bytes]) -> list[UsageRow]:
    """Returns the rows of these lines; a line that was cut is left out."""
    return [row for line in lines if (row := _row_of(line)) is not None]


def _row_of(line: bytes) -> UsageRow | None:
    try:
        id, at, values = cast("tuple[str, str, Mapping[str, Any]]", json.loads(line))
        # Of a newer release there may be fields that this one does not know.
        known = {name: value for name, value in values.items() if name in _FIELDS}
        known["digests"] = tuple(known["digests"])
        return UsageRow(id, datetime.fromisoformat(at), UsageEntry(**known))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
