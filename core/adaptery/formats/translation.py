"""Records as rows of each format: what a format has no place for is named, never lost in silence.

What always holds: reading a row that `translate` made gives the record again, but for what it says
it dropped. A record that a format cannot hold at all is refused with the reason.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass
from typing import Final

from adaptery.errors import FieldProblem, RecordError
from adaptery.records import Kind, Message, Record
from adaptery.schemas.mappings import Format

__all__ = ["Conversion", "Translation", "convert_kind", "format_of", "losses", "translate"]

JsonObject = AnyMapping[str, object]

_WEIGHTS, _NAMES = "weights of messages", "names of messages"
#: What each kind is written as where nothing else is asked for.
_USUAL: Final[AnyMapping[Kind, Format]] = {
    "chat": "openai",
    "text": "text",
    "preference": "preference",
    "kto": "kto",
}


@dataclass(frozen=True)
class Translation:
    """A record as a row of a format."""

    row: dict[str, object]
    #: What the format has no place for, such as weights; empty if nothing is lost.
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Conversion:
    """A record as one of another kind."""

    record: Record
    #: What the kind has no place for.
    dropped: tuple[str, ...] = ()


def format_of(kind: Kind) -> Format:
    """Return the format that holds all of a kind of records."""
    return _USUAL[kind]


def translate(record: Record, format: Format) -> Translation:
    """Return a record as a row of a format.

    Raises:
        RecordError: if the format cannot hold it, with what could.
    """
    wanted: Kind = "chat"
    if format in ("preference", "kto", "text"):
        wanted = format
    if record.kind != wanted:
        raise _refused(
            "kind",
            f"is {record.kind}, which {format} cannot hold.",
            f"Write it as {format_of(record.kind)}, or convert it to {wanted} first.",
        )
    return _WRITERS[format](record)


def _refused(where: str, reason: str, remedy: str) -> RecordError:
    return RecordError(errors=[FieldProblem(where, reason, remedy)])


def _dumped(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


# -- plain questions and answers ---------------------------------------------------------------


def _alpaca(record: Record) -> Translation:
    system, turns = _plain_turns(record.messages, "alpaca")
    pairs = list(zip(turns[::2], turns[1::2], strict=True))
    *history, (question, answer) = pairs
    row: dict[str, object] = {"instruction": question, "input": "", "output": answer}
    if system is not None:
        row["system"] = system
    if history:
        row["history"] = [list(pair) for pair in history]
    return Translation(_with_tools(row, record), _details(record.messages))


def _prompt(record: Record) -> Translation:
    system, turns = _plain_turns(record.messages, "prompt")
    if len(turns) != 2:
        reason = "has several turns, and a prompt has one."
        raise _refused("messages", reason, "Write it as openai, sharegpt or alpaca.")
    row: dict[str, object] = {"prompt": turns[0], "completion": turns[1]}
    if system is not None:
        row["system"] = system
    return Translation(_with_tools(row, record), _details(record.messages))


def _plain_turns(messages: Sequence[Message], format: Format) -> tuple[str | None, list[str]]:
    """Return the system's text, and the texts of user and assistant in turn."""
    for i, message in enumerate(messages):
        if message.role == "tool" or message.tool_calls is not None:
            where, reason = f"messages[{i}]", f"calls a tool, which {format} cannot hold."
            raise _refused(where, reason, "Write it as openai or sharegpt.")
    system = messages[0].content if messages[0].role == "system" else None
    return system, [message.content for message in messages if message.role != "system"]


def _details(messages: Sequence[Message]) -> tuple[str, ...]:
    """Return what of the messages a plain text does not tell."""
    dropped: list[str] = []
    if any(message.weight is not None for message in messages):
        dropped.append(_WEIGHTS)
    if any(message.name is not None for message in messages):
        dropped.append(_NAMES)
    return tuple(dropped)


def _with_tools(row: dict[str, object], record: Record) -> dict[str, object]:
    if record.tools is not None:
        row["tools"] = _dumped(_wrapped(record.tools, always=False))
    return row


def _wrapped(tools: Sequence[JsonObject], *, always: bool) -> list[object]:
    """Return tools as OpenAI has them; also where a tool of its own has a key `function`."""
    if always or any("function" in tool for tool in tools):
        return [{"type": "function", "function": dict(tool)} for tool in tools]
    return [dict(tool) for tool in tools]


# -- turns -------------------------------------------------------------------------------------


def _sharegpt(record: Record) -> Translation:
    return Translation(_with_tools({"conversations": _turns(record.messages)}, record))


_SHAREGPT_ROLES: Final = {
    "system": "system",
    "user": "human",
    "assistant": "gpt",
    "tool": "observation",
}


def _turns(messages: Sequence[Message]) -> list[dict[str, object]]:
    return [_turn(message) for message in messages]


