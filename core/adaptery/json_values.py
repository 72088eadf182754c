"""How many values a JSON text holds, told before anything is made of them.

A text of four megabytes can hold two million of them, each an object in memory and perhaps an entry
in a list of errors: seconds in which nobody else is served. No request of ours needs so many.

Not here: whether the text is JSON. Of one that is not, the answer is some number.
"""

from __future__ import annotations

__all__ = ["VALUES_LIMIT", "has_many_values"]

#: Of one message. Reading it takes a tenth of a second at most.
VALUES_LIMIT = 100_000


def has_many_values(raw: bytes, limit: int = VALUES_LIMIT) -> bool:
    """Tell whether a text holds more values than the limit, in time that its length bounds."""
    if len(raw) <= limit or _marks(raw) < limit:
        return False
    # Escapes first, so that every quote that is left begins or ends a string.
    quoted = raw.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
    return _marks(b"".join(quoted[::2])) >= limit


def _marks(raw: bytes) -> int:
    """Count what each value but the first has before it: a comma, or the bracket around it."""
    return raw.count(b",") + raw.count(b"[") + raw.count(b"{")
