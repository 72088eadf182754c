"""The chunks of one streamed answer as JSON texts.

Nearly all of them add a piece of text to a choice, and differ in nothing but that: what stands
around it is written once for each choice. The texts are those that the shape's chunks have.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from json.encoder import encode_basestring

from adaptery.answer_shapes import AnswerHead, AnswerShape, Delta, Json, Usage

_ENCODER = json.JSONEncoder(ensure_ascii=False)
#: Stands in the place of the text; no name of ours holds it.
_MARK = "\0"


class ChunkTexts:
    """Writes chunks.

    Args:
        head: what all chunks share.
        shape: of the answer; it is told of every chunk, for the first of a choice is another.
        wants_usage: whether each has a `usage`, as OpenAI has it where one is asked for.
    """

    def __init__(self, head: AnswerHead, shape: AnswerShape, *, wants_usage: bool) -> None:
        self._head = head
        self._shape = shape
        self._more: Json = {"usage": None} if wants_usage else {}
        #: What stands around a text, by choice; nothing yet where only the first chunk is out.
        self._around: dict[int, tuple[str, str] | None] = {}

    def text(self, deltas: Sequence[Delta]) -> str:
        """Return a chunk."""
        if len(deltas) != 1 or not deltas[0].is_plain:
            return self._encode(deltas)
        delta = deltas[0]
        if delta.index not in self._around:  # the first: somebody waits for it
            self._around[delta.index] = None
            return self._encode(deltas)
        before, after = self._around[delta.index] or self._look_around(delta.index)
        return f"{before}{encode_basestring(delta.text)}{after}"

    def usage(self, usage: Usage) -> str:
        """Return the last chunk, which carries only the usage."""
        return _ENCODER.encode(self._shape.usage_chunk(self._head, usage))

    def _look_around(self, index: int) -> tuple[str, str]:
        text = self._encode([Delta(index, _MARK, None)])
        before, _, after = text.partition(encode_basestring(_MARK))
        around = self._around[index] = before, after
        return around

    def _encode(self, deltas: Sequence[Delta]) -> str:
        return _ENCODER.encode({**self._shape.chunk(self._head, deltas), **self._more})
