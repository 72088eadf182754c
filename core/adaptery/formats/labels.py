"""KTO rows: a conversation, and whether its last answer is good.

Source: LLaMA-Factory, data/README.md, "KTO Dataset" (commit ff6d4d1); TRL, "Dataset formats",
unpaired preference.
"""

from __future__ import annotations

from adaptery.formats.prompts import opening_of
from adaptery.formats.prompts import read_row as read_prompt
from adaptery.formats.rows import Row, RowError, RowReading, text_field
from adaptery.formats.sharegpt import read_row as read_turns
from adaptery.formats.turns import Words, tools_of
from adaptery.schemas.mappings import LabelValues

__all__ = ["read_row"]


def read_row(row: Row, words: Words, values: LabelValues) -> RowReading:
    """Return what a labelled row says.

    Raises:
        RowError: naming the column that is missing or wrong.
    """
    reading = _conversation(row, words)
    label = _label(row.get("label"), values)
    record = {**reading.record, "kind": "kto", "label": label}
    return RowReading(record, reading.origin, reading.ignored)


def _conversation(row: Row, words: Words) -> RowReading:
    if row.get("messages") is not None:
        return read_turns(row, words)
    if "completion" in row:
        return read_prompt(row, words)
    messages, origins = opening_of(row, words)
    messages.append({"role": "assistant", "content": text_field(row, "output", required=True)})
    origins.append("output")
    record: dict[str, object] = {"messages": messages}
    if (tools := tools_of(row.get("tools"))) is not None:
        record["tools"] = tools
    return RowReading(record, origin=lambda i: origins[i])


def _label(value: object, values: LabelValues) -> bool:
    if isinstance(value, bool):
        return value
    if value is None or value == "":
        raise RowError("label", "is missing.", "Say whether the answer is good.")
    word = str(value).strip().casefold() if isinstance(value, str | int) else ""
    if word in {good.casefold() for good in values.good}:
        return True
    if word in {bad.casefold() for bad in values.bad}:
        return False
    raise RowError(
        "label", "is neither good nor bad.", "Write true or false, or name its words as values."
    )
