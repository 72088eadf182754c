"""Examples of the stages that learn which answers are good: pairs, judged answers, prompts.

All are rendered as those of supervised fine-tuning are; what counts is the one answer that was
judged, never those before it. An answer ends with its end-of-turn token: what a template writes
behind that is no part of it.

Invariant: error messages name the record by its number and never quote it.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from adaptery.errors import InvalidInputError, RecordError
from adaptery.examples.building import conversation_tokens, plain_message, require_kind
from adaptery.examples.chat_tokenizer import ChatTokenizer
from adaptery.examples.example_set import Example, ExampleSet, Tokens
from adaptery.records import Message, Record
from adaptery.schemas.spec import Stage

__all__ = ["Judged", "Pair", "Prompt", "build_judged", "build_pairs", "build_prompts"]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers to the same, of which one was chosen."""

    chosen: Example
    rejected: Example

    def __len__(self) -> int:
        return len(self.chosen) + len(self.rejected)

    @property
    def target_tokens(self) -> int:
        """How many tokens of both answers count."""
        return self.chosen.target_tokens + self.rejected.target_tokens


@dataclass(frozen=True, slots=True)
class Judged:
    """An answer that was called good or bad."""

    good: bool
    answered: Example

    def __len__(self) -> int:
        return len(self.answered)

    @property
    def target_tokens(self) -> int:
        """How many tokens of the answer count."""
        return self.answered.target_tokens


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model is to answer by itself, with the opening of an answer."""

    token_ids: array[int]

    def __len__(self) -> int:
        return len(self.token_ids)

    @property
    def target_tokens(self) -> int:
        """None of a prompt counts."""
        return 0


def build_pairs(
    records: Iterable[Record],
    tokenizer: ChatTokenizer,
    *,
    stage: Stage,
    cutoff_len: int,
    whole: bool = False,
) -> ExampleSet[Pair]:
    """Tokenize preferences.

    Args:
        records: of kind preference.
        tokenizer: with the chat template.
        stage: for messages.
        cutoff_len: tokens of prompt and answer.
        whole: drop a pair that is longer instead of cutting it; what has no end has no score.

    Raises:
        RecordError: a record is of another kind, the chat template refuses one, or none is left.
    """
    made: ExampleSet[Pair] = ExampleSet(cutoff_len)
    for number, record in enumerate(records, start=1):
        made.record = number
        require_kind(record, stage, number)
        assert record.chosen is not None and record.rejected is not None
        made.add_made(
            Pair,
            _answered(record, record.chosen, tokenizer, number),
            _answered(record, record.rejected, tokenizer, number),
            whole=whole,
        )
    made.require_examples()
    return made


def build_judged(
    records: Iterable[Record], tokenizer: ChatTokenizer, *, cutoff_len: int
) -> ExampleSet[Judged]:
    """Tokenize judged answers; a preference is a good one and a bad one.

    Raises:
        RecordError: a record is of another kind, the chat template refuses one, or none is left.
    """
    made: ExampleSet[Judged] = ExampleSet(cutoff_len)
    for number, record in enumerate(records, start=1):
        made.record = number
        require_kind(record, "kto", number)
        for answer, good in _judged_answers(record):
            tokens = _answered(record, answer, tokenizer, number)
            made.add_made(partial(Judged, good), tokens)
    made.require_examples()
    return made


def build_prompts(
    records: Iterable[Record], tokenizer: ChatTokenizer, *, cutoff_len: int
) -> ExampleSet[Prompt]:
    """Tokenize conversations up to their last answer; a prompt is never cut, but dropped.

    Raises:
        RecordError: a record is of another kind, the chat template refuses one, or none is left.
    """
    made: ExampleSet[Prompt] = ExampleSet(cutoff_len)
    for number, record in enumerate(records, start=1):
        made.record = number
        require_kind(record, "grpo", number)
        asked = [plain_message(message) for message in _before_answer(record.messages)]
        try:
            text = tokenizer.render(asked, record.tools or (), opening=True)
        except InvalidInputError as error:
            raise RecordError(f"Record {number}: {error.message}", hint=error.hint) from None
        ids = array("i", tokenizer.encode_rendered(text).ids)
        if len(ids) > cutoff_len:
            made.drop_cut()
        else:
            made.keep(Prompt(ids))
    made.require_examples()
    return made


def _answered(record: Record, answer: Message, tokenizer: ChatTokenizer, number: int) -> Tokens:
    """Return the tokens up to the end of an answer, which alone counts."""
    asked = record.messages if record.kind == "preference" else _before_answer(record.messages)
    weighed = [replace(message, weight=0.0) for message in asked]
    ids, targets = conversation_tokens(
        [*weighed, replace(answer, weight=1.0)], record.tools or (), tokenizer, number
    )
    return ids[: targets[-1].end], targets


def _judged_answers(record: Record) -> Iterable[tuple[Message, bool]]:
    if record.kind == "kto":
        yield record.messages[-1], bool(record.label)
    else:
        assert record.chosen is not None and record.rejected is not None
        yield record.chosen, True
        yield record.rejected, False


def _before_answer(messages: Sequence[Message]) -> Sequence[Message]:
    """Return a conversation, which ends with an answer, without that."""
    return messages[:-1]
