"""Reads server-sent events.

Source: WHATWG HTML, section 9.2.6 "Interpreting an event stream".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

__all__ = ["Event", "read_events"]


@dataclass(frozen=True)
class Event:
    """One event; `id` is the last one that was sent, as the standard has it."""

    data: str
    kind: str = "message"
    id: str | None = None


def read_events(lines: Iterable[str]) -> Iterator[Event]:
    """Yield the events of a stream; one that is cut off before its empty line is not yielded."""
    data: list[str] = []
    kind, last_id = "message", None
    for line in lines:
        if not line:
            if data:
                yield Event("\n".join(data), kind, last_id)
            data, kind = [], "message"
            continue
        name, _, value = line.partition(":")  # a comment has an empty name
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name == "event":
            kind = value
        elif name == "id":
            last_id = value
