"""The paged KV cache, and attention over it.

Shapes: ``P`` blocks, ``T`` tokens in the flat batch, ``B`` decoding rows, ``L`` cached tokens of
the longest row rounded up to whole blocks, ``H`` query heads, ``K`` KV heads, ``C`` head dim.

The storage is block-major, so that a block is one piece of memory. On Linux without an
accelerator the storage is an anonymous mapping: a block takes memory when it is first written and
gives it back in ``forget``. That is what makes the budget shared with the adapters true.

Invariants:
* what a row has not written reads as zeros, so masked positions are finite;
* a row attends to its own blocks only.
"""

import mmap
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from adaptery_inference.models.spec import ModelSpec


@dataclass(frozen=True)
class PrefillRows:
    """One chunk of one prompt."""

    start: int  # first row in the flat batch
    end: int
    blocks: torch.Tensor | None  # [blocks of the sequence]; None when the chunk is all there is
    mask: torch.Tensor | None  # [T of the chunk, L], True where a query may look


@dataclass(frozen=True)
class DecodeRows:
    """Rows of one token each; they are the last rows of the flat batch."""

    start: int
    blocks: torch.Tensor  # [B * blocks of the longest row]; short rows repeat their first block
    mask: torch.Tensor  # [B, 1, 1, L], added to the scores
    rows: int  # B


class KVCache:
    """Keys and values of all layers, in blocks."""

    def __init__(
        self,
        spec: ModelSpec,
        *,
        blocks: int,
        block_tokens: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        shape = (blocks, spec.layers, 2, block_tokens, spec.kv_heads, spec.head_dim)
        self._block_tokens = block_tokens
        self._heads_per_kv = spec.heads // spec.kv_heads
        self._mapping: mmap.mmap | None = None
        if device.type == "cpu" and sys.platform == "linux":
            elements = torch.Size(shape).numel()
            # Private: of a shared mapping, which is the default, the pages would outlive `forget`.
            flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
            self._mapping = mmap.mmap(-1, elements * dtype.itemsize, flags=flags)
            self._data = torch.frombuffer(self._mapping, dtype=dtype).view(shape)
        else:
            self._data = torch.zeros(shape, dtype=dtype, device=device)
        self._block_bytes = self._data[0].nbytes

    def forget(self, blocks: Sequence[int]) -> None:
        """Empty free blocks, and give their memory back to the system where it can be.

        A masked position still takes part in the products: what is left there (a NaN of a broken
        adapter, say) would reach the row that gets the block next.
        """
        if self._mapping is None or self._block_bytes % mmap.PAGESIZE:
            self._data[list(blocks)] = 0  # not ours to give, or blocks share pages
            return
        for block in blocks:
            start = block * self._block_bytes
            self._mapping.madvise(mmap.MADV_DONTNEED, start, self._block_bytes)

    def copy(self, source: Sequence[int], target: Sequence[int]) -> None:
        """Give the blocks of ``target`` the content of those of ``source``."""
        self._data[list(target)] = self._data[list(source)]

    def write(
        self,
        layer: int,
        slots: tuple[torch.Tensor, torch.Tensor],
        k: torch.Tensor,
        v: torch.Tensor,
    ) -> None:
        """Store ``k`` and ``v`` [T, K, C] at ``slots`` = (block [T], offset in the block [T])."""
        self._data[:, layer, 0].index_put_(slots, k)
        self._data[:, layer, 1].index_put_(slots, v)

    def attend_prefill(
        self,
        layer: int,
        rows: PrefillRows,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
    ) -> torch.Tensor:
        """Attention of a chunk; ``q`` [T, H, C], ``k`` and ``v`` [T, K, C] are the chunk's own."""
        if rows.blocks is not None:
            k, v = self._gather(layer, rows.blocks)  # [L, K, C]
        k = k.transpose(0, 1).repeat_interleave(self._heads_per_kv, dim=0)  # [H, L, C]
        v = v.transpose(0, 1).repeat_interleave(self._heads_per_kv, dim=0)  # [H, L, C]
        attended = functional.scaled_dot_product_attention(
            q.transpose(0, 1)[None],
            k[None],
            v[None],
            attn_mask=rows.mask,
            is_causal=rows.mask is None,
        )  # [1, H, T, C]
        return attended[0].transpose(0, 1)  # [T, H, C]

    def attend_decode(self, layer: int, rows: DecodeRows, q: torch.Tensor) -> torch.Tensor:
        """Attention of one token per row; ``q`` [B, H, C].

        The queries that share a KV head are treated as one sequence of queries, so keys are not
        repeated.
        """
        k, v = self._gather(layer, rows.blocks)  # [B * L, K, C]
        k = k.unflatten(0, (rows.rows, -1)).transpose(1, 2)  # [B, K, L, C]
        v = v.unflatten(0, (rows.rows, -1)).transpose(1, 2)  # [B, K, L, C]
        grouped = q.unflatten(1, (-1, self._heads_per_kv))  # [B, K, H / K, C]
        attended = functional.scaled_dot_product_attention(grouped, k, v, attn_mask=rows.mask)
        return attended.flatten(1, 2)  # [B, H, C]

    def _gather(self, layer: int, blocks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of ``blocks`` in a row, each [len(blocks) * block, K, C]."""
        k = self._data[:, layer, 0].index_select(0, blocks).flatten(0, 1)
        v = self._data[:, layer, 1].index_select(0, blocks).flatten(0, 1)
        return k, v
