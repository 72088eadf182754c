"""LoRA on a linear layer as one step of autograd.

Peft's layer casts its input to the adapter's fp32, multiplies by A, by B, by the scale, and adds:
each a pass over memory, forwards and again backwards, and each leaves a tensor for the way back. On
small models that is a quarter of a training step. Here the products are added where they stand, in
the number format of the base; A, B and their gradients stay in fp32.

The idea is that of Unsloth's `LoRA_W`: a closed formula in the place of autograd's chain.

Shapes: N positions, I in, O out, R rank.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from peft import PeftModel
from peft.tuners import lora
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from adaptery_training.plain_lora import ADAPTER_NAME

Gradients: TypeAlias = tuple[Tensor | None, None, None, Tensor, Tensor, None]


def fuse_lora(model: PeftModel) -> None:
    """Let each plain LoRA layer compute in one step; quantized bases and dropout stay Peft's."""
    for module in model.modules():
        if type(module) is lora.Linear and type(module.get_base_layer()) is nn.Linear:
            module.__class__ = FusedLinear


class FusedLinear(lora.Linear):
    """Peft's layer with another way to the same numbers."""

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Return x W^T + bias + scale x A^T B^T, as Peft does."""
        if not self._is_plain or args or kwargs:
            return super().forward(x, *args, **kwargs)
        base: Any = self.get_base_layer()
        a, b = self.lora_A[ADAPTER_NAME].weight, self.lora_B[ADAPTER_NAME].weight
        scale = self.scaling[ADAPTER_NAME]
        return _FusedLora.apply(x, base.weight, base.bias, a, b, scale)  # pyright: ignore[reportReturnType]

    @property
    def _is_plain(self) -> bool:
        return (
            self.active_adapters == [ADAPTER_NAME]
            and not self.disable_adapters
            and not self.merged
            and isinstance(self.lora_dropout[ADAPTER_NAME], nn.Identity)
        )


class _FusedLora(torch.autograd.Function):
    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any,
        x: Tensor,  # [..., I]
        weight: Tensor,  # [O, I]
        bias: Tensor | None,  # [O]
        a: Tensor,  # [R, I]
        b: Tensor,  # [O, R]
        scale: float,
    ) -> Tensor:
        ctx.scale, ctx.shape, ctx.dtype = scale, x.shape, x.dtype
        ctx.adapter_dtype = a.dtype
        rows = x.reshape(-1, x.shape[-1]).to(weight.dtype)  # [N, I]
        a, b = a.to(weight.dtype), b.to(weight.dtype)
        with torch.autocast(x.device.type, enabled=False):  # the base's format is the only one
            low = rows @ a.t()  # [N, R]
            out = nn.functional.linear(rows, weight, bias)  # [N, O]
            out.addmm_(low, b.t(), alpha=scale)
        ctx.save_for_backward(rows, weight, a, b, low)
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Gradients:  # pyright: ignore[reportIncompatibleMethodOverride]
        rows, weight, a, b, low = ctx.saved_tensors
        to_x = None
        with torch.autocast(rows.device.type, enabled=False):
            gradient = gradient.reshape(-1, weight.shape[0]).to(weight.dtype)  # [N, O]
            to_low = (gradient @ b).mul_(ctx.scale)  # [N, R]
            if ctx.needs_input_grad[0]:
                to_x = (gradient @ weight).addmm_(to_low, a).view(ctx.shape).to(ctx.dtype)
            to_a = (to_low.t() @ rows).to(ctx.adapter_dtype)
            to_b = (gradient.t() @ low).to(ctx.adapter_dtype).mul_(ctx.scale)
        return to_x, None, None, to_a, to_b, None
