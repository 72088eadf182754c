"""Lays the chunks of a step out as the tensors of one forward pass.

Order of rows in the flat batch: long prefill chunks, short ones, then the decoding rows. So the
rows whose adapters are computed together (short and decoding) are one slice.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence

import torch

from adaptery_inference.engine.scheduler import Chunk
from adaptery_inference.layers.cache import DecodeRows, PrefillRows
from adaptery_inference.layers.lora import AdapterStack, AdapterWeights, LoraBatch, Segment
from adaptery_inference.models.batch import ForwardBatch

#: Chunks from this length on are computed with their own adapter's matrices; below it, the masked
#: product over all adapters costs less than the extra calls.
SEGMENT_TOKENS = 16


class Batcher:
    """Makes forward batches for one model and cache."""

    def __init__(
        self,
        *,
        block_tokens: int,
        layers: int,
        widths: Mapping[str, int],
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self._block_tokens = block_tokens
        self._layers = layers
        self._widths = widths
        self._dtype = dtype
        self._device = device
        self._stack: AdapterStack | None = None  # kept after its last step, until the next one

    def order(self, chunks: Sequence[Chunk]) -> list[Chunk]:
        """The chunks in the order of their rows."""
        return sorted(chunks, key=_row_order)

    def batch(
        self, ordered: Sequence[Chunk], adapters: Mapping[str, AdapterWeights]
    ) -> ForwardBatch:
        """The tensors for chunks that ``order`` has put in order."""
        ends = list(itertools.accumulate(chunk.length for chunk in ordered))
        starts = [end - chunk.length for chunk, end in zip(ordered, ends, strict=True)]
        decoding = [chunk for chunk in ordered if chunk.length == 1]
        decode_start = ends[-1] - len(decoding)
        return ForwardBatch(
            tokens=self._integers(t for chunk in ordered for t in _tokens(chunk)),
            positions=self._integers(p for chunk in ordered for p in _positions(chunk)),
            slots=self._slots(ordered),
            prefills=tuple(
                self._prefill(chunk, start)
                for chunk, start in zip(ordered, starts, strict=True)
                if chunk.length > 1
            ),
            decode=self._decode(decoding, decode_start) if decoding else None,
            sampled=self._integers(
                end - 1 for chunk, end in zip(ordered, ends, strict=True) if chunk.samples
            ),
            lora=self._lora(ordered, starts, adapters),
        )

    def _slots(self, ordered: Sequence[Chunk]) -> tuple[torch.Tensor, torch.Tensor]:
        size = self._block_tokens
        blocks = (c.sequence.blocks[p // size] for c in ordered for p in _positions(c))
        offsets = (p % size for c in ordered for p in _positions(c))
        return self._integers(blocks), self._integers(offsets)

    def _prefill(self, chunk: Chunk, start: int) -> PrefillRows:
        end = start + chunk.length
        if chunk.start == 0:
            return PrefillRows(start, end, None, None)
        blocks = -(-(chunk.start + chunk.length) // self._block_tokens)
        keys = torch.arange(blocks * self._block_tokens, device=self._device)  # [L]
        queries = torch.arange(chunk.start, chunk.start + chunk.length, device=self._device)
        mask = keys <= queries[:, None]  # [T, L]
        return PrefillRows(start, end, self._integers(chunk.sequence.blocks[:blocks]), mask)

    def _decode(self, decoding: Sequence[Chunk], start: int) -> DecodeRows:
        size = self._block_tokens
        lengths = [chunk.start + 1 for chunk in decoding]
        width = -(-max(lengths) // size)
        table: list[int] = []
        for chunk in decoding:
            blocks = chunk.sequence.blocks[:width]
            table += blocks + blocks[:1] * (width - len(blocks))
        keys = torch.arange(width * size, device=self._device)  # [L]
        hidden = keys >= self._integers(lengths)[:, None]  # [B, L]
        mask = torch.zeros(hidden.shape, dtype=self._dtype, device=self._device)
        mask.masked_fill_(hidden, float("-inf"))
        return DecodeRows(start, self._integers(table), mask[:, None, None], len(decoding))

    def _lora(
        self,
        ordered: Sequence[Chunk],
        starts: Sequence[int],
        adapters: Mapping[str, AdapterWeights],
    ) -> LoraBatch | None:
        if not adapters:
            self._stack = None  # its memory is not charged any more
            return None
        stack = self._stack_of(adapters)
        numbers = {adapter.digest: number for number, adapter in enumerate(stack.adapters)}
        nobody = len(numbers)
        owners = [
            numbers[c.sequence.adapter.digest] if c.sequence.adapter else nobody for c in ordered
        ]
        segments = tuple(
            Segment(start, start + chunk.length, owner)
            for chunk, start, owner in zip(ordered, starts, owners, strict=True)
            if chunk.length >= SEGMENT_TOKENS and owner != nobody
        )
        mixed = [
            owner
            for chunk, owner in zip(ordered, owners, strict=True)
            if chunk.length < SEGMENT_TOKENS
            for _ in range(chunk.length)
        ]
        if all(owner == nobody for owner in mixed):
            mixed = []
        total = starts[-1] + ordered[-1].length
        return LoraBatch(
            stack=stack,
            segments=segments,
            mixed=slice(total - len(mixed), total),
            row_adapters=self._integers(mixed),
            uniform=nobody == 1 and all(owner == 0 for owner in mixed),
        )

    def _stack_of(self, adapters: Mapping[str, AdapterWeights]) -> AdapterStack:
        """The gathered adapters; made anew only when other adapters are active."""
        wanted = [adapters[digest] for digest in sorted(adapters)]
        if self._stack is None or list(self._stack.adapters) != wanted:
            self._stack = None  # let the old one go before the new one is made
            self._stack = AdapterStack(wanted, self._layers, self._widths)
        return self._stack

    def _integers(self, values: Iterable[int]) -> torch.Tensor:
        return torch.tensor(list(values), dtype=torch.long, device=self._device)


def _row_order(chunk: Chunk) -> int:
    if chunk.length >= SEGMENT_TOKENS:
        return 0
    return 1 if chunk.length > 1 else 2


def _tokens(chunk: Chunk) -> list[int]:
    return chunk.sequence.tokens[chunk.start : chunk.start + chunk.length]


def _positions(chunk: Chunk) -> range:
    return range(chunk.start, chunk.start + chunk.length)
