"""Opaque ids: a prefix that names the kind of thing, and a ULID in lower case.

Ids say nothing but their kind and the moment they were made. They go into broker subjects, object
keys, folder names and engines, where names and slugs never go.

What always holds:
- An id matches `[a-z]{2}_[0-9a-z]{26}`; two ids made by one process are never equal.
- Ids of one process sort by the order in which they were made, also within one millisecond and when
  the clock steps back; lists page by `after=<id>`.

Source: ULID specification, https://github.com/ulid/spec (48 bits of time, 80 random bits).
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

__all__ = ["PREFIXES", "IdMint", "is_id", "made_at", "new_id"]

#: What each prefix names.
PREFIXES = MappingProxyType(
    {
        "tn": "tenant",
        "ds": "dataset",
        "fi": "file",
        "dv": "dataset version",
        "jb": "job",
        "at": "attempt",
        "ad": "adapter",
        "ag": "agent",
        "op": "operation",
        "gr": "grant",
        "ck": "checkpoint",
        "jt": "join token",
        "us": "usage entry",
        "au": "audit entry",
        "rq": "request",
        "ow": "owner of agents",
        "ev": "event",
        "bm": "base model",
        "ak": "key",
        "cs": "collated source",
        "sf": "stored file",
        "er": "erasure",
        "ts": "training speed",
        "qu": "queue",
        "ct": "ClearML task of a job",
    }
)

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford base32, lower case: no i, l, o, u
_RANDOM_BITS = 80
_ULID_CHARACTERS = 26
_ID = re.compile(r"([a-z]{2})_[0-7][0-9a-hjkmnp-tv-z]{25}")


def _encode(value: int) -> str:
    return "".join(_ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class IdMint:
    """Makes ids that never repeat and never go backwards; safe to share between threads."""

    def __init__(
        self,
        now_ms: Callable[[], int] = _now_ms,
        random_bits: Callable[[int], int] = secrets.randbits,
    ) -> None:
        self._now_ms = now_ms
        self._random_bits = random_bits
        self._lock = threading.Lock()
        self._last = 0

    def new(self, prefix: str) -> str:
        """Return a new id.

        Raises:
            ValueError: if no kind of thing has this prefix.
        """
        if prefix not in PREFIXES:
            raise ValueError(f"unknown id prefix {prefix!r}; add it to PREFIXES")
        with self._lock:
            fresh = (self._now_ms() << _RANDOM_BITS) | self._random_bits(_RANDOM_BITS)
            same_moment = fresh >> _RANDOM_BITS <= self._last >> _RANDOM_BITS
            self._last = self._last + 1 if same_moment else fresh
            return f"{prefix}_{_encode(self._last)}"


_mint = IdMint()


def new_id(prefix: str) -> str:
    """Return a new id such as `ds_01j9z3k4m5n6p7q8r9s0t1v2w3`.

    Raises:
        ValueError: if no kind of thing has this prefix.
    """
    return _mint.new(prefix)


def is_id(text: str, prefix: str | None = None) -> bool:
    """Tell whether the text is an id, of the given kind if one is given."""
    match = _ID.fullmatch(text)
    if match is None:
        return False
    return match.group(1) == prefix if prefix is not None else match.group(1) in PREFIXES


def made_at(text: str) -> datetime | None:
    """Return the moment that an id says it was made at; None if it says none."""
    if _ID.fullmatch(text) is None:
        return None
    value = 0
    for character in text[3:]:
        value = value << 5 | _ALPHABET.index(character)
    try:
        return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=value >> _RANDOM_BITS)
    except OverflowError:
        return None
