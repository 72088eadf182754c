"""One forward pass as tensors.

Shapes: ``T`` tokens in the flat batch, ``B`` decoding rows, ``V`` vocabulary. The rows of the flat
batch are the prefill chunks, one after another, then one row per decoding sequence.
"""

from dataclasses import dataclass

import torch

from adaptery_inference.layers.cache import DecodeRows, PrefillRows
from adaptery_inference.layers.lora import LoraBatch


@dataclass(frozen=True)
class ForwardBatch:
    """What the model computes in one pass."""

    tokens: torch.Tensor  # [T]
    positions: torch.Tensor  # [T]
    slots: tuple[torch.Tensor, torch.Tensor]  # block [T], offset in the block [T]
    prefills: tuple[PrefillRows, ...]
    decode: DecodeRows | None
    sampled: torch.Tensor  # [rows that choose a token]
    lora: LoraBatch | None  # None: no row uses an adapter
