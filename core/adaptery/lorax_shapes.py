"""Answers in LoRAX's shape, from the same typed parts as OpenAI's.

Not here: transport, SSE framing, errors.

Invariants:
- The texts of all tokens put together are the generated text, also where a character takes several
  tokens.
- The last event of a stream holds the whole text and the details; there is always one.

Source: LoRAX, router/src/lib.rs (CompatGenerateResponse, StreamResponse); lorax-client 0.6 reads
`id` and `logprob` of every token as numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from adaptery.answer_parts import Delta, TokenLogprob, Usage
from adaptery.schemas.lorax import LoraxRequest

__all__ = ["LoraxStream", "lorax_answer"]

Json = dict[str, object]


@dataclass
class LoraxStream:
    """Turns what comes of an answer into events: one for each token, the last one at the end."""

    request: LoraxRequest
    _text: list[str] = field(default_factory=list[str])
    _held: Json | None = None  # the newest token: it may turn out to be the last
    _reason: str = "eos_token"

    def feed(self, deltas: Iterable[Delta]) -> list[Json]:
        """Returns the events of all tokens but the newest."""
        events: list[Json] = []
        for delta in deltas:
            self._text.append(delta.text)
            self._reason = _reason(delta) or self._reason
            for token in _tokens(delta):
                if self._held is not None:
                    events.append(_event(self._held))
                self._held = token
        return events

    def end(self, usage: Usage) -> Json:
        """Returns the last event."""
        details: Json = {
            "finish_reason": self._reason,
            "prompt_tokens": usage.prompt_tokens,
            "generated_tokens": usage.completion_tokens,
            "seed": self.request.parameters.seed,
        }
        text = _whole_text(self.request, self._text)
        return {
            **_event(self._held or _token(None, "")),
            "generated_text": text,
            "details": details,
        }


def lorax_answer(request: LoraxRequest, deltas: Sequence[Delta], usage: Usage) -> Json:
    """Returns the plain answer that the deltas add up to."""
    answer: Json = {"generated_text": _whole_text(request, [delta.text for delta in deltas])}
    if not request.parameters.details:
        return answer
    reasons = [reason for delta in deltas if (reason := _reason(delta))]
    tokens = [token for delta in deltas for token in _tokens(delta)]
    answer["details"] = {
        "finish_reason": reasons[-1] if reasons else "eos_token",
        "prompt_tokens": usage.prompt_tokens,
        # Of the answer that is given; usage counts those among which it was the best as well.
        "generated_tokens": len(tokens) if request.parameters.best_of else usage.completion_tokens,
        "skipped_tokens": 0,
        "seed": request.parameters.seed,
        "prefill": [],
        "tokens": tokens,
    }
    return answer


def _whole_text(request: LoraxRequest, texts: Iterable[str]) -> str:
    text = "".join(texts)
    return request.inputs + text if request.parameters.return_full_text else text


def _reason(delta: Delta) -> str | None:
    if delta.finish_reason is None:
        return None
    if delta.finish_reason == "length":
        return "length"
    return "stop_sequence" if delta.at_stop_text else "eos_token"


def _tokens(delta: Delta) -> list[Json]:
    """Returns the tokens of a delta, its text shared out among them."""
    entries = delta.logprobs
    texts = [entry.token for entry in entries]
    if "".join(texts) != delta.text:
        # A part of a character, or of what might have become a stop sequence, came with no text.
        texts = [*[""] * (len(entries) - 1), delta.text] if entries else [delta.text]
    if not entries:
        return [_token(None, delta.text)] if delta.text else []
    return [_token(entry, text) for entry, text in zip(entries, texts, strict=True)]


def _token(entry: TokenLogprob | None, text: str) -> Json:
    return {
        "id": entry.id or 0 if entry else 0,  # an engine that does not say leaves 0
        "text": text,
        "logprob": entry.logprob if entry else 0.0,
        "special": False,  # engines leave special tokens out of answers
        "skipped": False,
    }


def _event(token: Json) -> Json:
    return {"token": token, "generated_text": None, "details": None}
