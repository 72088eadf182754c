"""Stage grpo: the model answers prompts itself, and learns from what a judge thinks of its answers.

To each prompt it writes several answers; those above their mean become likelier, those below less
likely, held against the model that training began with. It stands in for PPO (decision 0017).

Invariants:

1. All answers of an optimizer step are written at its start, so that no answer is older than the
   weights it teaches and a checkpoint has none to keep.
2. Every prompt is answered in every epoch.

Source: Shao et al., 2024, "DeepSeekMath", section 4; the loss is trl's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from math import ceil
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor
from torch.utils.data import Dataset, Sampler
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from adaptery.examples import ExampleSet, Prompt
from adaptery.schemas.spec import OptimSpec
from adaptery_training.failures import DivergedError
from adaptery_training.judge import load_judge
from adaptery_training.run import Run
from adaptery_training.trainer import EpochSampler
from adaptery_training.trl_trainer import TrlTrainer, trl_arguments

#: What torch says of chances that are no numbers; the model has diverged.
_NO_NUMBER = "probability tensor contains"


class GrpoTrainer(TrlTrainer, GRPOTrainer):
    """Trains on answers of its own."""

    measures = {"reward": "reward", "kl": "kl"}

    def __init__(
        self,
        model: PeftModel,
        prompts: ExampleSet[Prompt],
        held_out: ExampleSet[Prompt] | None,
        run: Run,
    ) -> None:
        wanted, optim = run.spec.reward, run.spec.optim
        assert wanted is not None  # the rules of specs see to it
        _end_as_the_engine_does(model, run)
        judge = load_judge(
            model,
            run.work_folder,
            wanted,
            pad_token_id=run.base.pad_token_id,
            batch_size=optim.batch_size,
        )
        arguments = trl_arguments(
            run,
            GRPOConfig,
            beta=wanted.beta,
            num_generations=wanted.generations,
            max_completion_length=wanted.max_new_tokens,
            temperature=wanted.temperature,
        )
        super().__init__(model, prompts, None, run, _as_rows, arguments, reward_funcs=[judge.score])

    def batch_loss(
        self, model: torch.nn.Module, batch: Any, total_weight: Tensor | float
    ) -> Tensor:
        """Return trl's loss, which is its part of the whole step's already."""
        return self.trl_loss(model, batch)

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], int]:
        """Count nothing: what counts is not written yet."""
        return list(islice(epoch_iterator, num_batches)), 1

    def _get_train_sampler(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, train_dataset: Dataset[Any] | None = None
    ) -> Sampler[int]:
        assert self._run.spec.reward is not None
        return PromptSampler(self._lengths, self._run.spec.optim, self._run.spec.reward.generations)

    def _generate_single_turn(self, *args: Any, **options: Any) -> Any:
        try:
            return super()._generate_single_turn(*args, **options)
        except RuntimeError as error:
            if _NO_NUMBER in str(error):
                step = self.state.global_step + 1
                raise DivergedError(f"No answer can be written at step {step}.") from None
            raise

    def _tokenize_prompts(self, prompts: Sequence[Any]) -> tuple[list[Any], None, dict[str, Any]]:
        return list(prompts), None, {}  # they are tokens


class PromptSampler(EpochSampler):
    """Yields the prompts of each optimizer step, each as often as it is answered.

    trl asks for those of a whole step with each of its batches.
    """

    def __init__(self, lengths: list[int], optim: OptimSpec, generations: int) -> None:
        self._prompts = optim.batch_size * optim.gradient_accumulation // generations
        self._generations = generations
        self._times = optim.gradient_accumulation
        super().__init__(lengths, optim.model_copy(update={"batch_size": self._prompts}))

    def __len__(self) -> int:
        steps = ceil(super().__len__() / self._prompts)
        return steps * self._prompts * self._generations * self._times

    def __iter__(self) -> Iterator[int]:
        order = list(super().__iter__())
        for start in range(0, len(order), self._prompts):
            # The last step is filled from the start of the epoch.
            prompts = list(islice(cycle(order[start:] + order[:start]), self._prompts))
            for _ in range(self._times):
                for prompt in prompts:
                    yield from [prompt] * self._generations


def _end_as_the_engine_does(model: PeftModel, run: Run) -> None:
    """Let answers end at the end of a turn, whatever tokens the base model was saved with."""
    declared = model.generation_config.eos_token_id
    saved = [declared] if isinstance(declared, int) else declared or []
    ends = {*saved, *run.base.tokenizer.end_tokens()}
    model.generation_config.eos_token_id = sorted(ends) or None


def _as_rows(prompts: Sequence[Prompt]) -> Any:
    return [{"prompt": prompt.token_ids.tolist()} for prompt in prompts]
