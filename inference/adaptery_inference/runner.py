"""Computes a step: one forward pass over all its rows, then one token for each row that samples."""

from collections.abc import Mapping, Sequence

import torch

from adaptery_inference.engine.sampling import Choice
from adaptery_inference.engine.scheduler import Chunk
from adaptery_inference.layers.cache import KVCache
from adaptery_inference.layers.lora import AdapterWeights
from adaptery_inference.models.batching import Batcher
from adaptery_inference.models.llama import LlamaModel
from adaptery_inference.sampler import sample


class ModelRunner:
    """The torch side of the engine. Implements ``engine.Runner``."""

    def __init__(self, model: LlamaModel, cache: KVCache, batcher: Batcher) -> None:
        self._model = model
        self._cache = cache
        self._batcher = batcher
        self.forward_passes = 0  # counted, so that a test can see three adapters in one pass

    def run(self, chunks: Sequence[Chunk], adapters: Mapping[str, AdapterWeights]) -> list[Choice]:
        """The next token of each sampling chunk, in the order of ``chunks``."""
        for chunk in chunks:
            if chunk.copied_from:
                count = len(chunk.copied_from)
                self._cache.copy(chunk.copied_from, chunk.sequence.blocks[:count])
        ordered = self._batcher.order(chunks)
        logits = self.logits(ordered, adapters)
        sampling = [chunk for chunk in ordered if chunk.samples]
        if not sampling:
            return []
        rows = [chunk.sequence for chunk in sampling]
        chosen = {row.id: choice for row, choice in zip(rows, sample(logits, rows), strict=True)}
        return [chosen[chunk.sequence.id] for chunk in chunks if chunk.samples]

    def logits(
        self, ordered: Sequence[Chunk], adapters: Mapping[str, AdapterWeights]
    ) -> torch.Tensor:
        """The logits [sampling rows, V] of one forward pass over ordered chunks."""
        self.forward_passes += 1
        return self._model.forward(self._batcher.batch(ordered, adapters), self._cache)
