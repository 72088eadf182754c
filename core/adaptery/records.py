"""The record: one training example in the one form that all formats are read into.

A record is a chat (messages), a text, a preference (messages, a chosen and a rejected answer), or
a chat with a label that says whether its last answer is good (kto, after the method that trains on
such labels).
Nothing of the file it came from is kept in it: the same conversation gives the same record, and the
same id, whatever format it was written in.

What always holds:
- `Record.from_dict(record.to_dict())` is the same record, and `to_dict` holds no key whose value is
  None.
- All text is in Unicode NFC once it passed `from_dict`; the id is over the canonical JSON of
  `to_dict`.
- Problems name fields and rules, never content.

The rules of a chat are those that trainers rely on: an optional system message first, then user (or
tool) and assistant in turn, ending with an assistant. Source: LLaMA-Factory, data/README.md and
src/llamafactory/data/converter.py (commit ff6d4d1).
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal, cast, get_args

from adaptery.canonical import CanonicalError, canonical_json, normalise
from adaptery.digests import sha256_bytes
from adaptery.errors import FieldProblem, RecordError

__all__ = ["Kind", "Message", "Record", "Role"]

Role = Literal["system", "user", "assistant", "tool"]
Kind = Literal["chat", "text", "preference", "kto"]
JsonObject = Mapping[str, object]

_ROLES: Final = get_args(Role)
#: Messages in one record; the longest real conversations have a few hundred.
MESSAGES_LIMIT = 2_000
#: Without numbers, what this writes is canonical JSON, in a tenth of the time.
_TEXT_ONLY: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))


class _Invalid(ValueError):
    """Ends the reading of one record at its first problem."""

    def __init__(self, where: str, reason: str, remedy: str = "") -> None:
        self.problem = FieldProblem(where, reason, remedy)
        super().__init__(reason)


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str
    #: How much the loss of an assistant message counts; None is the default (1).
    weight: float | None = None
    name: str | None = None
    #: What an assistant calls, each {"name": str, "arguments": object}; ids of calls are not kept.
    tool_calls: tuple[JsonObject, ...] | None = None

    def to_dict(self) -> dict[str, object]:
        """Return the message as plain JSON without None values."""
        result: dict[str, object] = {"role": self.role, "content": self.content}
        if self.weight is not None:
            result["weight"] = self.weight
        if self.name is not None:
            result["name"] = self.name
        if self.tool_calls is not None:
            result["tool_calls"] = [dict(call) for call in self.tool_calls]
        return result


@dataclass(frozen=True)
class Record:
    """One training example. Make it with `chat`, `of_text` or `from_dict`, which check it."""

    kind: Kind
    messages: tuple[Message, ...] = ()
    text: str | None = None
    chosen: Message | None = None
    rejected: Message | None = None
    #: Descriptions of the tools an assistant may call, as JSON objects.
    tools: tuple[JsonObject, ...] | None = None
    #: Of a kto record: whether its last answer is one to imitate.
    label: bool | None = None

    @classmethod
    def chat(cls, messages: Sequence[Message], tools: Sequence[JsonObject] | None = None) -> Record:
        """Return a checked chat record.

        Raises:
            RecordError: naming the message and the rule it breaks.
        """
        draft = cls("chat", tuple(messages), tools=tuple(tools) if tools else None)
        return cls.from_dict(draft.to_dict())

    @classmethod
    def of_text(cls, text: str) -> Record:
        """Return a checked text record.

        Raises:
            RecordError: if the text is empty.
        """
        return cls.from_dict({"kind": "text", "text": text})

    @classmethod
    def from_dict(cls, value: object) -> Record:
        """Return the record that plain JSON describes, checked, with its text in NFC.

        Raises:
            RecordError: with one entry in `errors` that names the field, the reason and the remedy.
        """
        try:
            return _parse(_mapping(normalise(value), "record"))
        except CanonicalError as exc:
            problem = FieldProblem(exc.path or "record", exc.reason, "Correct this field.")
            raise RecordError(errors=[problem]) from None
        except _Invalid as exc:
            raise RecordError(errors=[exc.problem]) from None

    def to_dict(self) -> dict[str, object]:
        """Return the record as plain JSON without None values."""
        result: dict[str, object] = {"kind": self.kind}
        if self.kind != "text":
            result["messages"] = [message.to_dict() for message in self.messages]
        if self.text is not None:
            result["text"] = self.text
        if self.chosen is not None:
            result["chosen"] = self.chosen.to_dict()
        if self.rejected is not None:
            result["rejected"] = self.rejected.to_dict()
        if self.tools is not None:
            result["tools"] = [dict(tool) for tool in self.tools]
        if self.label is not None:
            result["label"] = self.label
        return result

    def record_id(self) -> str:
        """Return the id: `sha256:<hex>` over the canonical JSON of the record.

        Raises:
            CanonicalError: if a record that was made unchecked holds what JSON cannot.
        """
        plain = self.to_dict()
        if self._holds_text_only():
            text = _TEXT_ONLY.encode(plain)
            if text.isascii() or unicodedata.is_normalized("NFC", text):
                with suppress(UnicodeEncodeError):  # half a surrogate pair: named below
                    return sha256_bytes(text.encode())
        return sha256_bytes(canonical_json(plain))

    def _holds_text_only(self) -> bool:
        messages = (*self.messages, *filter(None, (self.chosen, self.rejected)))
        return self.tools is None and all(
            message.weight is None and message.tool_calls is None for message in messages
        )


def _mapping(value: object, where: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise _Invalid(where, "is not a JSON object.", "Write it as {...}.")
    return cast("dict[str, object]", value)


def _only(value: Mapping[str, object], allowed: frozenset[str], where: str) -> None:
    if not value.keys() <= allowed:
        names = ", ".join(sorted(allowed))
        raise _Invalid(where, "has a field that is not known here.", f"Known fields: {names}.")


def _string(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise _Invalid(where, "is not text.", 'Write it as a JSON string, "...".')
    return value


def _list(value: object, where: str) -> list[object]:
    if not isinstance(value, list):
        raise _Invalid(where, "is not a list.", "Write it as [...].")
    return cast("list[object]", value)


def _objects(value: object, where: str) -> tuple[JsonObject, ...] | None:
    if value is None:
        return None
    items = enumerate(_list(value, where))
    return tuple(_mapping(item, f"{where}[{i}]") for i, item in items) or None


_MESSAGE_FIELDS = frozenset({"role", "content", "weight", "name", "tool_calls"})


def _message(value: object, where: str) -> Message:
    fields = _mapping(value, where)
    _only(fields, _MESSAGE_FIELDS, where)
    if (role := fields.get("role")) not in _ROLES:
        raise _Invalid(f"{where}.role", "is not a known role.", f"Use one of {', '.join(_ROLES)}.")
    role, name = cast("Role", role), fields.get("name")
    message = Message(
        role=role,
        content=_string(fields.get("content"), f"{where}.content"),
        weight=_weight(fields.get("weight"), f"{where}.weight", role),
        name=None if name is None else _string(name, f"{where}.name"),
        tool_calls=_tool_calls(fields.get("tool_calls"), f"{where}.tool_calls", role),
    )
    if not message.content.strip() and message.tool_calls is None and role != "tool":
        raise _Invalid(f"{where}.content", "is empty.", "Write it or leave the record out.")
    return message


def _weight(value: object, where: str, role: Role) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise _Invalid(where, "is not a number from 0 to 1.", "Use 0 to leave the message out.")
    if role != "assistant":
        raise _Invalid(where, "stands on a message that is never trained on.", "Remove it.")
    return None if value == 1 else float(value)  # 1 is the default and is not written


def _tool_calls(value: object, where: str, role: Role) -> tuple[JsonObject, ...] | None:
    calls = _objects(value, where)
    if calls is None:
        return None
    if role != "assistant":
        raise _Invalid(where, "stands on a message of another role.", "Only assistants call tools.")
    for i, call in enumerate(calls):
        if set(call) != {"name", "arguments"} or not isinstance(call["arguments"], dict):
            raise _Invalid(f"{where}[{i}]", 'is not {"name", "arguments": {...}}.')
        _string(call["name"], f"{where}[{i}].name")
    return calls


def _messages(value: object) -> tuple[Message, ...]:
    items = _list(value, "messages")
    if len(items) > MESSAGES_LIMIT:
        raise _Invalid("messages", f"has more than {MESSAGES_LIMIT} messages.", "Split the record.")
    return tuple(_message(item, f"messages[{i}]") for i, item in enumerate(items))


def _check_turns(messages: Sequence[Message], *, ends_with: Role) -> None:
    turns = list(enumerate(messages))
    if turns and turns[0][1].role == "system":
        turns = turns[1:]
    if not turns:
        raise _Invalid(
            "messages", "has no turns.", "Give at least a user and an assistant message."
        )
    previous: Role = "assistant"
    for i, message in turns:
        if not _may_follow(previous, message.role):
            article = "an" if message.role == "assistant" else "a"
            reason = f"is {article} {message.role} message where that role cannot stand."
            raise _Invalid(f"messages[{i}].role", reason, "Let user and assistant take turns.")
        previous = message.role
    if (previous == "assistant") != (ends_with == "assistant"):
        raise _Invalid(
            "messages", f"does not end with the {ends_with}.", f"Let the {ends_with} speak last."
        )


def _may_follow(previous: Role, role: Role) -> bool:
    if role == "assistant":
        return previous in ("user", "tool")
    if role == "tool":
        return previous in ("assistant", "tool")  # several calls in one turn answer in a row
    return role == "user" and previous == "assistant"


_FIELDS: Mapping[object, frozenset[str]] = {
    "chat": frozenset({"kind", "messages", "tools"}),
    "text": frozenset({"kind", "text"}),
    "preference": frozenset({"kind", "messages", "chosen", "rejected", "tools"}),
    "kto": frozenset({"kind", "messages", "label", "tools"}),
}


def _parse(value: Mapping[str, object]) -> Record:
    kind = value.get("kind")
    if kind not in _FIELDS:
        raise _Invalid("kind", "is not a known kind.", f"Use one of {', '.join(get_args(Kind))}.")
    kind = cast("Kind", kind)
    _only(value, _FIELDS[kind], "record")
    if kind == "text":
        text = _string(value.get("text"), "text")
        if not text.strip():
            raise _Invalid("text", "is empty.", "Write it or leave the record out.")
        return Record("text", text=text)
    messages = _messages(value.get("messages"))
    tools = _objects(value.get("tools"), "tools")
    if kind == "chat":
        _check_turns(messages, ends_with="assistant")
        return Record("chat", messages, tools=tools)
    if kind == "kto":
        _check_turns(messages, ends_with="assistant")
        return Record("kto", messages, tools=tools, label=_label(value.get("label")))
    _check_turns(messages, ends_with="user")
    chosen, rejected = (_answer(value.get(name), name) for name in ("chosen", "rejected"))
    return Record("preference", messages, chosen=chosen, rejected=rejected, tools=tools)


def _label(value: object) -> bool:
    if not isinstance(value, bool):
        raise _Invalid("label", "is neither true nor false.", "Say whether the answer is good.")
    return value


def _answer(value: object, where: str) -> Message:
    message = _message(value, where)
    if message.role != "assistant":
        raise _Invalid(f"{where}.role", "is not assistant.", "An answer is the assistant's.")
    return message
