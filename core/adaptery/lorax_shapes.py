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

from collections.abc import Iterable
from dataclasses import dataclass, field

from adaptery.answer_parts import Delta, TokenLogprob, Usage
from adaptery.schemas.lorax import LoraxRequest

__all__ = ["LoraxStream", "lorax_answer"]

Json = dict[str, object]


@dataclass
class _Answer:
    """An answer as it grows."""

    request: LoraxRequest
    texts: list[str] = field(default_factory=list[str])
    reason: str = "eos_token"
    tokens: int = 0

    def add(self, delta: Delta, tokens: list[Json]) -> None:
        """Adds what a chunk adds, to the newest tokens too."""
        self.texts.append(delta.text)
        self.reason = _reason(delta) or self.reason
        if self.tokens and tokens and not delta.logprobs:
            # It was held back until it was known to be no stop sequence.
            tokens[-1]["text"] = f"{tokens[-1]['text']}{delta.text}"
        else:
            tokens += _tokens(delta)
        self.tokens += len(delta.logprobs)

    def text(self) -> str:
        """The text as it is answered."""
        text = "".join(self.texts)
        return self.request.inputs + text if self.request.parameters.return_full_text else text

    def details(self, usage: Usage) -> Json:
        """What is told of it; usage counts the answers among which it was the best as well."""
        return {
            "finish_reason": self.reason,
            "prompt_tokens": usage.prompt_tokens,
            "generated_tokens": self.tokens or usage.completion_tokens,
            "skipped_tokens": 0,
            "seed": self.request.parameters.seed,
        }


class LoraxStream:
    """Turns what comes of an answer into events: one for each token, the last one at the end."""

    def __init__(self, request: LoraxRequest) -> None:
        self._answer = _Answer(request)
        self._newest: list[Json] = []  # one token, which may turn out to be the last

    def feed(self, deltas: Iterable[Delta]) -> list[Json]:
        """Returns the events of all tokens but the newest."""
        for delta in deltas:
            self._answer.add(delta, self._newest)
        ready, self._newest = self._newest[:-1], self._newest[-1:]
        return [_event(token) for token in ready]

    def end(self, usage: Usage) -> Json:
        """Returns the last event."""
        event = _event(self._newest[0] if self._newest else _token(None, ""))
        whole: Json = {
            "generated_text": self._answer.text(),
            "details": self._answer.details(usage),
        }
        return {**event, **whole}


def lorax_answer(request: LoraxRequest, deltas: Iterable[Delta], usage: Usage) -> Json:
    """Returns the plain answer that the deltas add up to."""
    answer = _Answer(request)
    tokens: list[Json] = []
    for delta in deltas:
        answer.add(delta, tokens)
    if not request.parameters.details:
        return {"generated_text": answer.text()}
    details: Json = {**answer.details(usage), "prefill": [], "tokens": tokens}
    return {"generated_text": answer.text(), "details": details}


def _reason(delta: Delta) -> str | None:
    if delta.finish_reason is None:
        return None
    if delta.finish_reason == "length":
        return "length"
    return "stop_sequence" if delta.at_stop_text else "eos_token"


def _tokens(delta: Delta) -> list[Json]:
    """Returns the tokens of a delta, its text shared out among them."""
    entries = delta.logprobs
    if not entries:  # an engine that tells no tokens
        return [_token(None, delta.text)] if delta.text else []
    texts = [entry.token for entry in entries]
    if "".join(texts) != delta.text:
        # Parts of characters have no text of their own.
        texts = [*[""] * (len(entries) - 1), delta.text]
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
