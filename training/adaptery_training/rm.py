"""Stage rm: a reward model, which learns to score chosen answers above rejected ones.

It is the base model with a head that makes one number of the last hidden state in place of the head
that makes words. The backbone is the very same module, so a base model is loaded in one way only.

Source: Stiennon et al., 2020, "Learning to summarize from human feedback"; the loss is trl's.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from math import sqrt
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, PretrainedConfig, PreTrainedModel
from trl.trainer.reward_config import RewardConfig
from trl.trainer.reward_trainer import RewardTrainer

from adaptery.examples import ExampleSet, Pair
from adaptery_training.dpo import collate_pairs
from adaptery_training.failures import SpecRefusedError
from adaptery_training.run import Run
from adaptery_training.trl_trainer import TrlTrainer, trl_arguments


class ScoreHead(nn.Linear):
    """Makes one score of a hidden state, in fp32: small differences are what it is about."""

    def __init__(self, hidden: int, device: torch.device) -> None:
        super().__init__(hidden, 1, bias=False, device=device, dtype=torch.float32)
        # Source: Stiennon et al., 2020, appendix B.1: N(0, 1 / (d + 1)).
        nn.init.normal_(self.weight, std=1 / sqrt(hidden + 1))

    def forward(self, input: Tensor) -> Tensor:
        """Return the scores, [..., 1]."""
        return super().forward(input.float())


def scoring_model(model: PreTrainedModel, pairs: ExampleSet[Pair]) -> PreTrainedModel:
    """Return a model of the same backbone that scores; torch's random state decides its head.

    Raises:
        SpecRefusedError: a base model of this family cannot.
    """
    config = copy.deepcopy(model.config)
    config.num_labels = 1
    config.pad_token_id = _filler(config.pad_token_id, pairs)
    with torch.device("meta"):
        scoring = _without_weights(config)
    setattr(scoring, scoring.base_model_prefix, model.base_model)
    scoring.score = ScoreHead(config.get_text_config().hidden_size, model.device)
    return scoring


def _without_weights(config: PretrainedConfig) -> Any:
    with suppress(ValueError):  # transformers knows no scoring model of this family
        scoring = AutoModelForSequenceClassification.from_config(config)
        if hasattr(scoring, "score"):
            return scoring
    raise SpecRefusedError(
        "stage: a base model of this family cannot be taught to score.",
        remedy="Choose another base model, or stage dpo, which needs no scores.",
    )


def _filler(wanted: int | None, pairs: ExampleSet[Pair]) -> int:
    """Return a token that ends no answer: models take the last other one for the end of a row."""
    ends = {row.token_ids[-1] for pair in pairs.examples for row in (pair.chosen, pair.rejected)}
    if wanted is not None and wanted not in ends:
        return wanted
    return next(token for token in count() if token not in ends)


class RmTrainer(TrlTrainer, RewardTrainer):
    """Trains on pairs."""

    measures = {"reward_accuracy": "accuracy", "reward_margin": "margin"}

    def __init__(
        self, model: PeftModel, pairs: ExampleSet[Pair], held_out: ExampleSet[Pair] | None, run: Run
    ) -> None:
        arguments = trl_arguments(run, RewardConfig, max_length=None)  # pairs fit already
        padding = model.config.pad_token_id
        collate = partial(_collate, pad_token_id=padding)
        super().__init__(model, pairs, held_out, run, collate, arguments, pad_token_id=padding)


def _collate(pairs: Sequence[Pair], pad_token_id: int) -> dict[str, Tensor]:
    batch = collate_pairs(pairs, pad_token_id)
    del batch["completion_mask"]  # an answer is scored with what it answers
    return batch
