"""Usage and the audit, as the service tells of them: counts, names, digests; never content."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from adaptery.schemas.common import Answer, Instant, JsonObject

__all__ = [
    "AuditRow",
    "UsageDimension",
    "UsageOf",
    "UsageRow",
    "told_by",
    "usage_columns",
]

#: What usage is told by. `user` and `owner` (of the adapter) are for administrators.
UsageDimension = Literal[
    "day", "hour", "user", "owner", "key", "adapter", "base_model", "kind", "channel"
]

#: Whose usage: the caller's own, that of the adapters the caller manages, or everyone's.
UsageOf = Literal["mine", "adapters", "everyone"]

#: The fields of a row that each dimension fills; sorted, and shown, in this order.
USAGE_FIELDS: Mapping[str, tuple[str, ...]] = {
    "day": ("begins_at",),
    "hour": ("begins_at",),
    "user": ("user",),
    "owner": ("owner",),
    "key": ("key", "key_id"),
    "adapter": ("adapter", "adapter_id"),
    "base_model": ("base_model",),
    "kind": ("kind",),
    "channel": ("channel",),
}
USAGE_SUMS = ("requests", "errors", "cancelled", "prompt_tokens", "completion_tokens")


def told_by(asked: Iterable[str]) -> tuple[str, ...]:
    """Return what rows are told apart by, in order, if these dimensions are asked for.

    Hours are parts of days. Each adapter has one base model; what answered without an adapter is
    told by it.
    """
    names = set(asked)
    if "hour" in names:
        names.discard("day")
    if "adapter" in names:
        names.add("base_model")
    return tuple(name for name in USAGE_FIELDS if name in names)


def usage_columns(by: Iterable[str]) -> list[str]:
    """Return the fields of a row that tell something, in order, by what they are told apart."""
    return [*(field for name in told_by(by) for field in USAGE_FIELDS[name]), *USAGE_SUMS]


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
