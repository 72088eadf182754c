"""Lets trl's vocabulary head see the positions that count, and no others.

On a GPU trl does so itself; elsewhere it computes every position of prompt and padding, and throws
that away. The numbers are the same to rounding (see `labelled_loss` for what is gained).

Shapes: B rows, T positions, D hidden, N positions that count in the whole batch.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from adaptery_training.labelled_loss import IGNORED


def see_only_answers(model: PreTrainedModel) -> None:
    """Change the forward that trl gave a causal language model."""
    fused = model.forward

    @functools.wraps(fused)  # generation reads the signature
    def forward(
        *args: Any, labels: Tensor | None = None, fused_lm_head: bool = False, **kwargs: Any
    ) -> Any:
        if labels is None or not fused_lm_head:
            return fused(*args, labels=labels, fused_lm_head=fused_lm_head, **kwargs)
        wanted = labels[:, 1:] != IGNORED  # [B, T-1]
        first = labels.new_full((1,), IGNORED)  # nothing precedes it
        row = torch.cat([first, labels[:, 1:][wanted]]).unsqueeze(0)  # [1, N+1]
        with _backbone_gives_only(model.base_model, wanted):
            output = fused(*args, labels=row, fused_lm_head=True, **kwargs)
        for name, value in output.items():
            if isinstance(value, Tensor) and value.shape == (1, row.shape[1] - 1):
                output[name] = value.new_zeros(wanted.shape).masked_scatter(wanted, value)
        return output

    model.forward = forward


@contextmanager
def _backbone_gives_only(backbone: nn.Module, wanted: Tensor) -> Iterator[None]:
    """Let the backbone give the wanted hidden states as one row, with one behind that is unused."""

    def select(_module: nn.Module, _args: Any, output: Any) -> Any:
        hidden = output.last_hidden_state[:, :-1][wanted]  # [N, D]
        output.last_hidden_state = nn.functional.pad(hidden, (0, 0, 0, 1)).unsqueeze(0)
        return output

    hook = backbone.register_forward_hook(select)
    try:
        yield
    finally:
        hook.remove()
