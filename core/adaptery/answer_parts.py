"""What one chunk of an engine adds to an answer, as typed parts.

An engine runs on somebody's machine, behind an agent that may be hostile: what it sends is believed
only as far as it was asked for. `DeltaReader` is the one place that reads it.

Invariants:
- Nothing but the parts named here leaves a chunk: no other field, no name that an engine made up
  for itself.
- Choices that nobody asked for, logprobs and calls of tools that nobody asked for are left out.
- One choice holds no more characters and logprobs than its tokens can have; an agent that goes on
  is cut off.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from adaptery.errors import IntegrityError
from adaptery.schemas.chat_messages import CALLS_LIMIT, NAME_PATTERN
from adaptery.schemas.openai import ChatRequest, CompletionRequest

__all__ = [
    "COUNT_LIMIT",
    "Alternative",
    "AnswerLimits",
    "Delta",
    "DeltaReader",
    "TokenLogprob",
    "ToolPiece",
    "Usage",
    "limits_of",
]

Json = dict[str, object]

#: More tokens, or a later choice, than any answer has; what an agent says beyond is not believed.
COUNT_LIMIT = 2**31 - 1
#: Characters that one token adds at most, taken over a whole answer. Single ones may be longer.
TOKEN_CHARACTERS = 64
#: A token of a prompt is a byte at least; a chat template adds some of its own.
CHARACTER_TOKENS = 4
TEMPLATE_TOKENS = 8_192
#: Answers of few tokens are not counted so closely.
LEAST_CHARACTERS = 65_536
#: Of one token as it stands in logprobs.
TOKEN_TEXT_CHARACTERS = 256
#: What vLLM writes for minus infinity, which JSON does not have.
LEAST_LOGPROB = -9999.0

_FINISH_REASONS = frozenset({"stop", "length", "tool_calls", "content_filter"})
_CALL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NAME = re.compile(NAME_PATTERN)


@dataclass(frozen=True)
class Usage:
    """Tokens that one request cost."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    @classmethod
    def read(cls, raw: Mapping[str, object], limits: AnswerLimits | None = None) -> Usage:
        """Reads an engine's usage; anything that is not a count is taken as zero.

        Args:
            raw: What the engine said.
            limits: Up to where it is believed: it is paid for.
        """
        asked, made = count(raw.get("prompt_tokens")), count(raw.get("completion_tokens"))
        if limits is None:
            return cls(asked, made)
        return cls(min(asked, limits.prompt_tokens), min(made, limits.made_tokens))

    def to_dict(self) -> Json:
        """Returns OpenAI's usage object."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
        }


@dataclass(frozen=True)
class AnswerLimits:
    """How much an answer may hold."""

    choices: int = 1
    tokens: int = 32_768  # of each choice
    made: int = 1  # answers, to give those choices
    top_logprobs: int | None = None  # alternatives of each token; None: no logprobs
    tools: bool = False
    prompt_tokens: int = COUNT_LIMIT

    @property
    def made_tokens(self) -> int:
        """The most tokens of all answers together."""
        return self.made * self.tokens

    @property
    def characters(self) -> int:
        """The most characters of one choice."""
        return max(LEAST_CHARACTERS, self.tokens * TOKEN_CHARACTERS)


def limits_of(request: ChatRequest | CompletionRequest, tokens: int) -> AnswerLimits:
    """Returns how much the answer to a request may hold.

    Args:
        request: What is asked.
        tokens: The most tokens of each choice.
    """
    return AnswerLimits(
        choices=request.choice_count(),
        tokens=tokens,
        made=request.made_count(),
        top_logprobs=request.top_logprobs_limit(),
        tools=isinstance(request, ChatRequest) and bool(request.tools),
        prompt_tokens=TEMPLATE_TOKENS + CHARACTER_TOKENS * request.prompt_characters(),
    )


@dataclass(frozen=True)
class Alternative:
    """A token and how likely it was."""

    token: str
    logprob: float
    bytes: tuple[int, ...] | None = None


@dataclass(frozen=True)
class TokenLogprob(Alternative):
    """A token of the answer, how likely it was, and what might have stood there."""

    top: tuple[Alternative, ...] = ()
    id: int | None = None  # in the vocabulary of the base model, where it was asked for


@dataclass(frozen=True)
class ToolPiece:
    """What one chunk adds to one call of a tool; only its first piece has a name."""

    index: int
    id: str | None
    name: str | None
    arguments: str


@dataclass(frozen=True)
class Delta:
    """What one chunk adds to one choice."""

    index: int
    text: str
    finish_reason: str | None
    tool_pieces: tuple[ToolPiece, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    at_stop_text: bool = False  # whether one of the caller's stop sequences ended it

    def size(self) -> int:
        """Returns about how many bytes it takes to keep."""
        logprobs = sum(1 + len(token.top) for token in self.logprobs)
        return 64 + len(self.text) + 128 * (len(self.tool_pieces) + logprobs)

    @property
    def is_plain(self) -> bool:
        """Whether it adds text and nothing else."""
        return self.finish_reason is None and not self.tool_pieces and not self.logprobs

    @property
    def is_empty(self) -> bool:
        """Whether it adds nothing."""
        return not (self.text or self.finish_reason or self.tool_pieces or self.logprobs)


@dataclass
class _Taken:
    """How much of one choice has come."""

    characters: int = 0
    tokens: int = 0


@dataclass
class DeltaReader:
    """Reads the chunks of one answer."""

    chat: bool
    limits: AnswerLimits
    _taken: dict[int, _Taken] = field(default_factory=dict[int, _Taken])

    def read(self, raw: Mapping[str, object]) -> list[Delta]:
        """Returns what a chunk adds; of each choice, the first may be empty.

        Raises:
            IntegrityError: More comes than was asked for.
        """
        choices = raw.get("choices")
        if not isinstance(choices, list):
            return []
        found = cast("list[object]", choices)[: self.limits.choices]
        deltas: list[Delta] = []
        for choice in found:
            if isinstance(choice, dict):
                delta = self._read_choice(cast("Json", choice))
                if delta is not None:
                    deltas.append(delta)
        return deltas

    def _read_choice(self, choice: Json) -> Delta | None:
        index = count(choice.get("index"))
        if index >= self.limits.choices:
            return None
        inside = mapping(choice.get("delta")) if self.chat else choice
        delta = Delta(
            index,
            _text(inside.get("content" if self.chat else "text")),
            _finish(choice),
            self._tool_pieces(inside),
            self._logprobs(choice),
            isinstance(choice.get("stop_reason"), str),
        )
        taken = self._taken.get(index)
        if taken is None:
            taken = self._taken[index] = _Taken()
        elif delta.is_empty:
            return None
        taken.characters += len(delta.text) + sum(len(p.arguments) for p in delta.tool_pieces)
        taken.tokens += len(delta.logprobs)
        if taken.characters > self.limits.characters or taken.tokens > self.limits.tokens:
            raise IntegrityError("The agent sent more than it was asked for.")
        return delta

    def _tool_pieces(self, inside: Mapping[str, object]) -> tuple[ToolPiece, ...]:
        calls = inside.get("tool_calls") if self.chat and self.limits.tools else None
        if not isinstance(calls, list):
            return ()
        found = cast("list[object]", calls)[:CALLS_LIMIT]
        pieces = [_tool_piece(mapping(call)) for call in found]
        return tuple(piece for piece in pieces if piece.index < CALLS_LIMIT)

    def _logprobs(self, choice: Json) -> tuple[TokenLogprob, ...]:
        top = self.limits.top_logprobs
        raw = choice.get("logprobs")
        if top is None or not isinstance(raw, dict):
            return ()
        if self.chat:
            return _chat_logprobs(cast("Json", raw), top, self.limits.tokens)
        ids = _listed(choice.get("token_ids"))
        return _text_logprobs(cast("Json", raw), ids, top, self.limits.tokens)


def _tool_piece(call: Mapping[str, object]) -> ToolPiece:
    function = mapping(call.get("function"))
    id_, name = _text(call.get("id")), _text(function.get("name"))
    return ToolPiece(
        index=count(call.get("index")),
        id=id_ if _CALL_ID.fullmatch(id_) else None,
        name=name if _NAME.fullmatch(name) else None,
        arguments=_text(function.get("arguments")),
    )


def _chat_logprobs(raw: Json, top: int, most: int) -> tuple[TokenLogprob, ...]:
    read: list[TokenLogprob] = []
    for entry in map(mapping, _listed(raw.get("content"))[: most + 1]):
        found = _listed(entry.get("top_logprobs"))[:top]
        others = tuple(_alternative(mapping(other)) for other in found)
        one = _alternative(entry)
        read.append(TokenLogprob(one.token, one.logprob, one.bytes, others))
    return tuple(read)


def _text_logprobs(raw: Json, ids: list[object], top: int, most: int) -> tuple[TokenLogprob, ...]:
    tokens = _listed(raw.get("tokens"))[: most + 1]
    logprobs, tops = _listed(raw.get("token_logprobs")), _listed(raw.get("top_logprobs"))
    read: list[TokenLogprob] = []
    for position, token in enumerate(tokens):
        found = mapping(tops[position] if position < len(tops) else None)
        # The token that was taken may come on top of those that were asked for.
        others = tuple(
            Alternative(_token(name), _logprob(value))
            for name, value in list(found.items())[: top + 1 if top else 0]
        )
        logprob = logprobs[position] if position < len(logprobs) else None
        id_ = count(ids[position]) if position < len(ids) else None
        read.append(TokenLogprob(_token(token), _logprob(logprob), None, others, id_))
    return tuple(read)


def _alternative(raw: Mapping[str, object]) -> Alternative:
    return Alternative(_token(raw.get("token")), _logprob(raw.get("logprob")), _bytes(raw))


def _bytes(raw: Mapping[str, object]) -> tuple[int, ...] | None:
    found = _listed(raw.get("bytes"))[:TOKEN_TEXT_CHARACTERS]
    values = tuple(v for v in found if isinstance(v, int) and 0 <= v < 256)
    return values if values and len(values) == len(found) else None


def _token(value: object) -> str:
    return _text(value)[:TOKEN_TEXT_CHARACTERS]


def _logprob(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return LEAST_LOGPROB
    return max(LEAST_LOGPROB, min(0.0, float(value)))


def _finish(choice: Mapping[str, object]) -> str | None:
    reason = choice.get("finish_reason")
    if not isinstance(reason, str):
        return None
    return reason if reason in _FINISH_REASONS else "stop"


def _text(value: object) -> str:
    if not isinstance(value, str):
        return ""
    if value.isascii():
        return value
    # Half of a surrogate pair is no character, and no answer could carry it.
    return value.encode("utf-8", "replace").decode("utf-8")


def _listed(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def mapping(value: object) -> Mapping[str, object]:
    """Returns the value if it is a JSON object, and an empty one if not."""
    return cast("Json", value) if isinstance(value, dict) else {}


def count(value: object) -> int:
    """Returns the value if it is a count, or the nearest one."""
    if not isinstance(value, int) or isinstance(value, bool):
        return 0
    return max(0, min(value, COUNT_LIMIT))
