"""ShareGPT rows (conversations of from/value) and OpenAI rows (messages of role/content).

Both spellings are read under one name, with all the role words that are in use. `function_call` and
OpenAI `tool_calls` become the same thing: a list of {"name", "arguments"}, arguments as an object,
without ids.
Source: LLaMA-Factory, data/README.md, "Sharegpt Format" (commit ff6d4d1); OpenAI, fine-tuning.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import cast

from adaptery.formats.rows import Row, RowError, RowReading, refuse_other_kinds, text_field

__all__ = ["read_row"]

_COLUMNS = frozenset({"conversations", "messages", "system", "tools"})
_TURN_FIELDS = frozenset(
    {"from", "value", "role", "content", "weight", "name", "tool_calls", "tool_call_id"}
)
_ROLES: Mapping[str, str] = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "model": "assistant",
    "function_call": "assistant",
    "system": "system",
    "developer": "system",
    "observation": "tool",
    "tool": "tool",
    "function": "tool",
}


def _from_json(value: object, where: str) -> object:
    if not isinstance(value, str):
        return value
    try:
        return cast("object", json.loads(value))
    except (ValueError, RecursionError):
        raise RowError(where, "is not valid JSON.", "Write it as a JSON object or list.") from None


def _call(value: object, where: str) -> dict[str, object]:
    fields = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    inner = fields.get("function")  # OpenAI wraps the call
    call = cast("dict[str, object]", inner) if isinstance(inner, dict) else fields
    name, arguments = call.get("name"), _from_json(call.get("arguments"), f"{where}.arguments")
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise RowError(
            where, "is not a call of a tool.", 'Write {"name": ..., "arguments": {...}}.'
        )
    return {"name": name, "arguments": cast("dict[str, object]", arguments)}


def _calls(value: object, where: str) -> list[dict[str, object]]:
    items = cast("list[object]", value) if isinstance(value, list) else [value]
    return [_call(item, where) for item in items]


def _content(value: object, where: str) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    parts = cast("list[object]", value) if isinstance(value, list) else [value]
    texts: list[str] = []
    for part in parts:
        fields = cast("dict[str, object]", part) if isinstance(part, dict) else {}
        text = fields.get("text")
        if fields.get("type") != "text" or not isinstance(text, str):
            raise RowError(where, "is not text.", "Records are text only.")
        texts.append(text)
    return "\n".join(texts)


def _turn(value: object, where: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise RowError(where, "is not a JSON object.", 'Write {"from": ..., "value": ...}.')
    turn = cast("dict[str, object]", value)
    tag = turn.get("from", turn.get("role"))
    role = _ROLES.get(tag) if isinstance(tag, str) else None
    if role is None:
        raise RowError(f"{where}.from", "is not a known role.", f"Use one of {', '.join(_ROLES)}.")
    spoken = turn.get("value", turn.get("content"))
    message: dict[str, object] = {"role": role, "content": ""}
    if tag == "function_call":
        message["tool_calls"] = _calls(_from_json(spoken, f"{where}.value"), f"{where}.value")
    else:
        message["content"] = _content(spoken, f"{where}.value")
        if turn.get("tool_calls"):
            message["tool_calls"] = _calls(turn["tool_calls"], f"{where}.tool_calls")
    message |= {name: turn[name] for name in ("weight", "name") if turn.get(name) is not None}
    return message


def _tools(value: object) -> list[object] | None:
    """Return the descriptions of tools as objects, unwrapped from OpenAI's {"type", "function"}."""
    if value is None or value == "":
        return None
    parsed = _from_json(value, "tools")
    if not isinstance(parsed, list):
        raise RowError("tools", "is not a list.", "Write it as a JSON list of descriptions.")
    tools: list[object] = []
    for tool in cast("list[object]", parsed):
        fields = cast("dict[str, object]", tool) if isinstance(tool, dict) else {}
        unwrapped: object = fields.get("function")
        tools.append(cast("object", tool) if unwrapped is None else unwrapped)
    return tools or None


def _turns(row: Row) -> tuple[str, list[object]]:
    names = [name for name in ("conversations", "messages") if name in row]
    if len(names) != 1:
        reason = "is missing." if not names else "stands beside messages."
        raise RowError("conversations", reason, "Give conversations or messages, one of them.")
    value = row[names[0]]
    if not isinstance(value, list):
        raise RowError(names[0], "is not a list.", "Write it as a list of turns.")
    return names[0], cast("list[object]", value)


def read_row(row: Row) -> RowReading:
    """Return what a ShareGPT or OpenAI row says.

    Raises:
        RowError: naming the field that is missing or wrong.
    """
    refuse_other_kinds(row)
    column, turns = _turns(row)
    messages = [_turn(turn, f"{column}[{i}]") for i, turn in enumerate(turns)]
    origins = [f"{column}[{i}]" for i in range(len(turns))]
    if system := text_field(row, "system"):
        messages.insert(0, {"role": "system", "content": system})
        origins.insert(0, "system")
    record: dict[str, object] = {"kind": "chat", "messages": messages}
    if (tools := _tools(row.get("tools"))) is not None:
        record["tools"] = tools
    return RowReading(record, tuple(origins), _ignored(row, turns))


def _ignored(row: Row, turns: list[object]) -> tuple[str, ...]:
    inside: set[str] = set()
    for turn in turns:
        inside |= cast("dict[str, object]", turn).keys() - _TURN_FIELDS
    return (*(row.keys() - _COLUMNS), *inside)
