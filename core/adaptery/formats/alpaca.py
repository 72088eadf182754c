"""Alpaca rows: instruction, input, output, system, history.

The user's message is the instruction, a line break, and the input where there is one; `history`
holds earlier pairs of user and assistant. Source: LLaMA-Factory, data/README.md, "Alpaca Format"
(commit ff6d4d1).
"""

from __future__ import annotations

from typing import cast

from adaptery.formats.rows import Row, RowError, RowReading, refuse_other_kinds, text_field

__all__ = ["read_row"]

_COLUMNS = frozenset({"instruction", "input", "output", "system", "history"})


def _history(value: object) -> list[tuple[str, str, str]]:
    """Return (role, content, origin) of the earlier messages."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise RowError("history", "is not a list of pairs.", 'Write [["question", "answer"], ...].')
    turns: list[tuple[str, str, str]] = []
    for i, pair in enumerate(cast("list[object]", value)):
        items = cast("list[object]", pair) if isinstance(pair, list) else []
        if len(items) != 2 or not all(isinstance(item, str) for item in items):
            raise RowError(f"history[{i}]", "is no pair of texts.", 'Write ["question", "answer"].')
        question, answer = cast("list[str]", items)
        turns += [
            ("user", question, f"history[{i}][0]"),
            ("assistant", answer, f"history[{i}][1]"),
        ]
    return turns


def read_row(row: Row) -> RowReading:
    """Return what an Alpaca row says.

    Raises:
        RowError: naming the column that is missing or wrong.
    """
    refuse_other_kinds(row)
    instruction = text_field(row, "instruction", required=True)
    output = text_field(row, "output", required=True)
    asked = "\n".join(part for part in (instruction, text_field(row, "input")) if part)
    turns = _history(row.get("history"))
    if system := text_field(row, "system"):
        turns.insert(0, ("system", system, "system"))
    turns += [("user", asked, "instruction"), ("assistant", output, "output")]
    messages = [{"role": role, "content": content} for role, content, _ in turns]
    return RowReading(
        {"kind": "chat", "messages": messages},
        origins=tuple(origin for _, _, origin in turns),
        ignored=tuple(row.keys() - _COLUMNS),
    )
