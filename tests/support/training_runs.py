"""Runs of a trainer in this process: what an attempt does between reading its data and its end."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adaptery.ids import new_id
from adaptery.records import Record
from adaptery.schemas.spec import JobSpec
from adaptery_training.checkpoints import Checkpoint
from adaptery_training.run import Metrics, Outcome
from tiny import tiny_records

DIGEST = "sha256:" + "0" * 64
OPTIM = {
    "learning_rate": 0.01,
    "batch_size": 4,
    "gradient_accumulation": 1,
    "max_steps": 6,
    "logging_steps": 1,
    "save_steps": 1000,
    "precision": "fp32",
}


@dataclass
class Recorder:
    """An observer that writes everything down, and stops after a step if told to."""

    stop_after: int | None = None
    metrics: list[Metrics] = field(default_factory=list)
    checkpoints: list[Checkpoint] = field(default_factory=list)

    def on_metrics(self, metrics: Metrics) -> None:
        self.metrics.append(metrics)

    def on_saving(self, needed_bytes: int) -> None:
        pass

    def on_checkpoint(self, checkpoint: Checkpoint) -> None:
        self.checkpoints.append(checkpoint)

    def should_stop(self) -> bool:
        self._steps = next(self._count)
        return self._steps == self.stop_after

    def __post_init__(self) -> None:
        self._count = itertools.count(1)


@dataclass
class TrainedRun:
    """How a run went."""

    spec: JobSpec
    trainer: Any
    observer: Recorder
    outcome: Outcome
    held_out: Any = None

    @property
    def losses(self) -> dict[int, float]:
        return {metrics.step: metrics.loss for metrics in self.observer.metrics}

    @property
    def learning_rates(self) -> list[float]:
        return [metrics.learning_rate for metrics in self.observer.metrics]

    @property
    def eval_losses(self) -> dict[int, float]:
        found = {metrics.step: metrics.eval_loss for metrics in self.observer.metrics}
        return {step: loss for step, loss in found.items() if loss is not None}

    @property
    def weights(self) -> dict[str, Any]:
        """The adapter in the form it was trained in."""
        return self.trainer._run.plain.trained()


def job_spec(optim: Mapping[str, object] | None = None, **sections: object) -> JobSpec:
    """A spec for the tiny model."""
    return JobSpec.model_validate(
        {
            "job": new_id("jb"),
            "attempt": new_id("at"),
            "fencing_token": 1,
            "stage": "sft",
            "base_model": {"name": "tests/tiny", "weight_digest": DIGEST},
            "inputs": [{"version": new_id("dv"), "content_digest": DIGEST}],
            "limits": {"wall_seconds": 600, "memory_bytes": 8 << 30, "disk_bytes": 1 << 30},
            **sections,
            "lora": {"rank": 4, "alpha": 8, **dict(sections.get("lora") or {})},  # type: ignore[call-overload]
            "optim": {**OPTIM, **(optim or {})},
        }
    )


def train(
    base: Path,
    work_folder: Path,
    spec: JobSpec,
    *,
    records: Sequence[Mapping[str, Any]] | None = None,
    held_out: Sequence[Mapping[str, Any]] = (),
    stop_after: int | None = None,
    resume: TrainedRun | None = None,
) -> TrainedRun:
    """Train as an attempt does; `resume` goes on from the newest checkpoint of an earlier run."""
    import torch

    from adaptery.examples import prepare
    from adaptery_training.adapters import add_adapter
    from adaptery_training.base import load_base_model
    from adaptery_training.checkpoints import fingerprint, open_checkpoint
    from adaptery_training.plain_lora import PlainLora
    from adaptery_training.quiet import seed_everything
    from adaptery_training.run import ResumePoint, Run
    from adaptery_training.stages import recipe_of

    torch.set_num_threads(1)  # a tiny model gains nothing by more
    loaded = load_base_model(base, spec.base_model, "fp32", spec.template, spec.optim)
    examples = prepare(
        [Record.from_dict(dict(record)) for record in records or tiny_records()],
        [Record.from_dict(dict(record)) for record in held_out],
        loaded.tokenizer,
        spec,
    )
    seed_everything(spec.optim.seed)
    recipe = recipe_of(spec.stage)
    model = recipe.model(loaded.model, examples.learnt)
    adapted = add_adapter(model, spec.lora, "tests/tiny", task_type=recipe.task_type)
    observer = Recorder(stop_after)
    run = Run(spec, work_folder, loaded, PlainLora(adapted, spec.lora), observer)
    trainer = recipe.trainer(adapted, examples.learnt, examples.held_out, run)
    point = None
    if resume is not None:
        saved = resume.observer.checkpoints[-1]
        progress = open_checkpoint(
            saved.path, step=saved.step, digest=saved.digest, fingerprint=fingerprint(spec)
        )
        point = ResumePoint(saved.step, saved.path, progress)
    return TrainedRun(spec, trainer, observer, trainer.train_from(point), examples.held_out)
