"""Stage dpo: direct preference optimisation; chosen answers become likelier than rejected ones.

Source: Rafailov et al., 2023, "Direct Preference Optimization"; the loss is trl's.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from peft import PeftModel
from torch import Tensor
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer

from adaptery.examples import ExampleSet, Pair
from adaptery_training.run import Run
from adaptery_training.trl_trainer import TrlTrainer, answer_rows, trl_arguments


class DpoTrainer(TrlTrainer, DPOTrainer):
    """Trains on pairs, held against the model that training began with."""

    measures = {"reward_accuracy": "rewards/accuracies", "reward_margin": "rewards/margins"}

    def __init__(
        self, model: PeftModel, pairs: ExampleSet[Pair], held_out: ExampleSet[Pair] | None, run: Run
    ) -> None:
        wanted = run.spec.preference
        losses = {wanted.loss: 1.0}
        if wanted.sft_weight:
            losses["sft"] = wanted.sft_weight
        arguments = trl_arguments(
            run,
            DPOConfig,
            beta=wanted.beta,
            loss_type=list(losses),
            loss_weights=list(losses.values()),
            max_length=None,  # pairs are cut already
        )
        collate = partial(collate_pairs, pad_token_id=run.base.pad_token_id)
        super().__init__(model, pairs, held_out, run, collate, arguments)


def collate_pairs(pairs: Sequence[Pair], pad_token_id: int) -> dict[str, Tensor]:
    """Return the rows of a batch: chosen answers, then rejected ones; each pair counts as one."""
    rows = [pair.chosen for pair in pairs] + [pair.rejected for pair in pairs]
    return {**answer_rows(rows, pad_token_id), "weights": torch.ones(len(pairs))}
