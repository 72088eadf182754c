"""The first batch of a job, token by token: content, for whoever may view it.

For a process of its own. Invariant: what it returns is answered, and kept nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator

from adaptery.examples import ChatTokenizer
from adaptery.examples.batch_order import epoch_order
from adaptery.examples.example_set import Example
from adaptery.schemas.preflight import BatchRow, Token
from adaptery_hub.preflight.counting import (
    CountOrder,
    Tally,
    prepare_examples,
    row_lengths_of,
    rows_of,
    sequences_of,
)
from adaptery_hub.processes import Report

#: Tokens of a first batch that are shown; a screen holds some hundreds.
SHOWN_TOKENS = 20_000


def find_first_batch(report: Report, order: CountOrder) -> tuple[BatchRow, ...]:
    """Return the first batch of the first epoch, token by token.

    Raises:
        RecordError: a worker would refuse these records.
        InvalidInputError: the base model has no usable tokenizer, or the template does not fit it.
    """
    tokenizer = ChatTokenizer(order.model, order.spec.template)
    places: list[tuple[str, int]] = []
    made = prepare_examples(report, order, tokenizer, Tally(places=places)).learnt
    rows = rows_of(made.lengths, order.spec)
    lengths = row_lengths_of(made.lengths, rows)
    batch = epoch_order(lengths, order.spec.optim, 0)[: order.spec.optim.batch_size]
    shown: list[BatchRow] = []
    left = SHOWN_TOKENS
    for place in (place for row in batch for place in rows[row]):
        origin = made.origins[place]
        version, position = places[origin.record - 1]
        for example in sequences_of(made.examples[place]):
            fits = len(example) <= left
            left -= len(example) if fits else 0
            tokens = tuple(_tokens(example, tokenizer)) if fits else ()
            shown.append(
                BatchRow(
                    dataset=version, record=position, tokens=tokens, cut=origin.cut, shown=fits
                )
            )
    return tuple(shown)


def _tokens(example: Example, tokenizer: ChatTokenizer) -> Iterator[Token]:
    weights = [0.0] * len(example)
    for target in example.targets:
        weights[target.start : target.end] = [target.weight] * (target.end - target.start)
    for text, weight in zip(_pieces(example, tokenizer), weights, strict=True):
        yield Token(text=text, weight=weight)


def _pieces(example: Example, tokenizer: ChatTokenizer) -> Iterator[str]:
    """Yield what each token adds to the text; of a character in several tokens, the last one."""
    ids = list(example.token_ids)
    start = done = 0  # a token is read with the one before it, which decides about white space
    for end in range(1, len(ids) + 1):
        before = tokenizer.decode(ids[start:done], special=True)
        text = tokenizer.decode(ids[start:end], special=True)
        if text.endswith("\ufffd") and end < len(ids):
            yield ""
            continue
        yield text[len(before) :]
        start, done = done, end
