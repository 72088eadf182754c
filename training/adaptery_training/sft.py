"""Stage sft: supervised fine-tuning, which learns the answers of conversations and whole texts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import cast

import torch
from peft import PeftModel
from torch import Tensor
from transformers import PreTrainedModel

from adaptery.examples import Example, ExampleSet, pack
from adaptery.schemas.spec import OptimSpec
from adaptery_training.labelled_loss import Collator, PackedRow, Row, labelled_loss
from adaptery_training.run import Run
from adaptery_training.trainer import ResumableTrainer


class SftTrainer(ResumableTrainer):
    """Trains on the tokens that count, each with its weight."""

    def __init__(
        self, model: PeftModel, examples: ExampleSet, held_out: ExampleSet | None, run: Run
    ) -> None:
        optim = run.spec.optim
        collate = Collator(run.base.pad_token_id)
        super().__init__(
            model,
            _rows(examples.examples, optim),
            _rows(held_out.examples, optim) if held_out else (),
            run,
            partial(_in_one_row, collate) if optim.attention == "flash" else collate,
        )
        self._samples = len(examples.examples)  # a packed row holds several
        causal = cast("PreTrainedModel", model.get_base_model())
        self._head = cast("torch.nn.Module", causal.get_output_embeddings())

    def batch_loss(
        self, model: torch.nn.Module, batch: dict[str, Tensor], total_weight: Tensor | float
    ) -> Tensor:
        """Return the weighted cross-entropy of the positions that count."""
        return labelled_loss(model, self._head, batch, total_weight)


def _rows(examples: Sequence[Example], optim: OptimSpec) -> Sequence[Row]:
    if optim.batching != "packed":
        return examples
    packed = pack([len(example) for example in examples], optim.cutoff_len)
    return [PackedRow(tuple(examples[position] for position in row)) for row in packed]


def _in_one_row(collate: Collator, rows: Sequence[Row]) -> dict[str, Tensor]:
    """Return a batch without any padding: flash attention knows where an example ends."""
    each = [row.examples if isinstance(row, PackedRow) else (row,) for row in rows]
    return collate([PackedRow(tuple(example for row in each for example in row))])
