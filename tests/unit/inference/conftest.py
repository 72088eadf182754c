"""A real runner without a model: the next token follows from the tokens before and the adapter."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from adaptery_inference.engine import (
    Adapter,
    AdapterStore,
    BlockManager,
    Choice,
    Chunk,
    Engine,
    MemoryBudget,
    Output,
    Prompt,
    SamplingParams,
    Scheduler,
    SchedulerLimits,
)

BLOCK_TOKENS = 4
BLOCK_BYTES = 100
END = 0


def adapter(name: str, size_bytes: int = 100) -> Adapter:
    return Adapter(f"sha256:{name}", Path("/adapters") / name, size_bytes, rank=8)


@dataclass
class CountingRunner:
    """Counts up from the prompt's last token, by one, or by the adapter's weight."""

    steps: list[list[Chunk]] = field(default_factory=list)
    adapters_seen: list[set[str]] = field(default_factory=list)

    def run(self, chunks: Sequence[Chunk], adapters: Mapping[str, int]) -> list[Choice]:
        self.steps.append(list(chunks))
        self.adapters_seen.append(set(adapters))
        for chunk in chunks:
            assert len(chunk.sequence.blocks) * BLOCK_TOKENS >= chunk.start + chunk.length
            assert chunk.sequence.computed == chunk.start
        return [Choice(self._next(chunk, adapters)) for chunk in chunks if chunk.samples]

    def _next(self, chunk: Chunk, adapters: Mapping[str, int]) -> int:
        used = chunk.sequence.adapter
        return chunk.sequence.tokens[-1] + (adapters[used.digest] if used else 1)


class BreakingRunner(CountingRunner):
    """Fails while it is told to."""

    broken = True

    def run(self, chunks: Sequence[Chunk], adapters: Mapping[str, int]) -> list[Choice]:
        if self.broken:
            raise RuntimeError("the device is gone")
        return super().run(chunks, adapters)


@dataclass
class Bench:
    """An engine, its parts, and what it has put out."""

    engine: Engine[int]
    runner: CountingRunner
    wanted: list[Adapter] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)

    @property
    def scheduler(self) -> Scheduler[int]:
        return self.engine.scheduler

    def add(
        self,
        name: str,
        tokens: Sequence[int] = (1,),
        *,
        max_tokens: int | None = 3,
        adapter: Adapter | None = None,
        stop: tuple[str, ...] = (),
    ) -> None:
        params = SamplingParams(max_tokens=max_tokens, temperature=0, stop=stop)
        self.engine.add([Prompt(list(tokens), {name: params})], adapter)

    def step(self) -> list[Output]:
        result = self.engine.step(self.wanted.append)
        self.outputs += result.outputs
        self.scheduler.check_integrity()
        return list(result.outputs)

    def finish(self, max_steps: int = 500) -> None:
        for _ in range(max_steps):
            if not self.engine.has_work:
                return
            self.step()
            for each in self.wanted:
                self.engine.finish_load(each, 10)
            self.wanted.clear()
        raise AssertionError("the engine does not finish")

    def text(self, name: str) -> str:
        return "".join(o.text for o in self.outputs if o.sequence_id == name)

    def last(self, name: str) -> Output:
        return next(o for o in self.outputs if o.sequence_id == name and o.is_last)


def make_bench(
    *,
    blocks: int = 20,
    max_rows: int = 8,
    max_batch_tokens: int = 16,
    max_waiting: int = 16,
    context_tokens: int = 40,
    runner: CountingRunner | None = None,
) -> Bench:
    store = AdapterStore[int](MemoryBudget(blocks * BLOCK_BYTES))
    manager = BlockManager(store.budget, block_tokens=BLOCK_TOKENS, block_bytes=BLOCK_BYTES)
    limits = SchedulerLimits(max_rows, max_batch_tokens, max_waiting)
    runner = runner or CountingRunner()
    engine = Engine(
        runner,
        Scheduler(limits, manager, store),
        decode=lambda tokens: "".join(f"{token} " for token in tokens),
        eos_tokens={END},
        context_tokens=context_tokens,
    )
    return Bench(engine, runner)


@pytest.fixture
def bench() -> Bench:
    return make_bench()


@pytest.fixture(name="make_bench", scope="session")
def _make_bench() -> Callable[..., Bench]:
    return make_bench


@pytest.fixture(name="adapter", scope="session")
def _adapter() -> Callable[..., Adapter]:
    return adapter


@pytest.fixture
def breaking_runner() -> BreakingRunner:
    return BreakingRunner()
