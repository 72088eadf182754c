"""The shapes of the OpenAI API: whole answers and chunks of a stream.

Source: OpenAI API reference, chat completions and completions.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from adaptery.ids import new_id
from adaptery_inference.engine.sequences import FinishReason


@dataclass
class Answer:
    """One answer as it grows."""

    text: str = ""
    tokens: int = 0
    finish_reason: FinishReason | None = None


@dataclass(frozen=True)
class Shape:
    """What is the same in all parts of one response."""

    chat: bool
    model: str
    id: str = field(default_factory=lambda: new_id("rq"))
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, answers: Sequence[Answer], prompt_tokens: int) -> dict[str, object]:
        """The response that is not streamed."""
        return {
            **self._head("chat.completion" if self.chat else "text_completion"),
            "choices": [self._choice(index, answer) for index, answer in enumerate(answers)],
            "usage": usage(answers, prompt_tokens),
        }

    def first(self, index: int) -> dict[str, object] | None:
        """The chunk that opens an answer; completions have none."""
        if not self.chat:
            return None
        return self._chunk(index, {"role": "assistant", "content": ""}, None)

    def delta(self, index: int, text: str, reason: FinishReason | None) -> dict[str, object]:
        """The chunk that adds text, or ends an answer."""
        return self._chunk(index, {"content": text} if text else {}, reason, text)

    def usage(self, answers: Iterable[Answer], prompt_tokens: int) -> dict[str, object]:
        """The last chunk, where the caller asked for usage."""
        return {**self._stream_head(), "choices": [], "usage": usage(answers, prompt_tokens)}

    def _choice(self, index: int, answer: Answer) -> dict[str, object]:
        content: dict[str, object] = (
            {"message": {"role": "assistant", "content": answer.text}}
            if self.chat
            else {"text": answer.text}
        )
        return {"index": index, **content, "logprobs": None, "finish_reason": answer.finish_reason}

    def _chunk(
        self, index: int, delta: dict[str, str], reason: FinishReason | None, text: str = ""
    ) -> dict[str, object]:
        content: dict[str, object] = {"delta": delta} if self.chat else {"text": text}
        choice = {"index": index, **content, "logprobs": None, "finish_reason": reason}
        return {**self._stream_head(), "choices": [choice]}

    def _stream_head(self) -> dict[str, object]:
        return self._head("chat.completion.chunk" if self.chat else "text_completion")

    def _head(self, kind: str) -> dict[str, object]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def usage(answers: Iterable[Answer], prompt_tokens: int) -> dict[str, int]:
    """Counts of tokens."""
    made = sum(answer.tokens for answer in answers)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": made,
        "total_tokens": prompt_tokens + made,
    }
