"""Rotary position embeddings.

Shapes: ``T`` tokens in the flat batch, ``C`` head dim.

Source: transformers ``modeling_rope_utils.py`` 5.23 (default, linear, llama3);
Su et al., "RoFormer", 2021.
"""

import math

import torch

from adaptery_inference.models.spec import RopeSpec


class RotaryEmbedding:
    """Cosines and sines for every position of the context."""

    def __init__(
        self, spec: RopeSpec, head_dim: int, context_tokens: int, device: torch.device
    ) -> None:
        angles = torch.arange(context_tokens).float()[:, None] * _frequencies(spec, head_dim)
        angles = torch.cat((angles, angles), dim=-1)  # [context, C]
        self._cos, self._sin = angles.cos().to(device), angles.sin().to(device)

    def at(self, positions: torch.Tensor, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosine and sine for ``positions`` [T], each [T, 1, C], in the dtype of ``like``."""
        cos, sin = self._cos[positions, None], self._sin[positions, None]
        return cos.to(like), sin.to(like)


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Turn each head of ``x`` [T, heads, C] by its position."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


def _frequencies(spec: RopeSpec, head_dim: int) -> torch.Tensor:
    exponents = torch.arange(0, head_dim, 2).float() / head_dim
    frequencies = 1.0 / (spec.theta**exponents)  # [C / 2]
    if spec.kind == "linear":
        return frequencies / spec.factor
    if spec.kind == "llama3":
        return _llama3_frequencies(spec, frequencies)
    return frequencies


def _llama3_frequencies(spec: RopeSpec, frequencies: torch.Tensor) -> torch.Tensor:
    """Slow frequencies are divided by the factor, fast ones kept, those between blended."""
    wavelengths = 2 * math.pi / frequencies
    low = spec.original_context / spec.low_freq_factor
    high = spec.original_context / spec.high_freq_factor
    scaled = torch.where(wavelengths > low, frequencies / spec.factor, frequencies)
    smooth = (spec.original_context / wavelengths - spec.low_freq_factor) / (
        spec.high_freq_factor - spec.low_freq_factor
    )
    blended = (1 - smooth) * scaled / spec.factor + smooth * scaled
    between = (wavelengths >= high) & (wavelengths <= low)
    return torch.where(between, blended, scaled)
