"""Stage kto: answers called good become likelier, those called bad less likely.

Both are held against the model that training began with, and against how far the trained one has
moved from it: measured on answers to other questions of the batch.

Source: Ethayarajh et al., 2024, "KTO: Model Alignment as Prospect Theoretic Optimization"; the loss
is trl's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from peft import PeftModel
from torch import Tensor
from trl.trainer.kto_config import KTOConfig
from trl.trainer.kto_trainer import KTOTrainer

from adaptery.examples import Example, ExampleSet, Judged, Target
from adaptery_training.run import Run
from adaptery_training.trl_trainer import TrlTrainer, answer_rows, trl_arguments


class KtoTrainer(TrlTrainer, KTOTrainer):  # pyright: ignore[reportIncompatibleMethodOverride]
    """Trains on judged answers."""

    measures = {"reward_margin": "rewards/margins", "kl": "kl"}

    def __init__(
        self,
        model: PeftModel,
        judged: ExampleSet[Judged],
        held_out: ExampleSet[Judged] | None,
        run: Run,
    ) -> None:
        wanted = run.spec.preference
        arguments = trl_arguments(
            run,
            KTOConfig,
            beta=wanted.beta,
            desirable_weight=wanted.desirable_weight,
            undesirable_weight=wanted.undesirable_weight,
            max_length=None,  # answers are cut already
        )
        collate = KtoCollator(run.base.pad_token_id, judged.cutoff_len)
        super().__init__(model, judged, held_out, run, collate, arguments)


@dataclass(frozen=True, slots=True)
class KtoCollator:
    """Makes a batch of judged answers, and of as many that answer another question of it.

    A batch of one, which only the last of an epoch may be, answers its own question.
    """

    pad_token_id: int
    cutoff_len: int

    def __call__(self, judged: Sequence[Judged]) -> dict[str, Tensor]:
        """Return the rows; each answer counts as one."""
        answered = [one.answered for one in judged]
        others = [answered[-1], *answered[:-1]]
        mixed = [self._mix(asked, other) for asked, other in zip(answered, others, strict=True)]
        apart = answer_rows(mixed, self.pad_token_id)
        return {
            **answer_rows(answered, self.pad_token_id),
            **{f"KL_{name}": tensor for name, tensor in apart.items()},
            "label": torch.tensor([one.good for one in judged]),
            "weights": torch.ones(len(judged)),
        }

    def _mix(self, asked: Example, other: Example) -> Example:
        """Return the prompt of one with the answer of another."""
        start = asked.targets[0].start
        ids = (asked.token_ids[:start] + other.token_ids[other.targets[0].start :])[
            : self.cutoff_len
        ]
        return Example(ids, (Target(start, len(ids)),))
