"""Answers in OpenAI's shape, rebuilt from what an engine sent.

The gateway rebuilds them; on the sealed channel, where it reads nothing, the client does. An
engine's chunks are never passed through: each answer is built from typed parts, so that no
engine-internal name (adapter ids, paths) reaches a caller and every engine looks the same.

Not here: transport, sealing, SSE framing.

Invariants:
- `id`, `created` and `model` are the rebuilder's and the same in every chunk of one answer.
- The first chunk of each chat choice carries the role.
- A plain answer holds exactly the text its stream would have carried.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, cast

Json = dict[str, object]

#: More tokens, or a later choice, than any answer has; what an agent says beyond is not believed.
COUNT_LIMIT = 2**31 - 1


@dataclass(frozen=True)
class AnswerHead:
    """What all parts of one answer share."""

    id: str
    created: int  # seconds since the epoch, as OpenAI has it
    model: str


@dataclass(frozen=True)
class Usage:
    """Tokens that one request cost."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    @classmethod
    def read(cls, raw: Mapping[str, object]) -> Usage:
        """Reads an engine's usage; anything that is not a count is taken as zero."""
        return cls(_count(raw.get("prompt_tokens")), _count(raw.get("completion_tokens")))

    def to_dict(self) -> Json:
        """Returns OpenAI's usage object."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
        }


@dataclass(frozen=True)
class Delta:
    """What one chunk adds to one choice."""

    index: int
    text: str
    finish_reason: str | None


class AnswerShape(Protocol):
    """How one kind of answer (chat or text) is read and written."""

    @property
    def kind(self) -> Literal["chat/completions", "completions"]:
        """The path of the request that it answers."""
        ...

    def read(self, raw: Mapping[str, object]) -> list[Delta]:
        """Reads the deltas of one engine chunk."""
        ...

    def chunk(self, head: AnswerHead, deltas: Sequence[Delta]) -> Json:
        """Returns one chunk of a streamed answer."""
        ...

    def usage_chunk(self, head: AnswerHead, usage: Usage) -> Json:
        """Returns the last chunk, which carries only the usage."""
        ...

    def whole(self, head: AnswerHead, deltas: Sequence[Delta], usage: Usage) -> Json:
        """Returns the plain answer that the deltas add up to."""
        ...


@dataclass
class ChatShape:
    """Answers of `chat/completions`; one instance serves one answer."""

    kind: Literal["chat/completions"] = "chat/completions"
    _greeted: set[int] = field(default_factory=set[int])

    def read(self, raw: Mapping[str, object]) -> list[Delta]:
        """Reads the deltas of one engine chunk."""
        return [
            Delta(
                _count(choice.get("index")),
                _text(_part(choice, "delta").get("content")),
                _finish(choice),
            )
            for choice in _choices(raw)
        ]

    def chunk(self, head: AnswerHead, deltas: Sequence[Delta]) -> Json:
        """Returns one chunk of a streamed answer."""
        return _envelope(head, "chat.completion.chunk", [self._choice(delta) for delta in deltas])

    def usage_chunk(self, head: AnswerHead, usage: Usage) -> Json:
        """Returns the last chunk, which carries only the usage."""
        return {**_envelope(head, "chat.completion.chunk", []), "usage": usage.to_dict()}

    def whole(self, head: AnswerHead, deltas: Sequence[Delta], usage: Usage) -> Json:
        """Returns the plain answer that the deltas add up to."""
        choices: list[Json] = [
            {
                "index": index,
                "message": {"role": "assistant", "content": text},
                "finish_reason": reason,
                "logprobs": None,
            }
            for index, text, reason in _add_up(deltas)
        ]
        return {**_envelope(head, "chat.completion", choices), "usage": usage.to_dict()}

    def _choice(self, delta: Delta) -> Json:
        content: Json = {"content": delta.text} if delta.text or delta.finish_reason is None else {}
        if delta.index not in self._greeted:
            self._greeted.add(delta.index)
            content = {"role": "assistant", "content": delta.text}
        return {
            "index": delta.index,
            "delta": content,
            "finish_reason": delta.finish_reason,
            "logprobs": None,
        }


@dataclass(frozen=True)
class TextShape:
    """Answers of `completions`."""

    kind: Literal["completions"] = "completions"

    def read(self, raw: Mapping[str, object]) -> list[Delta]:
        """Reads the deltas of one engine chunk."""
        return [
            Delta(_count(choice.get("index")), _text(choice.get("text")), _finish(choice))
            for choice in _choices(raw)
        ]

    def chunk(self, head: AnswerHead, deltas: Sequence[Delta]) -> Json:
        """Returns one chunk of a streamed answer."""
        choices = [self._choice(d.index, d.text, d.finish_reason) for d in deltas]
        return _envelope(head, "text_completion", choices)

    def usage_chunk(self, head: AnswerHead, usage: Usage) -> Json:
        """Returns the last chunk, which carries only the usage."""
        return {**_envelope(head, "text_completion", []), "usage": usage.to_dict()}

    def whole(self, head: AnswerHead, deltas: Sequence[Delta], usage: Usage) -> Json:
        """Returns the plain answer that the deltas add up to."""
        choices = [self._choice(*added) for added in _add_up(deltas)]
        return {**_envelope(head, "text_completion", choices), "usage": usage.to_dict()}

    def _choice(self, index: int, text: str, finish_reason: str | None) -> Json:
        return {"index": index, "text": text, "finish_reason": finish_reason, "logprobs": None}


def _envelope(head: AnswerHead, kind: str, choices: list[Json]) -> Json:
    return {
        "id": head.id,
        "object": kind,
        "created": head.created,
        "model": head.model,
        "choices": choices,
    }


def _add_up(deltas: Sequence[Delta]) -> list[tuple[int, str, str | None]]:
    texts: dict[int, list[str]] = {}
    reasons: dict[int, str] = {}
    for delta in deltas:
        texts.setdefault(delta.index, []).append(delta.text)
        if delta.finish_reason:
            reasons[delta.index] = delta.finish_reason
    return [(index, "".join(texts[index]), reasons.get(index)) for index in sorted(texts)]


def _choices(raw: Mapping[str, object]) -> list[Mapping[str, object]]:
    choices = raw.get("choices")
    if not isinstance(choices, list):
        return []
    found = cast("list[object]", choices)
    return [cast("Mapping[str, object]", choice) for choice in found if isinstance(choice, dict)]


def _part(choice: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = choice.get(name)
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else {}


def _finish(choice: Mapping[str, object]) -> str | None:
    reason = choice.get("finish_reason")
    return reason if isinstance(reason, str) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        return 0
    return max(0, min(value, COUNT_LIMIT))
