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
from typing import TypeAlias

import torch
from torch import Tensor, nn

from adaptery.examples import Example

#: Torch's own value for "does not count".
IGNORED = -100


@dataclass(frozen=True, slots=True)
class PackedRow:
    """Examples that share a row and do not see each other."""

    examples: tuple[Example, ...]

    def __len__(self) -> int:
        return sum(len(example) for example in self.examples)


Row: TypeAlias = Example | PackedRow


@dataclass(frozen=True, slots=True)
class Collator:
    """Makes a batch of rows, padded on the right to the longest of them."""

    pad_token_id: int

    def __call__(self, rows: Sequence[Row]) -> dict[str, Tensor]:
        """Return `input_ids`, `attention_mask`, `labels` and `weights`, each [B, T].

        Packed rows have `position_ids` besides, which start again at 0 with each example and with
        the padding: where positions start again, attention ends.
        """
        shape = (len(rows), max(len(row) for row in rows))
        input_ids = torch.full(shape, self.pad_token_id)
        attention_mask = torch.zeros(shape, dtype=torch.long)
        labels = torch.full(shape, IGNORED)
        weights = torch.zeros(shape)
        position_ids = torch.arange(shape[1]).repeat(len(rows), 1)
        for row, entry in enumerate(rows):
            filled = 0
            for example in entry.examples if isinstance(entry, PackedRow) else (entry,):
                ids = torch.tensor(example.token_ids)
                input_ids[row, filled : filled + len(ids)] = ids
                for start, end, weight in example.targets:
                    labels[row, filled + start : filled + end] = ids[start:end]
                    weights[row, filled + start : filled + end] = weight
                filled += len(ids)
                position_ids[row, filled:] = torch.arange(shape[1] - filled)
            attention_mask[row, :filled] = 1
        batch = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "labels": labels,
            "weights": weights,
        }
        if any(isinstance(row, PackedRow) for row in rows):
            batch["position_ids"] = position_ids
        return batch


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
    mask, position_ids = batch["attention_mask"], batch.get("position_ids")
    # Without padding the attention needs no mask and takes its faster, causal path; for packed rows
    # the model makes its mask from the positions, and only where it is given none.
    unmasked = position_ids is not None or bool(mask.all())
    with _head_sees_only(head, wanted):
        output = model(
            input_ids=batch["input_ids"],
            attention_mask=None if unmasked else mask,
            position_ids=position_ids,
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
