"""How numbers, sizes and times are written for a reader."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import cast

from adaptery.terminal import printable

__all__ = ["count_of", "duration", "printable", "size_of", "time_left", "written"]

NOTHING = "-"
TEXT_LIMIT = 120  # characters of one cell


def size_of(count: float) -> str:
    """Return a number of bytes in decimal units."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} GB"


def count_of(count: int, noun: str) -> str:
    """Return how many there are of something."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def written(value: object) -> str:
    """Return a value as it stands in a table."""
    match value:
        case list() | tuple():
            return written(", ".join(map(str, cast("Sequence[object]", value))))
        case None | "":
            return NOTHING
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M} UTC"
        case _:
            text = str(value)
            return text if len(text) <= TEXT_LIMIT else f"{text[: TEXT_LIMIT - 1]}…"


def time_left(seconds: float) -> str:
    """Return about how long something goes on."""
    return f"about {duration(seconds)} left"


def duration(seconds: float) -> str:
    """Return a time in its largest fitting unit."""
    for unit, length in (("hour", 3600), ("minute", 60), ("second", 1)):
        count = round(seconds / length)
        if count >= 2 or unit == "second":
            return f"{max(count, 1)} {unit}{'' if count <= 1 else 's'}"
    raise AssertionError("unreachable")
