"""Texts with planted near duplicates: what a search for them must find, and must not."""

from __future__ import annotations

import random
from dataclasses import dataclass

#: Words of the generated texts are drawn like those of a language: few of them make up most of it.
VOCABULARY = 4_000


@dataclass(frozen=True)
class Planted:
    """Texts, and the pairs among them of which one was made from the other."""

    texts: list[str]
    pairs: list[tuple[int, int]]


def plant(count: int, share: float = 0.1, seed: int = 1) -> Planted:
    """Return so many texts, and copies of a share of them with some words exchanged."""
    rng = random.Random(seed)
    words, weights = _vocabulary(rng)
    texts = [_text(rng, words, weights, rng.randrange(12, 160)) for _ in range(count)]
    pairs: list[tuple[int, int]] = []
    for original in rng.sample(range(count), int(count * share)):
        exchanged = rng.uniform(0.0, 0.2)
        copy = [
            rng.choice(words) if rng.random() < exchanged else word
            for word in texts[original].split(" ")
        ]
        pairs.append((original, len(texts)))
        texts.append(" ".join(copy))
    return Planted(texts, pairs)


def shingles(text: str) -> set[str]:
    """Return the 5-character shingles of a text, as the definition has them."""
    return {text[i : i + 5] for i in range(len(text) - 4)} or {text}


def jaccard(left: str, right: str) -> float:
    """Return how alike two texts are, as the definition has it."""
    first, second = shingles(left), shingles(right)
    return len(first & second) / len(first | second)


def _vocabulary(rng: random.Random) -> tuple[list[str], list[float]]:
    letters = "eeeettttaaaooiinnsshhrrddllucmwfgypbvk"
    words = [
        "".join(rng.choice(letters) for _ in range(rng.randrange(2, 11))) for _ in range(VOCABULARY)
    ]
    return words, [1 / (rank + 5) for rank in range(VOCABULARY)]


def _text(rng: random.Random, words: list[str], weights: list[float], count: int) -> str:
    return " ".join(rng.choices(words, weights, k=count))
