"""Chooses what the next forward pass computes: decode rows, prefill chunks and new rows together.

The scheduler decides; it runs nothing. One call of ``schedule`` makes one ``Step``, a list of
chunks that become one forward pass, whatever adapters their rows use.

Rules, in order:
1. every decoding row takes part (one token each), oldest first;
2. unfinished prefills share the tokens left under ``max_batch_tokens``;
3. waiting sequences are admitted in order of arrival while rows and memory last.

Several answers to one prompt compute it once: the first row leads, the others wait until its prompt
lies in the cache and begin with a copy of it. Where the leader has ended before, they compute it
themselves.

A row whose adapter is being read from disk waits outside of the batch, and later ones pass it. A
row that lacks *memory* holds back all later ones, so that nobody starves. When a running row
cannot grow, idle adapters are evicted first; then the youngest row that is not in this step gives
up its blocks and is computed again later (its output is kept).

Invariants:
* a sequence is in ``waiting`` or in ``running``, never in both;
* exactly the running sequences hold blocks and adapter references;
* a chunk's blocks are allocated before it is in a step.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from adaptery_inference.engine.adapters import Adapter, AdapterState, AdapterStore
from adaptery_inference.engine.blocks import BlockManager
from adaptery_inference.engine.sequences import Sequence

W = TypeVar("W")


@dataclass(frozen=True)
class SchedulerLimits:
    """What bounds one batch and the queue before it."""

    max_rows: int = 32
    max_batch_tokens: int = 256  # prefill tokens in one step; more would stall the decoding rows
    max_waiting: int = 128


@dataclass(frozen=True)
class Chunk:
    """Some tokens of one sequence, to be computed in this step."""

    sequence: Sequence
    start: int  # position of the first token
    length: int
    samples: bool  # whether the last token's logits choose the next token
    copied_from: tuple[int, ...] = ()  # blocks whose content its sequence's first blocks get before


@dataclass(frozen=True)
class Step:
    """What one forward pass computes."""

    chunks: tuple[Chunk, ...]
    to_load: tuple[Adapter, ...]  # adapters whose room is reserved; someone must read them now


class Scheduler(Generic[W]):
    """Continuous batching over one block manager and one adapter store."""

    def __init__(
        self, limits: SchedulerLimits, blocks: BlockManager, adapters: AdapterStore[W]
    ) -> None:
        assert blocks.budget is adapters.budget, "cache and adapters share one budget"
        self.limits = limits
        self.budget = blocks.budget
        self.blocks = blocks
        self.adapters = adapters
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []  # oldest first

    @property
    def queue_room(self) -> int:
        """How many more sequences may wait."""
        return self.limits.max_waiting - len(self.waiting)

    def capacity_tokens(self, adapter: Adapter | None) -> int:
        """How long a sequence could grow if it had the engine for itself."""
        free_bytes = self.budget.total_bytes - self.adapters.bytes_in_use(adapter)
        return free_bytes // self.blocks.block_bytes * self.blocks.block_tokens

    def add(self, sequence: Sequence) -> None:
        """Queue a sequence."""
        self.waiting.append(sequence)

    def remove(self, sequence: Sequence) -> None:
        """Take a sequence out, wherever it is, and free what it held."""
        if sequence in self.running:
            self.running.remove(sequence)
            self._free(sequence)
        elif sequence in self.waiting:
            self.waiting.remove(sequence)

    def schedule(self) -> Step:
        """Choose the chunks of the next forward pass."""
        chunks: list[Chunk] = []
        for sequence in self._snapshot(decoding=True):
            self._extend(sequence, 1, chunks)
        tokens_left = self.limits.max_batch_tokens
        for sequence in self._snapshot(decoding=False):
            tokens_left -= self._extend(sequence, tokens_left, chunks)
        to_load: list[Adapter] = []
        self._admit_waiting(tokens_left, chunks, to_load)
        return Step(tuple(chunks), tuple(to_load))

    def computed(self, chunk: Chunk) -> None:
        """Note that the keys and values of a chunk lie in the cache now."""
        chunk.sequence.computed = chunk.start + chunk.length

    def check_integrity(self) -> None:
        """Prove the invariants; for tests and idle moments."""
        self.blocks.check_integrity()
        self.adapters.check_integrity()
        assert not any(sequence.blocks or sequence.computed for sequence in self.waiting)
        held = [block for sequence in self.running for block in sequence.blocks]
        assert len(held) == len(set(held)), "two sequences share a block"

    def _snapshot(self, *, decoding: bool) -> Iterator[Sequence]:
        """Running rows of one kind; rows preempted meanwhile are left out."""
        for sequence in list(self.running):
            if (sequence.pending == 1) is decoding and sequence in self.running:
                yield sequence

    def _extend(
        self,
        sequence: Sequence,
        max_tokens: int,
        chunks: list[Chunk],
        copied_from: tuple[int, ...] = (),
    ) -> int:
        """Add the next chunk of a running sequence, if its blocks can be had."""
        length = min(sequence.pending, max_tokens)
        if length <= 0 or not self._grow(sequence, sequence.computed + length, chunks):
            return 0
        samples = length == sequence.pending
        chunks.append(Chunk(sequence, sequence.computed, length, samples, copied_from))
        return length

    def _grow(self, sequence: Sequence, tokens: int, chunks: list[Chunk]) -> bool:
        missing = self.blocks.blocks_for(tokens) - len(sequence.blocks)
        if missing <= 0:
            return True
        while not self._room_for_blocks(missing):
            victim = self._youngest_outside(sequence, chunks)
            if victim is None:
                return False
            self._preempt(victim)
        blocks = self.blocks.allocate(missing)
        assert blocks is not None
        sequence.blocks.extend(blocks)
        return True

    def _room_for_blocks(self, count: int) -> bool:
        size_bytes = count * self.blocks.block_bytes
        return self.adapters.evict_idle(size_bytes) and self.blocks.free_blocks >= count

    def _youngest_outside(self, sequence: Sequence, chunks: list[Chunk]) -> Sequence | None:
        scheduled = {chunk.sequence.id for chunk in chunks}
        for candidate in reversed(self.running):
            if candidate is sequence:
                return None  # only younger rows give way; the oldest always gets on
            if candidate.id not in scheduled:
                return candidate
        return None

    def _preempt(self, sequence: Sequence) -> None:
        self.running.remove(sequence)
        self._free(sequence)
        self.waiting.appendleft(sequence)

    def _free(self, sequence: Sequence) -> None:
        self.blocks.release(sequence.blocks)
        sequence.computed = 0
        if sequence.adapter is not None:
            self.adapters.release(sequence.adapter)

    def _admit_waiting(self, tokens_left: int, chunks: list[Chunk], to_load: list[Adapter]) -> None:
        """Start waiting sequences while tokens, rows and memory last."""
        for sequence in list(self.waiting):
            if tokens_left <= 0 or len(self.running) >= self.limits.max_rows:
                return
            state = self._adapter_state(sequence)
            if state is AdapterState.ABSENT:
                assert sequence.adapter is not None
                if not self.adapters.begin_load(sequence.adapter):
                    return
                to_load.append(sequence.adapter)
            elif state is AdapterState.RESIDENT and not self._follows(sequence):
                if not self._memory_for(sequence):
                    return
                self.waiting.remove(sequence)
                self.running.append(sequence)
                copied_from = self._copied_prompt(sequence)
                tokens_left -= self._extend(sequence, tokens_left, chunks, copied_from)

    def _follows(self, sequence: Sequence) -> bool:
        """Whether a sequence waits for its leader to compute their prompt."""
        leader = sequence.leader
        if leader is None or leader.computed >= leader.prompt_tokens:
            return False
        return leader in self.running or leader in self.waiting

    def _copied_prompt(self, sequence: Sequence) -> tuple[int, ...]:
        """The leader's blocks of the prompt, whose content a new row begins with."""
        leader = sequence.leader
        if leader is None or leader.computed < leader.prompt_tokens:
            return ()
        # One token is left to compute: its logits choose the next one.
        sequence.computed = min(sequence.prompt_tokens, len(sequence.tokens) - 1)
        return tuple(leader.blocks[: self.blocks.blocks_for(sequence.computed)])

    def _adapter_state(self, sequence: Sequence) -> AdapterState:
        if sequence.adapter is None:
            return AdapterState.RESIDENT
        return self.adapters.state(sequence.adapter)

    def _memory_for(self, sequence: Sequence) -> bool:
        """Acquire the adapter, and see that the whole prompt would find blocks."""
        adapter = sequence.adapter
        if adapter is not None and not self.adapters.acquire(adapter):
            return False
        if self._room_for_blocks(self.blocks.blocks_for(len(sequence.tokens) + 1)):
            return True
        if adapter is not None:
            self.adapters.release(adapter)
        return False
