"""The texts of a record: what it asks, what it answers, and every text with its place.

A place is a JSON pointer (RFC 6901), such as `/messages/2/content`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

Plain = Mapping[str, Any]

#: Keys whose values are words of the format.
_NO_TEXT = frozenset({"kind", "role"})
#: An answer of fewer characters tells too little of its language.
LANGUAGE_CHARACTERS = 60


def answer_of(record: Plain) -> str:
    """Return what a model shall learn to say: the last answer, the chosen one, or the text."""
    if record["kind"] == "text":
        return record["text"]
    if record["kind"] == "preference":
        return record["chosen"]["content"]
    return record["messages"][-1]["content"]


def prompt_of(record: Plain) -> str:
    """Return everything that stands before the answer; nothing for a text."""
    messages = _before_answer(record)
    return "\n".join(message["content"] for message in messages)


def question_of(record: Plain) -> str:
    """Return what the answer answers: the message right before it."""
    messages = _before_answer(record)
    return messages[-1]["content"] if messages else ""


def language_text_of(record: Plain) -> str:
    """Return what a guess of the language is made from: the answer, with the question if short."""
    answer = answer_of(record)
    if len(answer) >= LANGUAGE_CHARACTERS:
        return answer
    return f"{answer}\n{question_of(record)}".strip()


def calls_tools(record: Plain) -> bool:
    """Whether the answer is a call of tools, which needs no words."""
    if record["kind"] == "text":
        return False
    answer = record["chosen"] if record["kind"] == "preference" else record["messages"][-1]
    return bool(answer.get("tool_calls"))


def whole_of(record: Plain) -> str:
    """Return every text of a record."""
    if record["kind"] == "text":
        return record["text"]
    return "\n".join(text for _, text in places_of(record))


def places_of(record: Plain) -> Iterator[tuple[str, str]]:
    """Yield every text of a record with its place."""
    for name, value in record.items():
        if name == "messages":  # nearly every record has nothing else
            for index, message in enumerate(value):
                if len(message) == 2:
                    yield f"/messages/{index}/content", message["content"]
                else:
                    yield from _places(message, f"/messages/{index}")
        else:
            yield from _places(value, f"/{_escaped(name)}", name)


def spoken_places_of(record: Plain) -> Iterator[tuple[str, str]]:
    """Yield what a model would learn to say, with its places: all answers, or the text."""
    if record["kind"] == "text":
        yield "/text", record["text"]
    elif record["kind"] == "preference":
        yield "/chosen/content", record["chosen"]["content"]
    else:
        for index, message in enumerate(record["messages"]):
            if message["role"] == "assistant":
                yield f"/messages/{index}/content", message["content"]


def text_at(record: Plain, place: str) -> str | None:
    """Return the text at a place; None if there is none."""
    value: Any = record
    for part in place.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list) and key.isdigit() and int(key) < len(cast("list[Any]", value)):
            value = value[int(key)]
        elif isinstance(value, dict) and key in value:
            value = value[key]
        else:
            return None
    return value if isinstance(value, str) else None


def with_texts(record: Plain, texts: Mapping[str, str]) -> dict[str, Any]:
    """Return a record with other texts at some places."""
    return cast("dict[str, Any]", _replaced(record, "", texts))


def _before_answer(record: Plain) -> Sequence[Plain]:
    if record["kind"] == "text":
        return ()
    messages = record["messages"]
    return messages if record["kind"] == "preference" else messages[:-1]


def _places(value: object, place: str, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        if key not in _NO_TEXT:
            yield place, value
    elif isinstance(value, Mapping):
        for name, item in cast("Mapping[str, object]", value).items():
            yield from _places(item, f"{place}/{_escaped(name)}", name)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(cast("Sequence[object]", value)):
            yield from _places(item, f"{place}/{index}")


def _replaced(value: object, place: str, texts: Mapping[str, str]) -> object:
    if isinstance(value, str):
        return texts.get(place, value)
    if isinstance(value, Mapping):
        items = cast("Mapping[str, object]", value).items()
        return {name: _replaced(item, f"{place}/{_escaped(name)}", texts) for name, item in items}
    if isinstance(value, list | tuple):
        items = enumerate(cast("Sequence[object]", value))
        return [_replaced(item, f"{place}/{index}", texts) for index, item in items]
    return value


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
