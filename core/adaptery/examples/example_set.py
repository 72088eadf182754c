"""What a model is trained on: token ids, and which of them count in the loss.

It holds no torch.

Invariants:

1. Every example has at least one token that counts. Records that have none are dropped and counted.
2. No example is longer than the cut-off; what is beyond it is cut at the end and counted.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from adaptery.errors import RecordError

__all__ = ["Example", "ExampleSet", "Target"]


class Target(NamedTuple):
    """A half-open range of positions (of tokens or characters) that counts in the loss."""

    start: int
    end: int
    weight: float = 1.0  #: how much each of its tokens counts, above 0


@dataclass(frozen=True, slots=True)
class Example:
    """One record, ready to train on."""

    token_ids: array[int]  #: [T], 4 bytes each: a list would take nine times as much
    targets: tuple[Target, ...]

    def __len__(self) -> int:
        return len(self.token_ids)

    @property
    def target_tokens(self) -> int:
        """How many tokens count in the loss."""
        return sum(target.end - target.start for target in self.targets)


class AnyExample(Protocol):
    """What of an example is counted, whatever the stage learns from."""

    def __len__(self) -> int:
        """Tokens."""
        ...

    @property
    def target_tokens(self) -> int:
        """How many tokens count in the loss."""
        ...


Tokens: TypeAlias = "tuple[array[int], Sequence[Target]]"  # array takes no [] before 3.12
ExampleT = TypeVar("ExampleT", bound=AnyExample)

#: A log names so many records; the pre-flight counts them all.
NAMED_RECORDS = 12


class Origin(NamedTuple):
    """Where an example comes from."""

    record: int  #: the number of the record, from 1
    cut: bool


@dataclass(slots=True)
class ExampleSet(Generic[ExampleT]):
    """The examples of a dataset version and what happened to its records on the way."""

    cutoff_len: int
    examples: list[ExampleT] = field(default_factory=list[ExampleT])
    cut: int = 0  #: longer than the cut-off, trained on without their end
    dropped_cut: int = 0  #: nothing that counts was left before the cut-off
    dropped_empty: int = 0  #: nothing that counts was there at all
    origins: list[Origin] = field(default_factory=list[Origin])  #: of each example
    left_out: list[int] = field(default_factory=list[int])  #: numbers of records of dropped ones
    record: int = 0  #: the number of the record that examples are made of now

    @property
    def lengths(self) -> list[int]:
        """Tokens of each example, in order."""
        return [len(example) for example in self.examples]

    def add(self: ExampleSet[Example], token_ids: array[int], targets: Sequence[Target]) -> None:
        """Cut to the cut-off and keep, or drop, and count which."""
        self.add_made(_itself, (token_ids, targets))

    def add_made(
        self, make: Callable[..., ExampleT], *sequences: Tokens, whole: bool = False
    ) -> None:
        """Keep what is made of all sequences, each cut to the cut-off; or drop it, and count why.

        Args:
            make: takes an `Example` for each sequence.
            sequences: tokens, and which of them count.
            whole: drop instead of cutting.
        """
        limit = self.cutoff_len
        made: list[Example] = []
        for token_ids, targets in sequences:
            # The first token follows nothing, so the model never predicts it.
            real = [t._replace(start=max(t.start, 1)) for t in targets if t.end > max(t.start, 1)]
            if not real:
                self.dropped_empty += 1
                self.left_out.append(self.record)
                return
            kept = tuple(t._replace(end=min(t.end, limit)) for t in real if t.start < limit)
            if not kept or (whole and len(token_ids) > limit):
                self.drop_cut()
                return
            made.append(Example(token_ids[:limit], kept))
        is_cut = any(len(token_ids) > limit for token_ids, _ in sequences)
        self.cut += is_cut
        self.keep(make(*made), cut=is_cut)

    def drop_cut(self) -> None:
        """Leave out an example of which nothing that counts is within the cut-off."""
        self.dropped_cut += 1
        self.left_out.append(self.record)

    def keep(self, example: ExampleT, *, cut: bool = False) -> None:
        """Keep an example that fits."""
        self.examples.append(example)
        self.origins.append(Origin(self.record, cut))

    def require_examples(self) -> None:
        """Check that something is left.

        Raises:
            RecordError: no example is.
        """
        if not self.examples:
            raise RecordError(
                f"No record is left to train on: {self.describe()}.",
                hint="Raise the cut-off length, or publish records with an answer to learn from.",
            )

    def describe(self) -> str:
        """Return one line of counts for the job's log, with the numbers of records that lost."""
        tokens, targets = sum(self.lengths), sum(e.target_tokens for e in self.examples)
        mean = tokens / len(self.examples) if self.examples else 0.0
        learnt = f", {targets:,} of them learnt from" if targets else ""
        told = [f"{len(self.examples):,} examples, {tokens:,} tokens (mean {mean:.0f}){learnt}"]
        if self.cut:
            cut = [origin.record for origin in self.origins if origin.cut]
            told.append(f"{self.cut:,} cut at {self.cutoff_len:,} tokens{_named(cut)}")
        if self.left_out:
            reasons = ", ".join(
                f"{count:,} {why}"
                for count, why in (
                    (self.dropped_cut, "whose answer lies beyond the cut-off"),
                    (self.dropped_empty, "with nothing to learn"),
                )
                if count
            )
            told.append(f"left out: {reasons}{_named(self.left_out)}")
        return "; ".join(told)


def _named(records: Sequence[int]) -> str:
    """Return the first of the records by number, as a remark."""
    numbers = list(dict.fromkeys(records))
    if not numbers:
        return ""
    shown = ", ".join(map(str, numbers[:NAMED_RECORDS]))
    more = ", …" if len(numbers) > NAMED_RECORDS else ""
    return f" (record{'s' if len(numbers) > 1 else ''} {shown}{more})"


def _itself(example: Example) -> Example:
    return example
