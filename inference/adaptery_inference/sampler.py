"""Chooses the next token of each row from its logits.

A row's randomness depends on its seed and the position of the token, and on nothing else: not on
the rows beside it, nor on whether it was preempted. So the same seed gives the same answer. A row
whose numbers overflowed gets `NO_TOKEN`, and the rows beside it get theirs.

Shapes: ``N`` sampling rows, ``V`` vocabulary.
"""

import hashlib
from collections.abc import Sequence

import torch

from adaptery_inference.engine.sampling import NO_TOKEN, SamplingParams

#: Sorting all of V costs milliseconds; the nucleus nearly always lies within so many candidates.
NUCLEUS_CANDIDATES = 256


def sample(
    logits: torch.Tensor, params: Sequence[SamplingParams], positions: Sequence[int]
) -> list[int]:
    """The next token of each row of ``logits`` [N, V].

    Args:
        logits: in fp32.
        params: how each row is sampled.
        positions: the position that each new token will have.
    """
    best, likeliest = logits.max(dim=-1)  # a NaN is larger than anything
    tokens: list[int] = likeliest.tolist()
    sound: list[bool] = best.isfinite().tolist()
    for row, (chosen, position) in enumerate(zip(params, positions, strict=True)):
        if not sound[row]:
            tokens[row] = NO_TOKEN
        elif not chosen.greedy:
            tokens[row] = _sample_row(logits[row], chosen, position)
    return tokens


def _sample_row(logits: torch.Tensor, params: SamplingParams, position: int) -> int:
    values, tokens = _candidates(logits / params.temperature, params)
    generator = torch.Generator().manual_seed(_mix(params.seed, position))
    choice = torch.multinomial(values.softmax(dim=-1).cpu(), 1, generator=generator)
    return int(tokens[int(choice)])


def _candidates(logits: torch.Tensor, params: SamplingParams) -> tuple[torch.Tensor, torch.Tensor]:
    """The logits and ids that top_k and top_p leave."""
    vocabulary = logits.shape[-1]
    if params.top_k is None and params.top_p == 1.0:
        return logits, torch.arange(vocabulary)
    size = min(params.top_k or vocabulary, vocabulary)
    if params.top_p == 1.0:
        return tuple(logits.topk(size))  # pyright: ignore[reportReturnType]
    normaliser = logits.topk(size).values.logsumexp(-1) if params.top_k else logits.logsumexp(-1)
    for count in (min(NUCLEUS_CANDIDATES, size), size):
        values, tokens = logits.topk(count)
        before = (values - normaliser).exp().cumsum(-1).roll(1)  # mass before each candidate
        before[0] = 0.0
        if count == size or bool(before[-1] >= params.top_p):
            break
    keep = before < params.top_p
    return values[keep], tokens[keep]


def _mix(seed: int, position: int) -> int:
    """A 63-bit seed for one token; neighbours in seed or position are unrelated."""
    digest = hashlib.blake2b(f"{seed}:{position}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
