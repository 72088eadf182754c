"""Prompt and completion: a question and its answer, as texts or as lists of messages.

An `instruction` (mostly a constant of the mapping: the same for every row) stands before the
prompt, with a line break. Source: OpenAI, legacy fine-tuning; TRL, "Dataset formats", prompt-
completion, standard and conversational.
"""

from __future__ import annotations

from typing import cast

from adaptery.formats.alpaca import asked, history_of
from adaptery.formats.rows import Row, RowError, RowReading, text_field
from adaptery.formats.sharegpt import conversation_of, origin_of
from adaptery.formats.turns import Words, messages_of, tools_of, turn_of

__all__ = ["Opening", "answer_of", "opening_of", "read_row"]

Opening = tuple[list[dict[str, object]], list[str]]  # messages, and where each of them stands


def read_row(row: Row, words: Words) -> RowReading:
    """Return what a prompt with its completion says.

    Raises:
        RowError: naming the column that is missing or wrong.
    """
    messages, origins = opening_of(row, words)
    answer = row.get("completion")
    if isinstance(answer, list):
        spoken = messages_of(cast("list[object]", answer), "completion", words)
        messages += spoken
        origins += [f"completion[{i}]" for i in range(len(spoken))]
    else:
        text = text_field(row, "completion", required=True)
        messages.append({"role": "assistant", "content": text})
        origins.append("completion")
    record: dict[str, object] = {"kind": "chat", "messages": messages}
    if (tools := tools_of(row.get("tools"))) is not None:
        record["tools"] = tools
    return RowReading(record, origin=lambda i: origins[i])


def opening_of(row: Row, words: Words) -> Opening:
    """Return the messages before the answer: from `messages`, `prompt`, or `instruction`.

    Raises:
        RowError: naming the column that is missing or wrong.
    """
    if row.get("messages") is not None:
        record, shift = conversation_of(row, words)
        messages = cast("list[dict[str, object]]", record["messages"])
        return messages, [origin_of(i, shift) for i in range(len(messages))]
    messages, origins = list[dict[str, object]](), list[str]()
    if system := text_field(row, "system"):
        messages.append({"role": "system", "content": system})
        origins.append("system")
    for role, content, where in history_of(row.get("history")):
        messages.append({"role": role, "content": content})
        origins.append(where)
    prompt = row.get("prompt")
    if isinstance(prompt, list):
        spoken = messages_of(cast("list[object]", prompt), "prompt", words)
        return messages + spoken, origins + [f"prompt[{i}]" for i in range(len(spoken))]
    question, where = _question(row)
    return [*messages, {"role": "user", "content": question}], [*origins, where]


def _question(row: Row) -> tuple[str, str]:
    if "prompt" not in row and ("instruction" in row or "input" in row):
        return asked(row)
    prompt = text_field(row, "prompt", required=True)
    instruction = text_field(row, "instruction")
    return (f"{instruction}\n{prompt}" if instruction else prompt), "prompt"


def answer_of(value: object, where: str, words: Words) -> dict[str, object]:
    """Return one answer: a text, a turn, or a list of one turn.

    Raises:
        RowError: if it is something else.
    """
    if isinstance(value, str):
        return {"role": "assistant", "content": value}
    if isinstance(value, list):
        items = cast("list[object]", value)
        if len(items) != 1:
            raise RowError(where, "is not one message.", "Give the answer alone.")
        return turn_of(items[0], f"{where}[0]", words)
    if value is None:
        raise RowError(where, "is missing.", "Check the names of the columns.")
    return turn_of(value, where, words)
