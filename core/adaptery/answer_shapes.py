"""Answers in OpenAI's shape, rebuilt from what an engine sent.

The gateway rebuilds them; on the sealed channel, where it reads nothing, the client does. An
engine's chunks are never passed through: each answer is built from typed parts (`answer_parts`), so
that no engine-internal name (adapter ids, paths) reaches a caller and every engine looks the same.

Not here: transport, sealing, SSE framing.

Invariants:
- `id`, `created` and `model` are the rebuilder's and the same in every chunk of one answer.
- The first chunk of each chat choice carries the role.
- A plain answer holds exactly what its stream would have carried, and as many choices as were asked
  for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from adaptery.answer_parts import (
    COUNT_LIMIT,
    Alternative,
    AnswerLimits,
    Delta,
    DeltaReader,
    TokenLogprob,
    ToolPiece,
    Usage,
    limits_of,
)
from adaptery.schemas.openai import ChatRequest, CompletionRequest

__all__ = [
    "COUNT_LIMIT",
    "AnswerHead",
    "AnswerLimits",
    "AnswerShape",
    "ChatShape",
    "Delta",
    "Json",
    "TextShape",
    "Usage",
    "shape_of",
]

Json = dict[str, object]
Kind = Literal["chat/completions", "completions"]


@dataclass(frozen=True)
class AnswerHead:
    """What all parts of one answer share."""

    id: str
    created: int  # seconds since the epoch, as OpenAI has it
    model: str


class AnswerShape(Protocol):
    """How one kind of answer (chat or text) is read and written; one instance serves one answer."""

    @property
    def kind(self) -> Kind:
        """The path of the request that it answers."""
        ...

    @property
    def limits(self) -> AnswerLimits:
        """How much the answer may hold."""
        ...

    def read(self, raw: Mapping[str, object]) -> list[Delta]:
        """Reads the deltas of one engine chunk.

        Raises:
            IntegrityError: More comes than was asked for.
        """
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


def shape_of(request: ChatRequest | CompletionRequest, tokens: int) -> AnswerShape:
    """Returns the shape of the answer to a request.

    Args:
        request: What is asked.
        tokens: The most tokens of each choice.
    """
    limits = limits_of(request, tokens)
    return ChatShape(limits) if isinstance(request, ChatRequest) else TextShape(limits)


@dataclass
class ChatShape:
    """Answers of `chat/completions`."""

    limits: AnswerLimits = field(default_factory=AnswerLimits)
    kind: Kind = "chat/completions"
    _reader: DeltaReader = field(init=False)
    _greeted: set[int] = field(default_factory=set[int])

    def __post_init__(self) -> None:
        self._reader = DeltaReader(chat=True, limits=self.limits)

    def read(self, raw: Mapping[str, object]) -> list[Delta]:
        """Reads the deltas of one engine chunk; see `AnswerShape.read`."""
        return self._reader.read(raw)

    def chunk(self, head: AnswerHead, deltas: Sequence[Delta]) -> Json:
        """Returns one chunk of a streamed answer."""
        choices = [self._choice(head, delta) for delta in deltas]
        return _envelope(head, "chat.completion.chunk", choices)

    def usage_chunk(self, head: AnswerHead, usage: Usage) -> Json:
        """Returns the last chunk, which carries only the usage."""
        return {**_envelope(head, "chat.completion.chunk", []), "usage": usage.to_dict()}

    def whole(self, head: AnswerHead, deltas: Sequence[Delta], usage: Usage) -> Json:
        """Returns the plain answer that the deltas add up to."""
        choices: list[Json] = [
            {
                "index": delta.index,
                "message": _message(head, delta),
                "finish_reason": delta.finish_reason,
                "logprobs": self._logprobs(delta),
            }
            for delta in _add_up(deltas, self.limits.choices)
        ]
        return {**_envelope(head, "chat.completion", choices), "usage": usage.to_dict()}

    def _choice(self, head: AnswerHead, delta: Delta) -> Json:
        content: Json = {}
        if delta.text or (delta.finish_reason is None and not delta.tool_pieces):
            content["content"] = delta.text
        if delta.index not in self._greeted:
            self._greeted.add(delta.index)
            content = {"role": "assistant", "content": _content(delta)}
        if delta.tool_pieces:
            content["tool_calls"] = [_piece(head, delta.index, p) for p in delta.tool_pieces]
        return {
            "index": delta.index,
            "delta": content,
            "finish_reason": delta.finish_reason,
            "logprobs": self._logprobs(delta),
        }

    def _logprobs(self, delta: Delta) -> Json | None:
        if self.limits.top_logprobs is None or not delta.logprobs:
            return None
        content = [
            {**_likely(token), "top_logprobs": [_likely(other) for other in token.top]}
            for token in delta.logprobs
        ]
        return {"content": content, "refusal": None}


@dataclass
class TextShape:
    """Answers of `completions`."""

    limits: AnswerLimits = field(default_factory=AnswerLimits)
    kind: Kind = "completions"
    _reader: DeltaReader = field(init=False)
    _offsets: dict[int, int] = field(default_factory=dict[int, int])

    def __post_init__(self) -> None:
        self._reader = DeltaReader(chat=False, limits=self.limits)

    def read(self, raw: Mapping[str, object]) -> list[Delta]:
        """Reads the deltas of one engine chunk; see `AnswerShape.read`."""
        return self._reader.read(raw)

    def chunk(self, head: AnswerHead, deltas: Sequence[Delta]) -> Json:
        """Returns one chunk of a streamed answer."""
        return _envelope(head, "text_completion", [self._choice(delta) for delta in deltas])

    def usage_chunk(self, head: AnswerHead, usage: Usage) -> Json:
        """Returns the last chunk, which carries only the usage."""
        return {**_envelope(head, "text_completion", []), "usage": usage.to_dict()}

    def whole(self, head: AnswerHead, deltas: Sequence[Delta], usage: Usage) -> Json:
        """Returns the plain answer that the deltas add up to."""
        choices = [self._choice(delta) for delta in _add_up(deltas, self.limits.choices)]
        return {**_envelope(head, "text_completion", choices), "usage": usage.to_dict()}

    def _choice(self, delta: Delta) -> Json:
        return {
            "index": delta.index,
            "text": delta.text,
            "finish_reason": delta.finish_reason,
            "logprobs": self._logprobs(delta),
        }

    def _logprobs(self, delta: Delta) -> Json | None:
        if self.limits.top_logprobs is None or not delta.logprobs:
            return None
        offsets: list[int] = []
        for token in delta.logprobs:
            offsets.append(self._offsets.get(delta.index, 0))
            self._offsets[delta.index] = offsets[-1] + len(token.token)
        tops = [{other.token: other.logprob for other in token.top} for token in delta.logprobs]
        return {
            "tokens": [token.token for token in delta.logprobs],
            "token_logprobs": [token.logprob for token in delta.logprobs],
            "top_logprobs": tops if self.limits.top_logprobs else None,
            "text_offset": offsets,
        }


def _envelope(head: AnswerHead, kind: str, choices: list[Json]) -> Json:
    return {
        "id": head.id,
        "object": kind,
        "created": head.created,
        "model": head.model,
        "system_fingerprint": None,
        "choices": choices,
    }


def _message(head: AnswerHead, delta: Delta) -> Json:
    message: Json = {"role": "assistant", "content": _content(delta)}
    if delta.tool_pieces:
        message["tool_calls"] = [
            {name: value for name, value in _piece(head, delta.index, p).items() if name != "index"}
            for p in delta.tool_pieces
        ]
    return message


def _content(delta: Delta) -> str | None:
    return delta.text if delta.text or not delta.tool_pieces else None


def _piece(head: AnswerHead, choice: int, piece: ToolPiece) -> Json:
    if piece.name is None:
        return {"index": piece.index, "function": {"arguments": piece.arguments}}
    return {
        "index": piece.index,
        "id": piece.id or f"call_{head.id}_{choice}_{piece.index}",
        "type": "function",
        "function": {"name": piece.name, "arguments": piece.arguments},
    }


def _likely(token: Alternative) -> Json:
    raw = list(token.bytes) if token.bytes is not None else None
    return {"token": token.token, "logprob": token.logprob, "bytes": raw}


def _add_up(deltas: Sequence[Delta], choices: int) -> list[Delta]:
    """Returns one delta for each choice; an engine that gives no reason has stopped."""
    parts: list[list[Delta]] = [[] for _ in range(choices)]
    for delta in deltas:
        parts[delta.index].append(delta)
    return [_joined(index, some) for index, some in enumerate(parts)]


def _joined(index: int, deltas: Sequence[Delta]) -> Delta:
    reasons = [delta.finish_reason for delta in deltas if delta.finish_reason]
    logprobs: list[TokenLogprob] = []
    for delta in deltas:
        logprobs += delta.logprobs
    return Delta(
        index,
        "".join(delta.text for delta in deltas),
        reasons[-1] if reasons else "stop",
        tuple(_joined_calls(piece for delta in deltas for piece in delta.tool_pieces)),
        tuple(logprobs),
        any(delta.at_stop_text for delta in deltas),
    )


def _joined_calls(pieces: Iterable[ToolPiece]) -> list[ToolPiece]:
    firsts: dict[int, ToolPiece] = {}
    arguments: dict[int, list[str]] = {}
    for piece in pieces:
        if piece.name is not None:
            firsts.setdefault(piece.index, piece)
        arguments.setdefault(piece.index, []).append(piece.arguments)
    # A call of nothing is none.
    return [replace(firsts[index], arguments="".join(arguments[index])) for index in sorted(firsts)]
