"""Pre-flights: what a job would do, told before it starts; numbers, but for the first batch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from adaptery.schemas.common import Answer, ProblemEntry
from adaptery.schemas.datasets import NameText
from adaptery.schemas.jobs import JobCreate
from adaptery.schemas.review import LengthBin

__all__ = [
    "BatchRow",
    "FirstBatch",
    "MemoryEstimate",
    "PreflightReport",
    "PreflightRequest",
    "TimeEstimate",
    "Token",
]


class PreflightRequest(JobCreate):
    """What would be submitted; it needs no name yet."""

    name: NameText = "preflight"


class TimeEstimate(Answer):
    """How long training takes, waiting and loading aside."""

    low: float | None = Field(description="seconds; null if nothing was measured yet")
    high: float | None = None
    basis: str = Field(description="what this was measured on, or why it is not known")


class MemoryEstimate(Answer):
    """How much memory the worker takes."""

    need: int | None = Field(description="bytes; null if the base model is not described")
    limit: int = Field(description="bytes that an attempt may use")
    basis: str


class PreflightReport(Answer):
    """What a job would do. All counts are of records, examples or tokens; none of it is content."""

    base_model: str
    stage: str
    template: str
    records: int
    held_out: int = Field(description="examples that are evaluated on and never learnt")
    examples: int
    cut: int = Field(description="examples that are learnt without their end")
    dropped_cut: int = Field(description="records whose answer lies beyond the cut-off")
    dropped_empty: int = Field(description="records with nothing to learn")
    tokens: int = Field(description="of one epoch, after the template, without padding")
    target_tokens: int = Field(description="of these, how many count in the loss")
    longest: int
    mean: float
    lengths: tuple[LengthBin, ...] = Field(description="examples by tokens")
    padding_share: float = Field(description="which part of what is computed is padding")
    steps: int
    steps_per_epoch: int
    total_tokens: int = Field(description="of all epochs")
    seconds: TimeEstimate
    memory_bytes: MemoryEstimate
    disk_bytes: int | None = Field(description="of all checkpoints and the adapter")
    warnings: tuple[ProblemEntry, ...]


class Token(Answer):
    """One token as it is trained on."""

    text: str
    weight: Annotated[float, Field(ge=0)] = Field(description="in the loss; 0: read only")


class BatchRow(Answer):
    """One row of a batch; a packed one is several examples."""

    dataset: str = Field(default="", description="the version that its record is in, by name")
    record: int = Field(description="position of the record there, from 1")
    tokens: tuple[Token, ...]
    cut: bool = Field(description="whether the end of the record was cut off")
    shown: bool = Field(default=True, description="false: there were too many tokens to show all")


class FirstBatch(Answer):
    """The first batch of the first epoch."""

    rows: tuple[BatchRow, ...]
