"""Chatting with a base model or an adapter over the OpenAI-compatible route."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from adaptery.client.connection import ANSWER_SECONDS, Connection
from adaptery.errors import UnavailableError, from_openai

__all__ = ["ChatAnswer", "ChatStream", "Messages", "chat_request"]

CHAT_PATH = "v1/chat/completions"

Messages = str | Sequence[Mapping[str, str]]


def chat_request(
    model: str, messages: Messages, options: Mapping[str, object], *, stream: bool
) -> dict[str, object]:
    """Return the body of a request; a text alone is one message of the user."""
    turns = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
    body: dict[str, object] = {"model": model, "messages": [dict(turn) for turn in turns]}
    body |= {name: value for name, value in options.items() if value is not None}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


@dataclass(frozen=True)
class ChatAnswer:
    """A whole answer."""

    text: str
    #: The pinned name of what answered.
    model: str
    finish_reason: str | None = None
    usage: Mapping[str, int] = field(default_factory=dict[str, int])


def _choice(chunk: Mapping[str, object]) -> dict[str, object]:
    choices = chunk.get("choices")
    items = cast("list[object]", choices) if isinstance(choices, list) else []
    return cast("dict[str, object]", items[0]) if items and isinstance(items[0], dict) else {}


def _text_of(message: object) -> str:
    content = cast("dict[str, object]", message).get("content") if isinstance(message, dict) else ""
    return content if isinstance(content, str) else ""


def _usage(chunk: Mapping[str, object]) -> dict[str, int]:
    usage = chunk.get("usage")
    return cast("dict[str, int]", usage) if isinstance(usage, dict) else {}


def complete(connection: Connection, body: Mapping[str, object]) -> ChatAnswer:
    """Return the whole answer to a request that is not streamed.

    Raises:
        AdapteryError: what the service raised.
    """
    response = connection.send("POST", CHAT_PATH, json=body, read_seconds=ANSWER_SECONDS)
    answer = cast("dict[str, object]", response.json())
    choice = _choice(answer)
    return ChatAnswer(
        text=_text_of(choice.get("message")),
        model=str(answer.get("model", "")),
        finish_reason=cast("str | None", choice.get("finish_reason")),
        usage=_usage(answer),
    )


class ChatStream:
    """An answer that arrives: iterate over it for pieces of text, look at `answer` afterwards.

    Leaving the loop early ends the request, and the engine stops.
    """

    def __init__(self, connection: Connection, body: Mapping[str, object]) -> None:
        self._connection = connection
        self._body = body
        #: The whole answer, once it is complete.
        self.answer: ChatAnswer | None = None

    def __iter__(self) -> Generator[str]:
        pieces: list[str] = []
        model, reason, usage, done = "", None, {}, False
        with self._connection.events(
            "POST", CHAT_PATH, json=self._body, read_seconds=ANSWER_SECONDS
        ) as events:
            for event in events:
                if event.data == "[DONE]":
                    done = True
                    break
                chunk = cast("dict[str, object]", json.loads(event.data))
                if "error" in chunk:
                    raise from_openai(chunk)
                choice = _choice(chunk)
                model, usage = str(chunk.get("model", model)), _usage(chunk) or usage
                reason = cast("str | None", choice.get("finish_reason")) or reason
                if piece := _text_of(choice.get("delta")):
                    pieces.append(piece)
                    yield piece
        if not done:
            raise UnavailableError("The answer was cut off.", hint="ask again")
        self.answer = ChatAnswer("".join(pieces), model, reason, usage)

    def text(self) -> str:
        """Return the whole text, waiting for its end.

        Raises:
            AdapteryError: what the service raised, or `UnavailableError` if the answer was cut off.
        """
        return "".join(self)
