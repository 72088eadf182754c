"""ShareGPT rows (conversations of from/value) and OpenAI rows (messages of role/content).

Source: LLaMA-Factory, data/README.md, "Sharegpt Format" (commit ff6d4d1); OpenAI, fine-tuning.
"""

from __future__ import annotations

from adaptery.formats.rows import Row, RowError, RowReading, text_field
from adaptery.formats.turns import Words, messages_of, tools_of, unknown_keys

__all__ = ["conversation_of", "origin_of", "read_row"]


def read_row(row: Row, words: Words) -> RowReading:
    """Return what a row of turns says.

    Raises:
        RowError: naming the field that is missing or wrong.
    """
    if row.get("messages") is None:
        raise RowError("messages", "is missing.", "Give conversations or messages, one of them.")
    record, shift = conversation_of(row, words)
    return RowReading(
        {"kind": "chat", **record},
        origin=lambda i: origin_of(i, shift),
        ignored=tuple(unknown_keys(row["messages"], words)),
    )


def conversation_of(row: Row, words: Words) -> tuple[dict[str, object], int]:
    """Return messages and tools of a row of turns, and by how many places messages moved.

    A column `system` puts one before them; a first turn of the system that is empty is none.

    Raises:
        RowError: naming the field that is wrong.
    """
    messages = messages_of(row["messages"], "messages", words)
    shift = 0
    if messages and messages[0] == {"role": "system", "content": ""}:
        del messages[0]
        shift = -1
    if system := text_field(row, "system"):
        messages.insert(0, {"role": "system", "content": system})
        shift += 1
    record: dict[str, object] = {"messages": messages}
    if (tools := tools_of(row.get("tools"))) is not None:
        record["tools"] = tools
    return record, shift


def origin_of(number: int, shift: int) -> str:
    """Return where a message of `conversation_of` stands."""
    return f"messages[{number - shift}]" if number >= shift else "system"
