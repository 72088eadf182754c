"""Records and findings in a terminal, a few lines each.

What always holds: the lines go through `adaptery.terminal`, which takes out what would be obeyed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import cast

__all__ = ["record_lines", "shortened"]

TEXT_LIMIT = 400  # characters of one message
MESSAGES_SHOWN = 6
#: The parts of a record beside its messages, in the order of reading.
_PARTS = ("text", "chosen", "rejected", "label")

JsonObject = Mapping[str, object]


def record_lines(record: JsonObject) -> list[str]:
    """Return a record as a conversation: who says what, shortened."""
    messages = cast("list[JsonObject]", record.get("messages", ()))
    lines: list[str] = []
    for message in messages[:MESSAGES_SHOWN]:
        lines += _said(str(message["role"]), message)
    if len(messages) > MESSAGES_SHOWN:
        lines.append(f"  ... and {len(messages) - MESSAGES_SHOWN} more messages")
    for part in _PARTS:
        if part in record:
            lines += _said(part, record[part])
    return lines


def shortened(text: str, limit: int = TEXT_LIMIT) -> str:
    """Return a text of at most so many characters; what is left out is counted."""
    left_out = len(text) - limit
    return text if left_out <= 0 else f"{text[:limit]} ... ({left_out:,} characters more)"


def _said(who: str, what: object) -> list[str]:
    if isinstance(what, Mapping):
        message = cast("JsonObject", what)
        calls = message.get("tool_calls")
        called = f" calls {json.dumps(calls, ensure_ascii=False)}" if calls else ""
        text = f"{message.get('content', '')}{called}"
    else:
        text = what if isinstance(what, str) else json.dumps(what)
    first, *others = shortened(text.strip()).split("\n")
    return [f"  {who}: {first}", *(f"    {line}" for line in others)]
