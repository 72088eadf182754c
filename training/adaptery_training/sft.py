"""Stage sft: supervised fine-tuning, which learns the answers of conversations and whole texts."""

from __future__ import annotations

from typing import cast

import torch
from peft import PeftModel
from torch import Tensor
from transformers import PreTrainedModel

from adaptery.examples import ExampleSet
from adaptery_training.labelled_loss import Collator, labelled_loss
from adaptery_training.run import Run
from adaptery_training.trainer import ResumableTrainer


class SftTrainer(ResumableTrainer):
    """Trains on the tokens that count, each with its weight."""

    def __init__(
        self, model: PeftModel, examples: ExampleSet, held_out: ExampleSet | None, run: Run
    ) -> None:
        super().__init__(
            model,
            examples.examples,
            held_out.examples if held_out else (),
            run,
            Collator(run.base.pad_token_id),
        )
        causal = cast("PreTrainedModel", model.get_base_model())
        self._head = cast("torch.nn.Module", causal.get_output_embeddings())

    def batch_loss(
        self, model: torch.nn.Module, batch: dict[str, Tensor], total_weight: Tensor | float
    ) -> Tensor:
        """Return the weighted cross-entropy of the positions that count."""
        return labelled_loss(model, self._head, batch, total_weight)
