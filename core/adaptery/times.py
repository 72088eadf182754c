"""Times: always aware, always UTC, RFC 3339 with milliseconds and `Z` on the wire.

Naive times are refused everywhere. Code that must be tested against time takes a `Clock`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

__all__ = ["Clock", "from_text", "now", "to_text"]

#: Something that tells the time; tests pass their own.
Clock = Callable[[], datetime]


def now() -> datetime:
    """Return the present moment, aware and in UTC."""
    return datetime.now(UTC)


def to_text(moment: datetime) -> str:
    """Return the moment as `2026-01-02T03:04:05.678Z`.

    Raises:
        ValueError: if the moment is naive.
    """
    if moment.tzinfo is None:
        raise ValueError("a naive time has no place here; use adaptery.times.now()")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_text(text: str) -> datetime:
    """Return the moment that an RFC 3339 text names, in UTC.

    Raises:
        ValueError: if the text is no time or names no offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("the time names no offset; end it with Z")
    return moment.astimezone(UTC)
