"""Usage and the audit, as the service tells of them: counts, names, digests; never content."""

from __future__ import annotations

from typing import Literal

from adaptery.schemas.common import Answer, Instant, JsonObject

__all__ = [
    "AuditRow",
    "UsageDimension",
    "UsageOf",
    "UsageRow",
]

#: What usage is told by. `user` and `owner` (of the adapter) are for administrators.
UsageDimension = Literal[
    "day", "hour", "user", "owner", "key", "adapter", "base_model", "kind", "channel"
]

#: Whose usage: the caller's own, that of the adapters the caller manages, or everyone's.
UsageOf = Literal["mine", "adapters", "everyone"]


class UsageRow(Answer):
    """What some requests cost together; what they are not told apart by is null."""

    #: Where the next page begins; means nothing else.
    id: str
    #: The beginning of the day or hour, in UTC.
    begins_at: Instant | None = None
    user: str | None = None
    #: Who owns the adapter.
    owner: str | None = None
    #: The own key's name and id.
    key: str | None = None
    key_id: str | None = None
    #: The adapter's name (null once the reader may not use it any more) and id.
    adapter: str | None = None
    adapter_id: str | None = None
    base_model: str | None = None
    #: `chat`, `completions`, `embeddings`, ...
    kind: str | None = None
    #: `open` or `sealed`.
    channel: str | None = None
    requests: int
    #: Requests that ended with an error, and those that their caller left.
    errors: int
    cancelled: int
    prompt_tokens: int
    completion_tokens: int


class AuditRow(Answer):
    """One thing that happened, and its place in the chain of the service that wrote it down."""

    id: str
    created_at: Instant
    #: Who did it; null for the service itself.
    actor: str | None
    actor_id: str | None
    action: str
    thing_id: str | None
    details: JsonObject
    request_id: str | None
    writer: str
    seq: int
    prev: str
    row_hash: str
