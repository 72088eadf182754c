"""Alpaca rows: instruction, input, output, system, history.

The user's message is the instruction, a line break, and the input where there is one; `history`
holds earlier pairs of user and assistant. Source: LLaMA-Factory, data/README.md, "Alpaca Format"
(commit ff6d4d1).
"""

from __future__ import annotations

from typing import cast

from adaptery.formats.rows import Row, RowError, RowReading, from_json, text_field
from adaptery.formats.turns import tools_of

__all__ = ["asked", "history_of", "read_row"]

Turns = list[tuple[str, str, str]]  # (role, content, where it stands)


def read_row(row: Row) -> RowReading:
    """Return what an Alpaca row says.

    Raises:
        RowError: naming the column that is missing or wrong.
    """
    question, where = asked(row)
    answer = text_field(row, "output", required=True)
    turns = history_of(row.get("history"))
    if system := text_field(row, "system"):
        turns.insert(0, ("system", system, "system"))
    turns += [("user", question, where), ("assistant", answer, "output")]
    messages = [{"role": role, "content": content} for role, content, _ in turns]
    record: dict[str, object] = {"kind": "chat", "messages": messages}
    if (tools := tools_of(row.get("tools"))) is not None:
        record["tools"] = tools
    return RowReading(record, origin=lambda i: turns[i][2])


def asked(row: Row) -> tuple[str, str]:
    """Return instruction and input as one question, and the field that a problem of it names.

    Raises:
        RowError: if both are missing, or one is not text.
    """
    given = text_field(row, "input")
    instruction = text_field(row, "instruction", required="input" not in row or not given)
    return "\n".join(part for part in (instruction, given) if part), "instruction"


def history_of(value: object) -> Turns:
    """Return the earlier turns.

    Raises:
        RowError: naming the pair that is no pair of texts.
    """
    if value is None or value == "":
        return []
    pairs = from_json(value, "history")
    if not isinstance(pairs, list):
        raise RowError("history", "is not a list of pairs.", 'Write [["question", "answer"], ...].')
    turns: Turns = []
    for i, pair in enumerate(cast("list[object]", pairs)):
        items = cast("list[object]", pair) if isinstance(pair, list) else []
        if len(items) != 2 or not all(isinstance(item, str) for item in items):
            raise RowError(f"history[{i}]", "is no pair of texts.", 'Write ["question", "answer"].')
        question, answer = cast("list[str]", items)
        turns += [
            ("user", question, f"history[{i}][0]"),
            ("assistant", answer, f"history[{i}][1]"),
        ]
    return turns
