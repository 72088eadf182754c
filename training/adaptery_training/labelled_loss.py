"""The loss of supervised fine-tuning, computed where there is something to learn and nowhere else.

The vocabulary head is the largest matrix of a small model, and its output the largest tensor of the
whole step; but only the tokens of the answers count. So the head sees those positions alone. The
loss is the same to rounding; measured, 1.14 to 1.3 times as many tokens a second, and less memory.

Shapes: B rows, T positions, D hidden, V vocabulary, N positions that count in the whole batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from adaptery.examples import Example

#: Torch's own value for "does not count".
IGNORED = -100


@dataclass(frozen=True, slots=True)
class Collator:
    """Makes a batch of examples, padded on the right to the longest of them."""

    pad_token_id: int

    def __call__(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """Return `input_ids`, `attention_mask`, `labels` and `weights`, each [B, T]."""
        shape = (len(examples), max(len(example) for example in examples))
        input_ids = torch.full(shape, self.pad_token_id)
        attention_mask = torch.zeros(shape, dtype=torch.long)
        labels = torch.full(shape, IGNORED)
        weights = torch.zeros(shape)
        for row, example in enumerate(examples):
            ids = torch.tensor(example.token_ids)
            input_ids[row, : len(ids)] = ids
            attention_mask[row, : len(ids)] = 1
            for start, end, weight in example.targets:
                labels[row, start:end] = ids[start:end]
                weights[row, start:end] = weight
        return {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "labels": labels,
            "weights": weights,
        }


def labelled_loss(
    model: nn.Module, head: nn.Module, batch: dict[str, Tensor], total_weight: Tensor | float
) -> Tensor:
    """Return the weighted cross-entropy of a batch, divided by `total_weight`.

    Args:
        model: a causal language model whose last layer is `head`.
        head: the module that turns hidden states into logits.
        batch: what `Collator` makes.
        total_weight: sum of the weights of all batches of the optimizer step.
    """
    targets = batch["labels"][:, 1:]  # [B, T-1], the token that follows each position
    counts = targets != IGNORED
    wanted = nn.functional.pad(counts, (0, 1))  # [B, T]
    mask = batch["attention_mask"]
    with _head_sees_only(head, wanted):
        output = model(
            input_ids=batch["input_ids"],
            # Without padding the attention needs no mask and takes its faster, causal path.
            attention_mask=None if bool(mask.all()) else mask,
            use_cache=False,
        )
    logits = output.logits[0]  # [N, V]
    losses = nn.functional.cross_entropy(logits.float(), targets[counts], reduction="none")  # [N]
    return (losses * batch["weights"][:, 1:][counts]).sum() / total_weight


@contextmanager
def _head_sees_only(head: nn.Module, wanted: Tensor) -> Iterator[None]:
    """Let the head see the wanted positions as one row, whatever the model does after it."""

    def select(_module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        hidden, *rest = args  # [B, T, D]
        return (hidden[wanted].unsqueeze(0), *rest)  # [1, N, D]

    hook = head.register_forward_pre_hook(select)
    try:
        yield
    finally:
        hook.remove()
