"""LoftQ: a start whose base weights are those of 4 bits, and whose adapter mends what they lost.

The numbers stay in the format that the model was loaded in: it is the values that are rounded, so
no memory is saved, and no GPU or further library is needed. (Peft's own needs both.)

Source: Li et al., 2023, "LoftQ: LoRA-fine-tuning-aware quantization", algorithm 1, with the data
type NF4 of Dettmers et al., 2023, "QLoRA", appendix E.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: Weights that share one scale. Source: QLoRA, section 3.
BLOCK_WEIGHTS = 64
#: The values of NF4: quantiles of a normal distribution, scaled to [-1, 1].
NF4 = (
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
)
#: Rounds of quantizing and fitting. Source: LoftQ, section 4: 5, from where on nothing is gained.
_ROUNDS = 5


def round_to_nf4(weight: Tensor) -> Tensor:
    """Return the values that a weight has after it went through 4 bits."""
    flat = weight.flatten()
    blocks = torch.nn.functional.pad(flat, (0, -len(flat) % BLOCK_WEIGHTS)).view(-1, BLOCK_WEIGHTS)
    scale = blocks.abs().amax(1, keepdim=True).clamp(min=torch.finfo(blocks.dtype).tiny)
    values = torch.tensor(NF4, dtype=blocks.dtype, device=blocks.device)
    between = (values[1:] + values[:-1]) / 2  # a value goes to the nearer of its neighbours
    rounded = values[torch.bucketize(blocks / scale, between)] * scale
    return rounded.flatten()[: len(flat)].view_as(weight)


def fit(weight: Tensor, rank: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the rounded weight [out, in], A [R, in], B [out, R]; rounded + B A is near weight."""
    whole = weight.float()
    a, b = whole.new_zeros(rank, whole.shape[1]), whole.new_zeros(whole.shape[0], rank)
    rounded = whole
    for _ in range(_ROUNDS):
        rounded = round_to_nf4(whole - b @ a)
        u, s, v = torch.linalg.svd(whole - rounded, full_matrices=False)
        root = s[:rank].sqrt()
        a, b = root[:, None] * v[:rank], u[:, :rank] * root
    return rounded.to(weight.dtype), a, b
