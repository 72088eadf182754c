"""Which records of a source are drawn: seeded, and the same ones in whatever order they stand."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ranks = npt.NDArray[np.uint64]


def rank(seed: int, key: str) -> int:
    """Return a number of 64 bits that a seed gives to a key; the lowest ones are drawn first."""
    digest = hashlib.blake2b(key.encode(), digest_size=8, key=str(seed).encode()).digest()
    return int.from_bytes(digest, "big")


def shares(weights: Sequence[float]) -> list[float]:
    """Return how much of each source is drawn: its weight of the largest one, or of 1."""
    largest = max(1.0, *weights)
    return [weight / largest for weight in weights]


def draw(ranks: Ranks, share: float, sample: int | None) -> npt.NDArray[np.bool_]:
    """Return which records are drawn: those of the lowest ranks.

    Args:
        ranks: of all records, in their order.
        share: of them, from 0 to 1, rounded to whole records; at least one is drawn.
        sample: at most so many.
    """
    count = len(ranks)
    wanted = min(count, max(1, round(count * share)))
    if sample is not None:
        wanted = min(wanted, sample)
    drawn = np.zeros(count, np.bool_)
    drawn[np.argsort(ranks, kind="stable")[:wanted]] = True
    return drawn
