"""The turns of a conversation: one list of messages, whatever its keys and roles are called.

Both common spellings (from/value, role/content) are read with all the role words that are in use,
and others by the tags of a mapping. `function_call` and OpenAI `tool_calls` become the same thing:
a list of {"name", "arguments"}, arguments as an object, without ids.

Source: LLaMA-Factory, data/README.md, "Sharegpt Format" (commit ff6d4d1); OpenAI, fine-tuning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

from adaptery.formats.rows import Row, RowError, from_json
from adaptery.schemas.mappings import Tags

__all__ = ["ROLE_WORDS", "Words", "messages_of", "tools_of", "turn_of", "unknown_keys"]

_CALL = "function_call"
#: The role words in use, and whose they are.
ROLE_WORDS: Final[Mapping[str, str]] = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "model": "assistant",
    _CALL: _CALL,
    "system": "system",
    "developer": "system",
    "observation": "tool",
    "tool": "tool",
    "function": "tool",
}
_EXTRAS: Final = ("weight", "name")
_OTHER_KEYS: Final = frozenset({*_EXTRAS, "tool_calls", "tool_call_id", _CALL})


@dataclass(frozen=True)
class Words:
    """What the turns of a file call their keys and roles."""

    role_keys: tuple[str, ...] = ("from", "role")
    content_keys: tuple[str, ...] = ("value", "content")
    #: Of each word: a role of ours, or function_call.
    roles: Mapping[str, str] = field(default_factory=lambda: ROLE_WORDS)

    @classmethod
    def of(cls, tags: Tags) -> Words:
        """Return the usual words with those of a mapping in their place."""
        own = {word: "user" for word in tags.user_tag}
        own |= {word: "assistant" for word in tags.assistant_tag}
        own |= {word: "tool" for word in tags.observation_tag}
        own |= {word: _CALL for word in tags.function_tag}
        own |= {word: "system" for word in tags.system_tag}
        return cls(
            (tags.role_tag,) if tags.role_tag else cls.role_keys,
            (tags.content_tag,) if tags.content_tag else cls.content_keys,
            {**ROLE_WORDS, **own},
        )


def messages_of(value: object, where: str, words: Words) -> list[dict[str, object]]:
    """Return the messages that a list of turns (or its JSON text) says.

    Raises:
        RowError: naming the turn that is wrong.
    """
    turns = from_json(value, where)
    if turns is None:
        raise RowError(where, "is missing.", "Check the names of the columns.")
    if not isinstance(turns, list):
        raise RowError(where, "is not a list.", "Write it as a list of turns.")
    items = enumerate(cast("list[object]", turns))
    return [turn_of(turn, f"{where}[{i}]", words) for i, turn in items]


def turn_of(value: object, where: str, words: Words) -> dict[str, object]:
    """Return the message that one turn says.

    Raises:
        RowError: naming the key that is wrong.
    """
    role_keys, content_keys = words.role_keys, words.content_keys
    if not isinstance(value, dict):
        reason = f'Write {{"{role_keys[0]}": ..., "{content_keys[0]}": ...}}.'
        raise RowError(where, "is not a JSON object.", reason)
    turn = cast("dict[str, object]", value)
    role_key = _present(turn, role_keys)
    tag = turn.get(role_key)
    role = words.roles.get(tag) if isinstance(tag, str) else None
    if role is None:
        known = ", ".join(words.roles)
        remedy = f"Use one of {known}; or name it in the tags of the mapping, whoever's it is."
        raise RowError(f"{where}.{role_key}", "is no known role.", remedy)
    content_key = _present(turn, content_keys)
    spoken = turn.get(content_key)
    if role == _CALL:
        place = f"{where}.{content_key}"
        calls = _calls(from_json(spoken, place), place)
        message: dict[str, object] = {"role": "assistant", "content": "", "tool_calls": calls}
    else:
        text = spoken if isinstance(spoken, str) else _content(spoken, f"{where}.{content_key}")
        message = {"role": role, "content": text}
        if len(turn) == 2 and spoken is not None:  # nothing but a role and a text
            return message
        for key in ("tool_calls", _CALL):  # the second is how OpenAI had it before
            if turn.get(key):
                place = f"{where}.{key}"
                message["tool_calls"] = _calls(from_json(turn[key], place), place)
    for name in _EXTRAS:
        if turn.get(name) is not None:
            message[name] = turn[name]
    return message


def unknown_keys(turns: object, words: Words) -> set[str]:
    """Return the keys of turns that nothing here reads."""
    if not isinstance(turns, list):
        return set()
    known = {*words.role_keys, *words.content_keys, *_OTHER_KEYS}
    found: set[str] = set()
    for turn in cast("list[object]", turns):
        if isinstance(turn, dict):
            found |= cast("dict[str, object]", turn).keys() - known
    return found


def _present(turn: Row, keys: Sequence[str]) -> str:
    for key in keys:
        if turn.get(key) is not None:
            return key
    return keys[0]


def _calls(value: object, where: str) -> list[dict[str, object]]:
    items = cast("list[object]", value) if isinstance(value, list) else [value]
    return [_call(item, where) for item in items]


def _call(value: object, where: str) -> dict[str, object]:
    fields = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    inner = fields.get("function")  # OpenAI wraps the call
    call = cast("dict[str, object]", inner) if isinstance(inner, dict) else fields
    name, arguments = call.get("name"), from_json(call.get("arguments"), f"{where}.arguments")
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise RowError(
            where, "is not a call of a tool.", 'Write {"name": ..., "arguments": {...}}.'
        )
    return {"name": name, "arguments": cast("dict[str, object]", arguments)}


def _content(value: object, where: str) -> str:
    """Return the text of content in parts, as OpenAI writes them."""
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


def tools_of(value: object) -> list[object] | None:
    """Return the descriptions of tools as objects, unwrapped from OpenAI's {"type", "function"}.

    Raises:
        RowError: if they are not a list, or not JSON.
    """
    if value is None or value == "":
        return None
    parsed = from_json(value, "tools")
    if not isinstance(parsed, list):
        raise RowError("tools", "is not a list.", "Write it as a JSON list of descriptions.")
    tools: list[object] = []
    for tool in cast("list[object]", parsed):
        fields = cast("dict[str, object]", tool) if isinstance(tool, dict) else {}
        unwrapped: object = fields.get("function")
        tools.append(cast("object", tool) if unwrapped is None else unwrapped)
    return tools or None
