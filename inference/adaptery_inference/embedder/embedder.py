"""The requests that are under way, batch by batch, on one thread.

Invariants:
- Vectors come back in the order of the texts, one for each.
- Requests take turns: between two batches of a long request, each of the others has one.
- A request that is cancelled computes no further batch.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from adaptery_inference.embedder.batching import batches

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")


class Encoder(Protocol):
    """What makes vectors; `embedder.model.EmbeddingModel`."""

    @property
    def dimensions(self) -> int:
        """Numbers in one vector."""
        ...

    def lengths(self, texts: Sequence[str]) -> tuple[list[int], int]:
        """Tokens that are read of each text, and how many texts are longer."""
        ...

    def encode(self, texts: Sequence[str]) -> "np.ndarray":
        """Vectors, ``[texts, dimensions]``, float32."""
        ...


@dataclass(frozen=True)
class Embedded:
    """The answer to one request."""

    vectors: "np.ndarray"  # [texts, dimensions], little-endian float32
    tokens: int
    #: How many texts are longer than what the model reads.
    truncated: int


class Embedder:
    """Embeds the texts of many requests with one model."""

    def __init__(self, encoder: Encoder, batch_tokens: int) -> None:
        self._encoder = encoder
        self._batch_tokens = batch_tokens
        # Its queue is first in, first out: that is how requests take turns.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedder")
        self.running = 0

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """The vectors of some texts.

        Raises:
            BrokenNumbersError: what the model computes is not finite.
        """
        self.running += 1
        try:
            return await self._embed(texts)
        finally:
            self.running -= 1

    def close(self) -> None:
        """End the thread, after the batch that it computes."""
        self._thread.shutdown(cancel_futures=True)

    async def _embed(self, texts: Sequence[str]) -> Embedded:
        import numpy as np

        lengths, truncated = await self._compute(self._encoder.lengths, texts)
        vectors = np.empty((len(texts), self._encoder.dimensions), dtype="<f4")
        for places in batches(lengths, self._batch_tokens):
            some = [texts[place] for place in places]
            vectors[places] = await self._compute(self._encoder.encode, some)
        return Embedded(vectors, sum(lengths), truncated)

    async def _compute(self, work: Callable[[Sequence[str]], T], texts: Sequence[str]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, texts)
