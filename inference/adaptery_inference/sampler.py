"""Chooses the next token of each row from its logits.

A row's randomness depends on its seed and the position of the token, and on nothing else: not on
the rows beside it, nor on whether it was preempted. So the same seed gives the same answer. A row
whose numbers overflowed gets `NO_TOKEN`, and the rows beside it get theirs.

A row's logits change in this order: bias, penalties, grammar, temperature, min_p, top_k, top_p.
Only rows that ask for a change pay for it, one copy of a row at a time. Log probabilities are those
of the logits as the model made them.

Shapes: ``N`` sampling rows, ``V`` vocabulary.
"""

import hashlib
import math
from collections.abc import Sequence

import torch

from adaptery_inference.engine.sampling import NO_TOKEN, Choice, SamplingParams
from adaptery_inference.engine.sequences import Sequence as Row

#: Sorting all of V costs milliseconds; the nucleus nearly always lies within so many candidates.
NUCLEUS_CANDIDATES = 256


def sample(logits: torch.Tensor, rows: Sequence[Row]) -> list[Choice]:
    """The next token of each row of ``logits`` [N, V], which are in fp32."""
    best, likeliest = logits.max(dim=-1)  # a NaN is larger than anything
    tokens: list[int] = likeliest.tolist()
    sound: list[bool] = best.isfinite().tolist()
    return [
        _choose(logits[number], row, tokens[number]) if sound[number] else Choice(NO_TOKEN)
        for number, row in enumerate(rows)
    ]


def _choose(logits: torch.Tensor, row: Row, likeliest: int) -> Choice:
    params = row.params
    if params.adjusts:
        adjusted = _adjusted(logits, row)
        if adjusted is None:
            return Choice(NO_TOKEN)
        likeliest = int(adjusted.argmax())
    else:
        adjusted = logits
    token = likeliest if params.greedy else _draw(adjusted, params, len(row.tokens))
    if params.logprobs is None:
        return Choice(token)
    return _with_logprobs(token, logits, params.logprobs)


def _with_logprobs(token: int, logits: torch.Tensor, top: int) -> Choice:
    logprobs = logits.log_softmax(dim=-1)
    values, tokens = logprobs.topk(min(top, logprobs.shape[-1]))
    pairs = tuple(zip(tokens.tolist(), values.tolist(), strict=True))
    return Choice(token, float(logprobs[token]), pairs)


def _adjusted(logits: torch.Tensor, row: Row) -> torch.Tensor | None:
    """A copy [V] with bias, penalties and grammar applied; None where the grammar gave up."""
    params = row.params
    adjusted = logits.clone()
    if params.logit_bias:
        biased = torch.tensor(list(params.logit_bias), device=logits.device)
        adjusted[biased] += torch.tensor(list(params.logit_bias.values()), device=logits.device)
    if params.penalised:
        _penalise(adjusted, row)
    if row.matcher is not None:
        mask = row.matcher.mask()
        if mask is None:
            return None
        adjusted[~_unpacked(mask, adjusted)] = -math.inf
    return adjusted


def _penalise(logits: torch.Tensor, row: Row) -> None:
    """Change ``logits`` [V] by what stood before.

    Source: OpenAI API reference, frequency and presence penalties (they count the answer only);
    Keskar et al. 2019, "CTRL", section 4.1, repetition penalty (as vLLM: prompt and answer).
    """
    params = row.params
    if params.repetition_penalty != 1:
        seen = torch.tensor(row.tokens, device=logits.device).unique()
        values = logits[seen]
        factor = params.repetition_penalty
        logits[seen] = torch.where(values > 0, values / factor, values * factor)
    if params.frequency_penalty or params.presence_penalty:
        output = torch.tensor(row.tokens[row.prompt_tokens :], dtype=torch.long)
        made, counts = output.to(logits.device).unique(return_counts=True)
        logits[made] -= params.frequency_penalty * counts + params.presence_penalty


def _unpacked(mask: bytes, logits: torch.Tensor) -> torch.Tensor:
    """The bits of ``mask``, lowest first, as booleans [V]."""
    packed = torch.frombuffer(bytearray(mask), dtype=torch.uint8)
    bits = packed[:, None] >> torch.arange(8, dtype=torch.uint8) & 1
    return bits.flatten()[: logits.shape[-1]].bool().to(logits.device)


def _draw(logits: torch.Tensor, params: SamplingParams, position: int) -> int:
    values, tokens = _candidates(logits / params.temperature, params)
    generator = torch.Generator().manual_seed(_mix(params.seed, position))
    choice = torch.multinomial(values.softmax(dim=-1).cpu(), 1, generator=generator)
    return int(tokens[int(choice)])


def _candidates(logits: torch.Tensor, params: SamplingParams) -> tuple[torch.Tensor, torch.Tensor]:
    """The logits and ids that min_p, top_k and top_p leave."""
    vocabulary = logits.shape[-1]
    if params.min_p:
        least = logits.max() + math.log(params.min_p)
        logits = logits.masked_fill(logits < least, -math.inf)
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
