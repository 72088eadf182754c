"""Which trainer each stage learns with; what it learns from is made by `adaptery.examples`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from peft import PeftModel
from transformers import PreTrainedModel

from adaptery.examples import ExampleSet
from adaptery.schemas.spec import Stage
from adaptery_training.run import Run
from adaptery_training.sft import SftTrainer
from adaptery_training.trainer import ResumableTrainer

#: Takes the model with its adapter, the examples to learn from, the held out ones if there are any,
#: and the run.
MakeTrainer: TypeAlias = Callable[
    [PeftModel, ExampleSet[Any], ExampleSet[Any] | None, Run], ResumableTrainer
]


def _as_it_is(model: PreTrainedModel, _: ExampleSet[Any]) -> PreTrainedModel:
    return model


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one stage trains."""

    trainer: MakeTrainer
    #: Makes of the base model what gets the adapter.
    model: Callable[[PreTrainedModel, ExampleSet[Any]], PreTrainedModel] = _as_it_is
    task_type: str = "CAUSAL_LM"  #: Peft's name of what it is then


def recipe_of(stage: Stage) -> Recipe:
    """Return how a stage trains; trl, which takes a second, is only imported where it is needed."""
    match stage:
        case "pt" | "sft":
            return Recipe(SftTrainer)
        case "rm":
            from adaptery_training.rm import RmTrainer, scoring_model

            return Recipe(RmTrainer, scoring_model, "SEQ_CLS")
        case "dpo":
            from adaptery_training.dpo import DpoTrainer

            return Recipe(DpoTrainer)
        case "kto":
            from adaptery_training.kto import KtoTrainer

            return Recipe(KtoTrainer)
        case "grpo":
            from adaptery_training.grpo import GrpoTrainer

            return Recipe(GrpoTrainer)