def _turn(message: Message) -> dict[str, object]:
    calls = message.tool_calls
    if calls is not None and message.content == "":
        said = [dict(call) for call in calls]
        value = _dumped(said[0] if len(said) == 1 else said)
        turn: dict[str, object] = {"from": "function_call", "value": value}
    else:
        turn = {"from": _SHAREGPT_ROLES[message.role], "value": message.content}
        if calls is not None:  # beside a text; LLaMA-Factory passes it over
            turn["tool_calls"] = [_spelled(call) for call in calls]
    return _with_details(turn, message)


def _spelled(call: JsonObject) -> dict[str, object]:
    return {"name": call["name"], "arguments": _dumped(call["arguments"])}


def _with_details(turn: dict[str, object], message: Message) -> dict[str, object]:
    if message.weight is not None:
        turn["weight"] = message.weight
    if message.name is not None:
        turn["name"] = message.name
    return turn


def _openai(record: Record) -> Translation:
    row: dict[str, object] = {"messages": list(_messages(record.messages))}
    if record.tools is not None:
        row["tools"] = _wrapped(record.tools, always=True)
    return Translation(row)


def _messages(messages: Sequence[Message]) -> Iterator[dict[str, object]]:
    """Yield messages with ids of calls, which records do not keep, in the order of the calls."""
    made, answered = 0, 0
    for message in messages:
        turn: dict[str, object] = {"role": message.role, "content": message.content}
        if message.tool_calls is not None:
            turn["content"] = message.content or None
            turn["tool_calls"] = [
                {"id": f"call_{made + i}", "type": "function", "function": _spelled(call)}
                for i, call in enumerate(message.tool_calls, start=1)
            ]
            answered, made = made, made + len(message.tool_calls)
        if message.role == "tool" and answered < made:
            answered += 1
            turn["tool_call_id"] = f"call_{answered}"
        yield _with_details(turn, message)


def _preference(record: Record) -> Translation:
    assert record.chosen is not None and record.rejected is not None
    row: dict[str, object] = {
        "conversations": _turns(record.messages),
        "chosen": _turn(record.chosen),
        "rejected": _turn(record.rejected),
    }
    return Translation(_with_tools(row, record))


def _kto(record: Record) -> Translation:
    row = _openai(record).row
    row["label"] = record.label
    return Translation(row)


def _text(record: Record) -> Translation:
    return Translation({"text": record.text})


_WRITERS: Final[AnyMapping[Format, Callable[[Record], Translation]]] = {
    "alpaca": _alpaca,
    "sharegpt": _sharegpt,
    "openai": _openai,
    "prompt": _prompt,
    "preference": _preference,
    "kto": _kto,
    "text": _text,
}


# -- kinds -------------------------------------------------------------------------------------

#: What each kind leaves out when it becomes another, of any record; `convert_kind` tells of one.
_LOSSES: Final[AnyMapping[tuple[Kind, Kind], tuple[str, ...]]] = {
    ("chat", "text"): ("roles", "tools and their calls"),
    ("preference", "text"): ("rejected answers", "roles", "tools and their calls"),
    ("preference", "chat"): ("rejected answers",),
    ("preference", "kto"): ("rejected answers",),
    ("kto", "text"): ("labels", "roles", "tools and their calls"),
    ("kto", "chat"): ("labels", "records whose answer is marked as bad"),
}


def losses(kind: Kind, wanted: Kind) -> tuple[str, ...] | None:
    """Return what records of a kind lose when they become another; None if they cannot."""
    return () if kind == wanted else _LOSSES.get((kind, wanted))


def convert_kind(record: Record, kind: Kind) -> Conversion:
    """Return a record as one of another kind, and what that leaves out.

    A preference becomes a chat with its chosen answer; a labelled chat becomes a chat if its answer
    is good; each of them becomes a text without roles. Nothing is made up: a chat has no label.

    Raises:
        RecordError: if the record lacks what the kind needs.
    """
    if record.kind == kind:
        return Conversion(record)
    if kind == "text":
        return _as_text(record)
    if record.kind == "preference" and kind in ("chat", "kto"):
        assert record.chosen is not None
        label = True if kind == "kto" else None
        messages = (*record.messages, record.chosen)
        chat = Record(kind, messages, tools=record.tools, label=label)
        return Conversion(Record.from_dict(chat.to_dict()), ("rejected answers",))
    if record.kind == "kto" and kind == "chat":
        if not record.label:
            reason = "marks the answer as bad, and an example is imitated."
            raise _refused("label", reason, "Leave it out, or train on labels.")
        return Conversion(Record("chat", record.messages, tools=record.tools), ("labels",))
    raise _refused("kind", f"is {record.kind}, which cannot become {kind}.", "Choose another kind.")


def _as_text(record: Record) -> Conversion:
    messages = [*record.messages, *([record.chosen] if record.chosen else [])]
    dropped = ["roles", *_details(messages)]
    if record.tools is not None or any(message.tool_calls for message in messages):
        dropped.append("tools and their calls")
    if record.kind == "preference":
        dropped.append("rejected answers")
    if record.kind == "kto":
        dropped.append("labels")
    text = "\n\n".join(message.content for message in messages if message.content.strip())
    return Conversion(Record.of_text(text), tuple(dropped))
