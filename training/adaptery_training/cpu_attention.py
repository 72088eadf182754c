"""Attention of bf16 models on processors: torch's, with its way back in fp32.

Torch's kernel for processors computes gradients in bf16 slower than in fp32: measured on four rows
of 9 heads and 128, 200, 384 positions, 15, 21 and 52 ms against 6, 12 and 41.

Shapes: B rows, H heads, T positions, D per head.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from transformers import AttentionInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

NAME = "adaptery_cpu"
_KERNEL: Any = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_BACKWARD: Any = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
#: What only transformers' own function knows to handle.
_SPECIAL = ("position_bias", "cache", "softcap", "is_causal")

Gradients: TypeAlias = tuple[Tensor, Tensor, Tensor, None, None, None]


def use_in(model: PreTrainedModel) -> None:
    """Put it in the place of torch's attention, where the model has that and gains by it."""
    fits = model.dtype == torch.bfloat16 and model.device.type == "cpu"
    if fits and model.config._attn_implementation == "sdpa":  # pyright: ignore[reportPrivateUsage]
        AttentionInterface.register(NAME, _attention)
        AttentionMaskInterface.register(NAME, sdpa_mask)
        model.set_attn_implementation(NAME)


def _attention(
    module: nn.Module,
    query: Tensor,  # [B, H, T, D]
    key: Tensor,  # [B, H / groups, T, D]
    value: Tensor,
    attention_mask: Tensor | None,  # bool, [B, 1, T, T]
    dropout: float = 0.0,
    scaling: float | None = None,
    **more: Any,
) -> tuple[Tensor, None]:
    special = any(more.get(name) is not None for name in _SPECIAL)
    alike = query.shape[2] == key.shape[2] and query.shape[3] == value.shape[3]
    if dropout or special or not alike or not query.requires_grad:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, **more
        )
    groups = query.shape[1] // key.shape[1]
    bias = None
    if attention_mask is not None:
        bias = torch.zeros_like(attention_mask, dtype=query.dtype)
        bias.masked_fill_(~attention_mask, -torch.inf)
    key, value = repeat_kv(key, groups), repeat_kv(value, groups)
    causal = bias is None and bool(getattr(module, "is_causal", True))
    out: Any = _Attention.apply(query, key, value, bias, causal, scaling)
    return out.transpose(1, 2).contiguous(), None


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        bias: Tensor | None,
        causal: bool,
        scale: float | None,
    ) -> Tensor:
        out, logsumexp = _KERNEL(query, key, value, 0.0, causal, attn_mask=bias, scale=scale)
        ctx.save_for_backward(query, key, value, out, logsumexp, bias)
        ctx.causal, ctx.scale = causal, scale
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Gradients:  # pyright: ignore[reportIncompatibleMethodOverride]
        *saved, logsumexp, bias = ctx.saved_tensors
        gradients = _BACKWARD(
            *(tensor.float() for tensor in (gradient, *saved)),
            *(logsumexp, 0.0, ctx.causal),
            attn_mask=None if bias is None else bias.float(),
            scale=ctx.scale,
        )
        to_query, to_key, to_value = (found.to(gradient.dtype) for found in gradients)
        return to_query, to_key, to_value, None, None, None
