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
        self._around: dict[int, tuple[str, str]] = {}  # by choice, once its first chunk is out

    def text(self, deltas: Sequence[Delta]) -> str:
        """Return a chunk."""
        if len(deltas) != 1 or not deltas[0].is_plain:
            return self._encode(deltas)
        delta = deltas[0]
        around = self._around.get(delta.index)
        if around is not None:
            return f"{around[0]}{encode_basestring(delta.text)}{around[1]}"
        first = self._encode(deltas)
        before, _, after = self._encode([Delta(delta.index, _MARK, None)]).partition(
            encode_basestring(_MARK)
        )
        self._around[delta.index] = before, after
        return first

    def usage(self, usage: Usage) -> str:
        """Return the last chunk, which carries only the usage."""
        return _ENCODER.encode(self._shape.usage_chunk(self._head, usage))

    def _encode(self, deltas: Sequence[Delta]) -> str:
        return _ENCODER.encode({**self._shape.chunk(self._head, deltas), **self._more})
