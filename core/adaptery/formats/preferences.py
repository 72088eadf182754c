"""Preference pairs: a conversation, a chosen and a rejected answer.

The conversation stands in `messages`, `prompt`, or `instruction` and `input`; or both answers are
whole conversations, and what they begin with in common is the question.

Sources: LLaMA-Factory, data/README.md, "Preference Dataset" (commit ff6d4d1); TRL, "Dataset
formats", preference, explicit and implicit prompt; OpenAI, preference fine-tuning.
"""

from __future__ import annotations

from adaptery.formats.prompts import answer_of, opening_of
from adaptery.formats.rows import Row, RowError, RowReading, fields_of, from_json, items_of
from adaptery.formats.turns import Words, messages_of, tools_of

__all__ = ["read_row"]

_OPENINGS = ("messages", "prompt", "instruction", "input")


def read_row(row: Row, words: Words) -> RowReading:
    """Return what a pair says.

    Raises:
        RowError: naming the column that is missing or wrong.
    """
    if any(row.get(name) is not None for name in _OPENINGS):
        messages, origins = opening_of(row, words)
        turns = isinstance(row.get("messages"), str)  # a table, whose cells hold JSON text
        answers = [
            _answer(row.get(name), name, messages, words, cells_are_json=turns)
            for name in ("chosen", "rejected")
        ]
    else:
        messages, origins, answers = _whole_conversations(row, words)
    record: dict[str, object] = {
        "kind": "preference",
        "messages": messages,
        "chosen": answers[0],
        "rejected": answers[1],
    }
    if (tools := tools_of(row.get("tools"))) is not None:
        record["tools"] = tools
    return RowReading(record, origin=lambda i: origins[i])


def _answer(
    value: object,
    where: str,
    opening: list[dict[str, object]],
    words: Words,
    *,
    cells_are_json: bool,
) -> dict[str, object]:
    given = _from_cell(value, words) if cells_are_json else value
    items = items_of(given)
    if len(items) > 1:
        spoken = messages_of(items, where, words)
        if spoken[:-1] == opening:  # the question is repeated before the answer
            return spoken[-1]
    return answer_of(given, where, words)


def _from_cell(value: object, words: Words) -> object:
    """Return the turn that a cell of a table holds as JSON; a text that is none stays a text."""
    if not isinstance(value, str) or value[:1] not in ("{", "["):
        return value
    try:
        parsed = from_json(value, "")
    except RowError:
        return value
    turns = items_of(parsed) or [parsed]
    spoken = all(fields_of(turn).keys() & set(words.role_keys) for turn in turns)
    return parsed if spoken else value


def _whole_conversations(
    row: Row, words: Words
) -> tuple[list[dict[str, object]], list[str], list[dict[str, object]]]:
    spoken = [messages_of(row.get(name), name, words) for name in ("chosen", "rejected")]
    chosen, rejected = spoken
    shared = next(
        (i for i, (a, b) in enumerate(zip(chosen, rejected, strict=False)) if a != b),
        min(len(chosen), len(rejected)),
    )
    shared = min(shared, len(chosen) - 1, len(rejected) - 1)
    for name, messages in zip(("chosen", "rejected"), spoken, strict=True):
        if shared < 1 or len(messages) != shared + 1:
            raise RowError(
                name,
                "does not differ from the other answer in its last message alone.",
                "Give the question in a column of its own.",
            )
    return chosen[:shared], [f"chosen[{i}]" for i in range(shared)], [chosen[-1], rejected[-1]]
