"""Root-mean-square normalisation, computed in fp32 as the Llama family does."""

import torch
from torch.nn import functional


def rms_norm(x: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
    """Scale the last dimension of ``x`` to unit root mean square, times ``weight``."""
    if x.is_cuda:  # one kernel for eight: a step on a card is as long as its launches
        return functional.rms_norm(x, weight.shape, weight, epsilon)
    wide = x.float()
    wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + epsilon)
    return weight * wide.to(x.dtype)
