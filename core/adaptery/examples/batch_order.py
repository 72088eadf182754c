"""The order in which the examples of one epoch are trained on: similar lengths side by side.

A batch is padded to its longest row. In random order about half of what is computed is padding on
real dialogue data; sorted inside windows it is a few percent, at the same batch size.

It knows lengths only: no tokens, no torch.

Invariants:

1. The order is a permutation, and a pure function of (lengths, batch size, seed, epoch). So a
   resumed attempt finds its place by counting.
2. Only the last batch of an epoch may be short.

Source: shared measurements of padding on MTS-Dialog; the idea is that of the `LengthGroupedSampler`
in Hugging Face transformers, but that one leaves each window sorted, so training would begin with
long batches only. Here the batches of a window are shuffled again.
"""

import random
from collections.abc import Sequence

from adaptery.schemas.spec import OptimSpec

#: Batches per window at most. More sorts better and mixes less; from 50 on nothing is gained.
MAX_WINDOW_BATCHES = 50
#: An epoch has at least this many windows where it is long enough, so that the members of a
#: batch change from epoch to epoch even in a small dataset.
MIN_WINDOWS = 4
#: A window of fewer batches than this sorts hardly anything.
MIN_WINDOW_BATCHES = 5


def epoch_order(lengths: Sequence[int], optim: OptimSpec, epoch: int) -> list[int]:
    """Return the positions of all rows in training order for one epoch, as a job asks for it."""
    batch_size = 1 if optim.batching == "shuffled" else optim.batch_size  # of one: only shuffled
    return order_by_length(lengths, batch_size=batch_size, seed=optim.seed, epoch=epoch)


def order_by_length(lengths: Sequence[int], *, batch_size: int, seed: int, epoch: int) -> list[int]:
    """Return the positions of all examples in training order for one epoch."""
    rng = random.Random(f"{seed}:{epoch}")  # noqa: S311 - an order of examples is no secret
    shuffled = list(range(len(lengths)))
    rng.shuffle(shuffled)
    whole = len(shuffled) - len(shuffled) % batch_size
    batches: list[list[int]] = []
    step = _window_batches(whole // batch_size) * batch_size
    for start in range(0, whole, step):
        window = sorted(shuffled[start : min(start + step, whole)], key=lengths.__getitem__)
        batches += [window[i : i + batch_size] for i in range(0, len(window), batch_size)]
    rng.shuffle(batches)
    return [position for batch in batches for position in batch] + shuffled[whole:]


def padding_share(lengths: Sequence[int], order: Sequence[int], batch_size: int) -> float:
    """Return which part of the computed tokens is padding, 0 to 1, in this order."""
    real = padded = 0
    for start in range(0, len(order), batch_size):
        rows = [lengths[position] for position in order[start : start + batch_size]]
        real += sum(rows)
        padded += len(rows) * max(rows)
    return 1 - real / padded if padded else 0.0


def _window_batches(batches: int) -> int:
    return max(MIN_WINDOW_BATCHES, min(MAX_WINDOW_BATCHES, batches // MIN_WINDOWS))
