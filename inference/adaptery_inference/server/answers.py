"""Answers as they grow, and their shapes in the OpenAI API: whole, and as chunks of a stream.

Invariants:
* what is streamed adds up to what would have been answered whole;
* the log probabilities of a token come with its text or before it, once.

Source: OpenAI API reference, chat completions and completions; vLLM's ``stop_reason`` and
``token_ids``.
"""

import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from adaptery.ids import new_id
from adaptery_inference.engine.engine import Output
from adaptery_inference.engine.sampling import Choice
from adaptery_inference.engine.sequences import FinishReason
from adaptery_inference.server.logprobs import BytesOf, begun, chat_logprobs, text_logprobs
from adaptery_inference.server.tool_calls import CallPiece, ToolCallReader


@dataclass(frozen=True)
class Delta:
    """What one step adds to an answer."""

    text: str = ""
    calls: tuple[CallPiece, ...] = ()
    choices: tuple[Choice, ...] = ()
    written: int = 0  # characters before the tokens of ``choices``
    finish_reason: str | None = None
    stop: str | None = None  # the stop string that ended the answer


@dataclass
class Answer:
    """One answer as it grows."""

    reader: ToolCallReader | None = None
    bytes_of: BytesOf | None = None  # where log probabilities are shown
    keeps: bool = True  # whether it is asked for as a whole
    tokens: int = 0
    logprob: float = 0.0  # of all tokens, the end token too
    deltas: list[Delta] = field(default_factory=list)
    _written: int = 0

    @property
    def mean_logprob(self) -> float:
        """How likely the answer is, per token."""
        return self.logprob / max(1, self.tokens)

    def extend(self, output: Output) -> Delta:
        """Add what a step did."""
        text, calls = output.text, []
        if self.reader is not None:
            text, calls = self.reader.feed(output.text)
            text += self.reader.finish() if output.is_last else ""
        choice = None if output.ended_by_token else output.choice
        self.tokens += output.tokens
        self.logprob += (output.choice and output.choice.logprob) or 0.0
        delta = Delta(
            text,
            tuple(calls),
            (choice,) if choice else (),
            self._written,
            self._reason(output),
            output.stop,
        )
        if choice and self.bytes_of is not None:
            self._written += begun(self.bytes_of(choice.token))
        if self.keeps:
            self.deltas.append(delta)
        return delta

    def whole(self) -> Delta:
        """All of it as one."""
        last = self.deltas[-1] if self.deltas else Delta()
        return Delta(
            "".join(delta.text for delta in self.deltas),
            tuple(_joined(piece for delta in self.deltas for piece in delta.calls)),
            tuple(choice for delta in self.deltas for choice in delta.choices),
            0,
            last.finish_reason,
            last.stop,
        )

    def _reason(self, output: Output) -> str | None:
        called = self.reader is not None and self.reader.calls > 0
        if output.finish_reason is FinishReason.STOP and called:
            return "tool_calls"
        return output.finish_reason


@dataclass(frozen=True)
class Shape:
    """What is the same in all parts of one response."""

    chat: bool
    model: str
    top_logprobs: int | None = None  # None: no log probabilities are shown
    token_ids: bool = False  # whether the ids of the tokens are shown
    bytes_of: BytesOf = field(default=lambda token: b"")
    id: str = field(default_factory=lambda: new_id("rq"))
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, answers: Sequence[Answer], usage: dict[str, int]) -> dict[str, object]:
        """The response that is not streamed."""
        return {
            **self._head("chat.completion" if self.chat else "text_completion"),
            "choices": [self._choice(index, answer) for index, answer in enumerate(answers)],
            "usage": usage,
        }

    def first(self, index: int) -> dict[str, object] | None:
        """The chunk that opens an answer; completions have none."""
        if not self.chat:
            return None
        content = {"delta": {"role": "assistant", "content": ""}}
        return self._chunk({"index": index, **content, "logprobs": None, "finish_reason": None})

    def delta(self, index: int, delta: Delta) -> dict[str, object] | None:
        """The chunk that adds to an answer, or ends it; None where there is nothing to tell."""
        shown = self.top_logprobs is not None or self.token_ids
        if not (delta.text or delta.calls or delta.finish_reason or (shown and delta.choices)):
            return None
        content: dict[str, object] = {"content": delta.text} if delta.text else {}
        if delta.calls:
            content["tool_calls"] = [_call_chunk(piece) for piece in delta.calls]
        return self._chunk(
            {
                "index": index,
                **({"delta": content} if self.chat else {"text": delta.text}),
                **self._end(delta),
            }
        )

    def usage(self, usage: dict[str, int]) -> dict[str, object]:
        """The last chunk, where the caller asked for usage."""
        return {**self._stream_head(), "choices": [], "usage": usage}

    def _choice(self, index: int, answer: Answer) -> dict[str, object]:
        whole = answer.whole()
        if not self.chat:
            return {"index": index, "text": whole.text, **self._end(whole)}
        content = whole.text if whole.text or not whole.calls else None
        message: dict[str, object] = {"role": "assistant", "content": content}
        if whole.calls:
            message["tool_calls"] = [_call(piece) for piece in whole.calls]
        return {"index": index, "message": message, **self._end(whole)}

    def _end(self, delta: Delta) -> dict[str, object]:
        """What whole answers and chunks have alike."""
        ends: dict[str, object] = {
            "logprobs": self._logprobs(delta),
            "finish_reason": delta.finish_reason,
            "stop_reason": delta.stop,
        }
        if self.token_ids:
            ends["token_ids"] = [choice.token for choice in delta.choices]
        return ends

    def _logprobs(self, delta: Delta) -> dict[str, object] | None:
        if self.top_logprobs is None or not delta.choices:
            return None
        if self.chat:
            return chat_logprobs(delta.choices, self.bytes_of)
        return text_logprobs(delta.choices, self.bytes_of, delta.written, self.top_logprobs)

    def _chunk(self, choice: dict[str, object]) -> dict[str, object]:
        return {**self._stream_head(), "choices": [choice]}

    def _stream_head(self) -> dict[str, object]:
        return self._head("chat.completion.chunk" if self.chat else "text_completion")

    def _head(self, kind: str) -> dict[str, object]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def usage_of(answers: Iterable[Answer], prompt_tokens: int) -> dict[str, int]:
    """Counts of tokens: of all answers that were made, shown or not."""
    made = sum(answer.tokens for answer in answers)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": made,
        "total_tokens": prompt_tokens + made,
    }


def _joined(pieces: Iterable[CallPiece]) -> list[CallPiece]:
    """One piece for each call."""
    names: list[str | None] = []
    arguments: list[list[str]] = []
    for piece in pieces:
        if piece.name is not None:
            names.append(piece.name)
            arguments.append([])
        arguments[piece.index].append(piece.arguments)
    return [CallPiece(index, "".join(arguments[index]), name) for index, name in enumerate(names)]


def _call(piece: CallPiece) -> dict[str, object]:
    function = {"name": piece.name, "arguments": piece.arguments}
    return {"id": f"call_{secrets.token_hex(12)}", "type": "function", "function": function}


def _call_chunk(piece: CallPiece) -> dict[str, object]:
    if piece.name is not None:
        return {"index": piece.index, **_call(piece)}
    return {"index": piece.index, "function": {"arguments": piece.arguments}}
