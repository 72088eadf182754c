"""The pages of the KV cache: which are free, and which belong to which sequence.

A block holds the keys and values of ``block_tokens`` tokens in all layers. This module counts
and names blocks; their content lies in the runner. Each block in use is charged to the memory
budget, so adapters and cache compete for the same bytes.

Blocks are never shared between sequences: cached keys depend on the adapter that made them. The
answers to one prompt, which have the same adapter, copy them.

Invariants (``check_integrity``):
* a block is either free or owned by exactly one list handed out;
* the charge of the budget is blocks in use times ``block_bytes``;
* the lowest free block is handed out first, which keeps the touched part of the cache compact.
"""

import heapq
from collections.abc import Callable, Sequence

from adaptery.errors import InvalidInputError
from adaptery_inference.engine.budget import Account, MemoryBudget


class BlockManager:
    """Hands out the numbers of KV blocks."""

    def __init__(
        self,
        budget: MemoryBudget,
        *,
        block_tokens: int,
        block_bytes: int,
        on_release: Callable[[Sequence[int]], None] | None = None,
    ) -> None:
        self.block_tokens = block_tokens
        self.block_bytes = block_bytes
        self.total_blocks = budget.total_bytes // block_bytes
        if self.total_blocks == 0:
            raise InvalidInputError(
                f"The memory budget of {budget.total_bytes} bytes holds not even one block of the "
                f"KV cache, which takes {block_bytes} bytes."
            )
        self.budget = budget
        self._on_release = on_release  # told which blocks' content is not needed any more
        self._free = list(range(self.total_blocks))  # a heap; a sorted list is one
        self._used: set[int] = set()

    @property
    def free_blocks(self) -> int:
        """How many blocks could be had now, given what else uses the budget."""
        return min(len(self._free), self.budget.free_bytes // self.block_bytes)

    def blocks_for(self, tokens: int) -> int:
        """How many blocks hold ``tokens`` tokens."""
        return -(-tokens // self.block_tokens)

    def allocate(self, count: int) -> list[int] | None:
        """Take ``count`` blocks, or none at all and answer None."""
        if count > len(self._free):
            return None
        if not self.budget.charge(Account.KV, count * self.block_bytes):
            return None
        blocks = [heapq.heappop(self._free) for _ in range(count)]
        self._used.update(blocks)
        return blocks

    def release(self, blocks: list[int]) -> None:
        """Give ``blocks`` back and empty the list."""
        assert self._used.issuperset(blocks), "release of a block that is not in use"
        self._used.difference_update(blocks)
        for block in blocks:
            heapq.heappush(self._free, block)
        if self._on_release is not None:
            self._on_release(blocks)
        self.budget.refund(Account.KV, len(blocks) * self.block_bytes)
        blocks.clear()

    def check_integrity(self) -> None:
        """Prove the invariants; for tests and idle moments."""
        assert len(self._free) + len(self._used) == self.total_blocks
        assert set(self._free).isdisjoint(self._used)
        assert self.budget.used_bytes(Account.KV) == len(self._used) * self.block_bytes
