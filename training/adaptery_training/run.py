"""One run of a trainer: what it is told, whom it tells, and how it ends. Data only, no torch."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from adaptery.schemas.spec import JobSpec
from adaptery_training.checkpoints import Checkpoint, Progress

if TYPE_CHECKING:
    from adaptery_training.base import LoadedBase
    from adaptery_training.plain_lora import PlainLora

CHECKPOINTS_FOLDER = "checkpoints"


@dataclass(frozen=True, slots=True)
class Metrics:
    """The numbers of one logging step."""

    step: int
    epoch: float
    loss: float
    learning_rate: float
    grad_norm: float | None
    tokens_per_second: float  #: without padding, since the last logging step
    eval_loss: float | None = None  #: on what is held out, at the steps that measure it
    #: What only some stages measure, by the names of `MetricsEvent`.
    stage: Mapping[str, float] = field(default_factory=dict[str, float])


class Observer(Protocol):
    """Who is told how training goes, and who may end it."""

    def on_metrics(self, metrics: Metrics) -> None:
        """Take the numbers of a logging step."""
        ...

    def on_saving(self, needed_bytes: int) -> None:
        """Refuse, by an exception, to let a checkpoint of that size be written."""
        ...

    def on_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Take a complete checkpoint."""
        ...

    def should_stop(self) -> bool:
        """Say whether to save a checkpoint and stop after this step."""
        ...


@dataclass(frozen=True, slots=True)
class Run:
    """What every trainer is told beside its model and its examples."""

    spec: JobSpec
    work_folder: Path
    base: LoadedBase
    plain: PlainLora
    observer: Observer
    clock: Callable[[], float] = time.monotonic

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints that this attempt writes."""
        return self.work_folder / CHECKPOINTS_FOLDER


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """A checkpoint folder that was checked, and what it says about the time before."""

    step: int
    folder: Path
    progress: Progress


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended."""

    finished: bool  #: False if the observer asked to stop before the last step
    step: int
    summary: dict[str, float]
