"""The engine: one step is schedule, run, collect.

It ties scheduler, store and runner together and turns sampled tokens into outputs. It has no
thread, no socket and no torch: the runner computes, ``EngineThread`` calls ``step``, the server
talks to callers.

Invariants:
* every sequence that was added gets exactly one last output (a finish reason or an error), unless
  it was cancelled;
* all rows of a step go through one call of ``Runner.run``.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from collections.abc import Sequence as ListOf
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from adaptery.errors import AdapteryError, EngineBusyError, InternalError, NotFoundError
from adaptery_inference.engine.adapters import Adapter, AdapterState
from adaptery_inference.engine.sampling import NO_TOKEN, Choice, SamplingParams
from adaptery_inference.engine.scheduler import Chunk, Scheduler
from adaptery_inference.engine.sequences import FinishReason, Sequence
from adaptery_inference.engine.text import Decode, IncrementalText
from adaptery_inference.engine.throughput import ThroughputMeter
from adaptery_inference.errors import (
    BadRequestError,
    BrokenNumbersError,
    ContextTooLongError,
    EngineQueueFullError,
)

W = TypeVar("W")
W_contra = TypeVar("W_contra", contravariant=True)
#: Seconds after which a caller who found the queue full may try again.
QUEUE_RETRY_SECONDS = 2.0


class Runner(Protocol[W_contra]):
    """What computes a step."""

    def run(self, chunks: ListOf[Chunk], adapters: Mapping[str, W_contra]) -> list[Choice]:
        """Compute all chunks in one forward pass.

        Args:
            chunks: what to compute.
            adapters: the weights of every adapter in ``chunks``, by digest.

        Returns:
            The next token of each chunk that samples, in the order of ``chunks``; `NO_TOKEN` where
            its numbers are not finite, or its matcher has given up.
        """
        ...


AdapterWanted = Callable[[Adapter], None]


@dataclass(frozen=True)
class Prompt:
    """One prompt, and the sequences that complete it."""

    tokens: ListOf[int]
    rows: Mapping[str, SamplingParams]  # by the id of each new sequence


@dataclass(frozen=True)
class Output:
    """What one step did for one sequence."""

    sequence_id: str
    text: str = ""
    choice: Choice | None = None  # the token that was made
    ended_by_token: bool = False  # whether that token is the end, and no part of the answer
    finish_reason: FinishReason | None = None
    stop: str | None = None  # the stop string that ended it
    error: AdapteryError | None = None

    @property
    def is_last(self) -> bool:
        """Whether the sequence has ended."""
        return self.finish_reason is not None or self.error is not None

    @property
    def tokens(self) -> int:
        """How many tokens were made."""
        return int(self.choice is not None)


@dataclass(frozen=True)
class StepResult:
    """What one step did."""

    outputs: ListOf[Output]
    computed_tokens: int  # 0: nothing can be computed until somebody calls


@dataclass(frozen=True)
class EngineLoad:
    """How busy the engine is."""

    running: int
    waiting: int
    tokens_per_second: float
    kv_blocks_free: int
    kv_blocks_total: int


class Engine(Generic[W]):
    """Serves sequences over one base model and many adapters. Used from one thread only."""

    def __init__(
        self,
        runner: Runner[W],
        scheduler: Scheduler[W],
        *,
        decode: Decode,
        eos_tokens: Collection[int],
        context_tokens: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.scheduler = scheduler
        self.adapters = scheduler.adapters
        self.context_tokens = context_tokens
        self._runner = runner
        self._decode = decode
        self._eos_tokens = frozenset(eos_tokens)
        self._sequences: dict[str, Sequence] = {}
        self._meter = ThroughputMeter(clock)

    @property
    def has_work(self) -> bool:
        """Whether any sequence waits or runs."""
        return bool(self._sequences)

    def add(self, prompts: Iterable[Prompt], adapter: Adapter | None = None) -> None:
        """Queue the sequences of all prompts, or none of them.

        Args:
            prompts: what to complete.
            adapter: None for the base model alone.

        Raises:
            BadRequestError: a prompt is empty or does not fit the context or the memory.
            EngineQueueFullError: too many sequences wait.
        """
        sequences: list[Sequence] = []
        for prompt in prompts:
            leader = None
            for sequence_id, params in prompt.rows.items():
                sequences.append(self._sequence(sequence_id, params, prompt, adapter, leader))
                leader = leader or sequences[-1]
        if self.scheduler.queue_room < len(sequences):
            limit = self.scheduler.limits.max_waiting
            raise EngineQueueFullError(
                f"{len(self.scheduler.waiting)} of at most {limit} requests wait already.",
                retry_after_seconds=QUEUE_RETRY_SECONDS,
            )
        for sequence in sequences:
            assert sequence.id not in self._sequences
            self._sequences[sequence.id] = sequence
            self.scheduler.add(sequence)

    def cancel(self, sequence_ids: Iterable[str]) -> None:
        """Drop sequences and free their rows; ids that have ended are no error."""
        for sequence_id in sequence_ids:
            sequence = self._sequences.pop(sequence_id, None)
            if sequence is not None:
                self.scheduler.remove(sequence)

    def step(self, want: AdapterWanted) -> StepResult:
        """Run one forward pass; ``want`` is told which adapters must be read from disk."""
        step = self.scheduler.schedule()
        for adapter in step.to_load:
            want(adapter)
        if not step.chunks:
            return StepResult([], 0)
        choices = self._runner.run(step.chunks, self._weights(step.chunks))
        computed = sum(chunk.length for chunk in step.chunks)
        return StepResult(self._collect(step.chunks, choices), computed)

    def register(self, name: str, adapter: Adapter, weights: W) -> None:
        """Point ``name`` to a validated adapter, and keep its weights if there is room.

        Raises:
            BadRequestError: the adapter is larger than the whole memory budget.
        """
        if self.scheduler.capacity_tokens(adapter) < self.scheduler.blocks.block_tokens:
            total = self.scheduler.budget.total_bytes
            raise BadRequestError(
                f"The adapter needs {self.adapters.bytes_in_use(adapter)} bytes while in use; the "
                f"engine has {total} for adapters and cache together. "
                "Use a smaller rank or give the engine more memory."
            )
        self.adapters.register(name, adapter)
        absent = self.adapters.state(adapter) is AdapterState.ABSENT
        if absent and self.adapters.begin_load(adapter):
            self.adapters.finish_load(adapter, weights)

    def unregister(self, name: str) -> None:
        """Forget an adapter's name; rows that run with it finish.

        Raises:
            NotFoundError: no adapter has this name.
        """
        if not self.adapters.unregister(name):
            raise NotFoundError("No adapter of this name is loaded.")

    def finish_load(self, adapter: Adapter, weights: W) -> None:
        """Hand over weights that ``step`` wanted."""
        self.adapters.finish_load(adapter, weights)

    def fail_load(self, adapter: Adapter, error: AdapteryError) -> list[Output]:
        """Weights that ``step`` wanted cannot be read: the sequences that need them end."""
        self.adapters.fail_load(adapter)
        failed = [
            s for s in self.scheduler.waiting if s.adapter and s.adapter.digest == adapter.digest
        ]
        return self._fail(failed, error)

    def fail_running(self) -> list[Output]:
        """A step broke: what ran ends with an error (or all, if nothing ran), the rest stays."""
        broken = list(self.scheduler.running) or list(self.scheduler.waiting)
        return self._fail(broken, InternalError())

    def refuse_waiting(self) -> list[Output]:
        """The engine is stopping: what has not started ends, to be tried elsewhere."""
        return self._fail(list(self.scheduler.waiting), EngineBusyError("The engine is stopping."))

    def load(self) -> EngineLoad:
        """How busy the engine is now."""
        return EngineLoad(
            running=len(self.scheduler.running),
            waiting=len(self.scheduler.waiting),
            tokens_per_second=round(self._meter.per_second(), 2),
            kv_blocks_free=self.scheduler.blocks.free_blocks,
            kv_blocks_total=self.scheduler.blocks.total_blocks,
        )

    def _sequence(
        self,
        sequence_id: str,
        params: SamplingParams,
        prompt: Prompt,
        adapter: Adapter | None,
        leader: Sequence | None,
    ) -> Sequence:
        length = len(prompt.tokens)
        if length == 0:
            raise BadRequestError("The prompt is empty. Send at least one token.")
        answer = params.max_tokens or 1
        if length + answer > self.context_tokens:
            raise ContextTooLongError.for_lengths(length, params.max_tokens, self.context_tokens)
        room = min(self.context_tokens, self.scheduler.capacity_tokens(adapter)) - length
        if room < answer:
            raise BadRequestError(
                f"{length + answer} tokens do not fit the memory of this engine. "
                "Shorten the prompt or ask for fewer tokens."
            )
        text = IncrementalText(self._decode, params.stop)
        longest = params.max_tokens or room
        return Sequence(sequence_id, list(prompt.tokens), params, longest, text, adapter, leader)

    def _weights(self, chunks: ListOf[Chunk]) -> dict[str, W]:
        adapters = {chunk.sequence.adapter for chunk in chunks} - {None}
        return {a.digest: self.adapters.weights(a) for a in adapters if a is not None}

    def _collect(self, chunks: ListOf[Chunk], choices: ListOf[Choice]) -> list[Output]:
        for chunk in chunks:
            self.scheduler.computed(chunk)
        sampling = [chunk.sequence for chunk in chunks if chunk.samples]
        self._meter.add(len(sampling))
        return [
            self._accept(sequence, choice)
            for sequence, choice in zip(sampling, choices, strict=True)
        ]

    def _accept(self, sequence: Sequence, choice: Choice) -> Output:
        token, matcher = choice.token, sequence.matcher
        if token == NO_TOKEN:
            return self._fail([sequence], _no_token_error(sequence))[0]
        sequence.tokens.append(token)
        ends = not sequence.params.ignore_eos or matcher is not None
        ended = ends and token in self._eos_tokens
        if ended:
            text, reason = "", FinishReason.STOP
        else:
            if matcher is not None:
                matcher.accept(token)
            text = sequence.text.append(token)
            reason = self._finish_reason(sequence)
        if reason is not None:
            text += sequence.text.finish()
            del self._sequences[sequence.id]
            self.scheduler.remove(sequence)
        return Output(sequence.id, text, choice, ended, reason, sequence.text.stop)

    def _finish_reason(self, sequence: Sequence) -> FinishReason | None:
        if sequence.text.stop is not None or (sequence.matcher and sequence.matcher.complete):
            return FinishReason.STOP
        if sequence.output_tokens >= sequence.max_output_tokens:
            return FinishReason.LENGTH
        return None

    def _fail(self, sequences: ListOf[Sequence], error: AdapteryError) -> list[Output]:
        self.cancel([sequence.id for sequence in sequences])
        return [Output(sequence.id, error=error) for sequence in sequences]


def _no_token_error(sequence: Sequence) -> AdapteryError:
    """Why no token could be chosen."""
    grammar, matcher = sequence.params.grammar, sequence.matcher
    if grammar is not None and matcher is not None and matcher.broken:
        return BadRequestError.for_field(
            grammar.field, "is too complex to be followed.", "Make it smaller or less nested."
        )
    return BrokenNumbersError()
