"""What each stage makes of records, and which trainer learns from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from peft import PeftModel

from adaptery.examples import ExampleSet, build_examples
from adaptery.records import Record
from adaptery.schemas.spec import JobSpec, Stage
from adaptery_training.base import LoadedBase
from adaptery_training.run import Run
from adaptery_training.sft import SftTrainer
from adaptery_training.trainer import ResumableTrainer


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one stage trains."""

    build_examples: Callable[[Sequence[Record], LoadedBase, JobSpec], Any]
    #: Takes the model with its adapter, what `build_examples` made to learn from, what it made of
    #: held out records if there are any, and the run.
    trainer: Callable[[PeftModel, Any, Any | None, Run], ResumableTrainer]


def _build_labelled(records: Sequence[Record], base: LoadedBase, spec: JobSpec) -> ExampleSet:
    return build_examples(records, base.tokenizer, cutoff_len=spec.optim.cutoff_len)


STAGES: Mapping[Stage, Recipe] = {"sft": Recipe(_build_labelled, SftTrainer)}
