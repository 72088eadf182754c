"""Accounts for inference: one usage row and one audit row per request, in one transaction.

Counts, names, digests and outcomes; never a prompt or an output. What the caller is told about
usage comes from the same counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.engine import Connection

from adaptery.times import Clock, now
from adaptery_hub.audit import AuditEntry, AuditLog
from adaptery_hub.database import Database
from adaptery_hub.database.statements import usage as statements


@dataclass(frozen=True)
class UsageEntry:
    """What one request cost, and how it ended: `completed`, `cancelled` or an error code."""

    tenant_id: str
    request_id: str
    model: str
    base_model: str
    adapter_id: str | None
    digests: tuple[str, ...]  # of the adapter's weights and of the datasets it came from
    agent_id: str | None
    prompt_tokens: int
    completion_tokens: int
    duration_ms: int
    outcome: str
    key_id: str | None = None  # the own key that asked, if one did
    channel: str = "open"  # or sealed
    kind: str = "chat"  # or completions, embeddings, ...
    job_id: str | None = None  # that made the adapter


class UsageLog:
    """Writes usage."""

    def __init__(self, database: Database, audit: AuditLog, clock: Clock = now) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock

    async def add(self, entry: UsageEntry) -> None:
        """Writes what one request cost."""
        await self._database.write(lambda c: self._add(c, entry))

    def _add(self, connection: Connection, entry: UsageEntry) -> None:
        counts = {
            "prompt_tokens": entry.prompt_tokens,
            "completion_tokens": entry.completion_tokens,
            "duration_ms": entry.duration_ms,
            "outcome": entry.outcome,
        }
        row = {
            "tenant_id": entry.tenant_id,
            "adapter_id": entry.adapter_id,
            "base_model": entry.base_model,
            "agent_id": entry.agent_id,
            "key_id": entry.key_id,
            "request_id": entry.request_id,
            "channel": entry.channel,
            "kind": entry.kind,
        }
        statements.insert(connection, {**row, **counts}, self._clock())
        details = {**counts, "model": entry.model, "digests": list(entry.digests)}
        for name, value in (("key", entry.key_id), ("job", entry.job_id)):
            if value is not None:
                details[name] = value
        self._audit.append(
            connection,
            AuditEntry("infer", entry.tenant_id, entry.adapter_id, details, entry.request_id),
        )
