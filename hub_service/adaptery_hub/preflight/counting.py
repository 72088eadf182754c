"""A job's records through the worker's own code: how many examples, tokens, batches and steps.

For a process of its own: templates and tokenizers are strangers' data. Nothing is kept here.

Invariants:

- Examples, masks, held out ones, rows and the order of batches are made by the functions that the
  worker calls (`adaptery.examples`), so that what is told is what is trained.
- What comes back is numbers.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from adaptery.errors import RecordError
from adaptery.examples import ChatTokenizer, Prepared, prepare
from adaptery.examples.batch_order import epoch_order, padding_share
from adaptery.examples.example_set import Example, ExampleSet
from adaptery.examples.judged import Judged, Pair, Prompt
from adaptery.examples.packing import pack
from adaptery.formats import convert_kind
from adaptery.records import Kind, Record
from adaptery.schemas.review import LengthBin
from adaptery.schemas.spec import JobSpec
from adaptery_hub.objects.encryption import Readable
from adaptery_hub.preflight.memory import ModelShape, read_shape
from adaptery_hub.processes import Report
from adaptery_hub.publishing.shards import read_rows
from adaptery_hub.review.lengths import length_bins
from adaptery_hub.review.quality import holds_placeholder

REPORT_EVERY = 200


@dataclass(frozen=True)
class CountInput:
    """One version of a job, as files that can be read here."""

    shards: Mapping[str, Readable]
    version: str  # its pinned name
    split: str
    records: int
    kind: Kind | None = None  # what its records are translated to
    held_out: bool = False


@dataclass(frozen=True)
class CountOrder:
    """What to count."""

    inputs: tuple[CountInput, ...]
    spec: JobSpec
    model: Path  # what describes the base model
    #: Whether it may be told that a held out record is learnt too: of data that may only be used,
    #: that would tell whoever guesses a record whether it is there.
    tells_leaks: bool = False


@dataclass(frozen=True)
class Counts:
    """What was counted."""

    records: int = 0
    held_out: int = 0
    examples: int = 0
    cut: int = 0
    dropped_cut: int = 0
    dropped_empty: int = 0
    tokens: int = 0
    target_tokens: int = 0
    longest: int = 0
    lengths: tuple[LengthBin, ...] = ()
    padding_share: float = 0.0
    steps: int = 0
    steps_per_epoch: int = 0
    total_tokens: int = 0
    batch_tokens: int = 0  # of the largest batch, padding included
    batch_targets: int = 0  # that count in the batch with the most
    untranslated: int = 0  # records that cannot become the kind that the stage takes
    placeholders: int = 0  # records with something that was to be filled in
    leaked: int = 0  # held out records that are learnt too
    unended: int = 0  # uncut examples that end without a token that ends an answer
    shape: ModelShape | None = None
    #: What a worker would refuse these records for: the message and the remedy.
    refusal: tuple[str, str] | None = None


@dataclass
class Tally:
    """What is counted while records are read."""

    tells_leaks: bool = False
    records: int = 0
    untranslated: int = 0
    placeholders: int = 0
    leaked: int = 0
    learnt_ids: set[str] = field(default_factory=set[str])
    #: Of each record to learn from, its version and its position there; None: nobody asks.
    places: list[tuple[str, int]] | None = None


def count(report: Report, order: CountOrder) -> Counts:
    """Prepare a job's examples and count them.

    Raises:
        InvalidInputError: the base model has no usable tokenizer, or the template does not fit it.
    """
    tally = Tally(order.tells_leaks)
    shape = read_shape(order.model)
    tokenizer = ChatTokenizer(order.model, order.spec.template)
    try:
        made = prepare_examples(report, order, tokenizer, tally)
    except RecordError as error:
        refusal = (error.message, error.hint or "")
        return Counts(
            records=tally.records,
            untranslated=tally.untranslated,
            placeholders=tally.placeholders,
            leaked=tally.leaked,
            shape=shape,
            refusal=refusal,
        )
    counts = _counted(order.spec, made, tally)
    return replace(counts, shape=shape, unended=_unended(order.spec, made.learnt, tokenizer))


def prepare_examples(
    report: Report, order: CountOrder, tokenizer: ChatTokenizer, tally: Tally
) -> Prepared:
    """Return what the trainer would get.

    Raises:
        RecordError: a worker would refuse these records.
    """
    total = sum(entry.records for entry in order.inputs)
    learnt = [entry for entry in order.inputs if not entry.held_out]
    kept = [entry for entry in order.inputs if entry.held_out]
    records = _records(report, learnt, tally, total)
    # Those to learn from come first, so that it is known which of the others are among them.
    first = list(records) if kept else records
    return prepare(first, list(_records(report, kept, tally, total)), tokenizer, order.spec)


def _records(
    report: Report, inputs: Sequence[CountInput], tally: Tally, total: int
) -> Iterator[Record]:
    for entry in inputs:
        for row in read_rows(list(entry.shards), entry.shards.__getitem__, 0):
            if entry.split not in ("all", row.split):
                continue
            tally.records += 1
            if tally.records % REPORT_EVERY == 0:
                report(min(tally.records, total), total)
            plain = json.loads(row.text)
            tally.placeholders += holds_placeholder(plain)
            if entry.held_out:
                tally.leaked += tally.tells_leaks and row.record_id in tally.learnt_ids
            else:
                tally.learnt_ids.add(row.record_id)
            record = _translated(Record.from_dict(plain), entry.kind)
            if record is None:
                tally.untranslated += 1
            else:
                if tally.places is not None and not entry.held_out:
                    tally.places.append((entry.version, row.position))
                yield record


def _translated(record: Record, kind: Kind | None) -> Record | None:
    if kind is None:
        return record
    try:
        return convert_kind(record, kind).record
    except RecordError:
        return None


def _counted(spec: JobSpec, made: Prepared, tally: Tally) -> Counts:
    learnt = made.learnt
    lengths = learnt.lengths
    rows = rows_of(lengths, spec)
    row_lengths = row_lengths_of(lengths, rows)
    sequence = epoch_order(row_lengths, spec.optim, 0)
    steps_per_epoch, steps = _steps(len(rows), spec)
    tokens = sum(lengths)
    size = spec.optim.batch_size
    batches = [sequence[start : start + size] for start in range(0, len(sequence), size)]
    targets = [sum(learnt.examples[place].target_tokens for place in row) for row in rows]
    return Counts(
        records=tally.records,
        held_out=len(made.held_out.examples) if made.held_out else 0,
        examples=len(lengths),
        cut=learnt.cut,
        dropped_cut=learnt.dropped_cut,
        dropped_empty=learnt.dropped_empty,
        tokens=tokens,
        target_tokens=sum(targets),
        longest=max(lengths),
        lengths=tuple(_bins(lengths)),
        padding_share=padding_share(row_lengths, sequence, size),
        steps=steps,
        steps_per_epoch=steps_per_epoch,
        total_tokens=round(tokens * steps / steps_per_epoch),
        batch_tokens=max(len(b) * max(row_lengths[row] for row in b) for b in batches),
        batch_targets=max(sum(targets[row] for row in batch) for batch in batches),
        untranslated=tally.untranslated,
        placeholders=tally.placeholders,
        leaked=tally.leaked,
    )


def rows_of(lengths: Sequence[int], spec: JobSpec) -> list[list[int]]:
    """Return which examples share a row."""
    if spec.optim.batching == "packed":
        return pack(lengths, spec.optim.cutoff_len)
    return [[place] for place in range(len(lengths))]


def row_lengths_of(lengths: Sequence[int], rows: Sequence[Sequence[int]]) -> list[int]:
    """Return the tokens of each row."""
    return [sum(lengths[place] for place in row) for row in rows]


def _steps(rows: int, spec: JobSpec) -> tuple[int, int]:
    """Return optimiser steps of an epoch and of the whole job, as the Trainer counts them."""
    optim = spec.optim
    if spec.reward is None:
        batches = math.ceil(rows / optim.batch_size)
        per_epoch = max(1, math.ceil(batches / optim.gradient_accumulation))
    else:  # a batch is of answers, several to each prompt
        answers = optim.batch_size * optim.gradient_accumulation
        per_epoch = math.ceil(rows / (answers // spec.reward.generations))
    return per_epoch, optim.max_steps or math.ceil(optim.epochs * per_epoch)


def _bins(lengths: Sequence[int]) -> Iterator[LengthBin]:
    counts = sorted(Counter(lengths).items())
    highest = sorted(lengths)[int(0.99 * (len(lengths) - 1))]
    return length_bins(counts, max(highest, 1))


def _unended(spec: JobSpec, learnt: ExampleSet[Any], tokenizer: ChatTokenizer) -> int:
    if spec.stage == "pt":  # a long text is several examples, and no answer
        return 0
    ends = tokenizer.end_tokens()
    return sum(
        not (origin.cut or _last_targets(example) <= ends)
        for example, origin in zip(learnt.examples, learnt.origins, strict=True)
    )


def _last_targets(example: Example | Pair | Judged | Prompt) -> set[int]:
    """Return the tokens that answers end with."""
    return {
        sequence.token_ids[sequence.targets[-1].end - 1]
        for sequence in sequences_of(example)
        if sequence.targets
    }


def sequences_of(example: Example | Pair | Judged | Prompt) -> tuple[Example, ...]:
    """Return the token sequences of an example, whatever the stage learns from."""
    if isinstance(example, Pair):
        return example.chosen, example.rejected
    if isinstance(example, Judged):
        return (example.answered,)
    if isinstance(example, Prompt):
        return (Example(example.token_ids, ()),)
    return (example,)
