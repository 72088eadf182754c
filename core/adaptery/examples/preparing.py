"""From the records of a job to what its trainer gets: examples to learn from and held out ones.

Worker and pre-flight both call `prepare`, so that what is foretold is what is trained.

Invariants:

1. What is chosen is a pure function of the examples and the spec, so that a resumed attempt chooses
   the same. Templates that write the date write that of the job.
2. Nothing is in both halves, and neither is empty.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from adaptery.errors import RecordError
from adaptery.examples.building import build_examples, build_texts
from adaptery.examples.chat_tokenizer import ChatTokenizer
from adaptery.examples.example_set import ExampleSet
from adaptery.examples.judged import build_judged, build_pairs, build_prompts
from adaptery.ids import made_at
from adaptery.records import Record
from adaptery.schemas.spec import InputSpec, JobSpec, Stage

__all__ = ["Prepared", "held_out_inputs", "prepare"]

AnySet: TypeAlias = ExampleSet[Any]
_Build = Callable[[Iterable[Record], ChatTokenizer, int], AnySet]

_BUILDERS: Mapping[Stage, _Build] = {
    "pt": lambda records, tokenizer, cutoff: build_texts(records, tokenizer, cutoff_len=cutoff),
    "sft": lambda records, tokenizer, cutoff: build_examples(records, tokenizer, cutoff_len=cutoff),
    "rm": lambda records, tokenizer, cutoff: build_pairs(
        records, tokenizer, stage="rm", cutoff_len=cutoff, whole=True
    ),
    "dpo": lambda records, tokenizer, cutoff: build_pairs(
        records, tokenizer, stage="dpo", cutoff_len=cutoff
    ),
    "kto": lambda records, tokenizer, cutoff: build_judged(records, tokenizer, cutoff_len=cutoff),
    "grpo": lambda records, tokenizer, cutoff: build_prompts(records, tokenizer, cutoff_len=cutoff),
}


@dataclass(frozen=True)
class Prepared:
    """What a trainer gets."""

    learnt: AnySet
    held_out: AnySet | None = None


def prepare(
    records: Iterable[Record],
    held_out: Sequence[Record],
    tokenizer: ChatTokenizer,
    spec: JobSpec,
) -> Prepared:
    """Turn records into examples, as many as the spec asks for, and hold some out.

    Args:
        records: of the inputs to learn from.
        held_out: of inputs that are held out; without, `eval.val_size` decides.
        tokenizer: with the chat template of the spec.
        spec: of the job.

    Raises:
        RecordError: a record does not suit the stage, or too few are left.
    """
    build, cutoff = _BUILDERS[spec.stage], spec.optim.cutoff_len
    tokenizer = tokenizer.at(made_at(spec.job))
    made = _first_of_shuffled(build(records, tokenizer, cutoff), spec)
    if held_out:
        return Prepared(made, build(held_out, tokenizer, cutoff))
    wanted = _held_out_count(spec.eval.val_size, len(made.examples))
    return Prepared(made) if wanted == 0 else _split(made, wanted, spec.optim.seed)


def held_out_inputs(inputs: Sequence[InputSpec]) -> frozenset[int]:
    """Return the positions of inputs that are evaluated on.

    Those are what the spec holds out, and validation splits beside others.
    """
    named = {place for place, entry in enumerate(inputs) if entry.held_out}
    validation = {place for place, entry in enumerate(inputs) if entry.split == "validation"}
    kept = named | validation
    return frozenset(kept if len(kept) < len(inputs) else named)


def _first_of_shuffled(made: AnySet, spec: JobSpec) -> AnySet:
    count, limit = len(made.examples), spec.optim.max_samples
    if limit is None or limit >= count:
        return made
    return _pick(made, _drawn(count, limit, f"samples:{spec.optim.seed}"))


def _held_out_count(val_size: float, examples: int) -> int:
    if val_size == 0:
        return 0
    wanted = max(1, round(val_size * examples)) if val_size < 1 else int(val_size)
    if wanted >= examples:
        raise RecordError(
            f"Of {examples} examples, {wanted} would be held out: none is left to learn from.",
            hint="Hold fewer out, or train on more records.",
        )
    return wanted


def _split(made: AnySet, wanted: int, seed: int) -> Prepared:
    drawn = set(_drawn(len(made.examples), wanted, f"held out:{seed}"))
    rest = [position for position in range(len(made.examples)) if position not in drawn]
    return Prepared(_pick(made, rest), _pick(made, sorted(drawn)))


def _drawn(count: int, wanted: int, seed: str) -> list[int]:
    # An order of examples is no secret.
    return sorted(random.Random(seed).sample(range(count), wanted))  # noqa: S311


def _pick(made: AnySet, positions: Sequence[int]) -> AnySet:
    return replace(
        made,
        examples=[made.examples[position] for position in positions],
        origins=[made.origins[position] for position in positions],
    )
