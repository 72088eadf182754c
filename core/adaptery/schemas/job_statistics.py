"""What a job cost and how it went, in numbers."""

from __future__ import annotations

from pydantic import Field

from adaptery.schemas.common import Answer, Instant, JsonObject
from adaptery.states import AttemptOutcome

__all__ = ["AttemptStatistics", "InputStatistics", "JobCounts", "JobStatistics"]


class JobCounts(Answer):
    """How many jobs are in each state, of those that the caller may see."""

    created: int = 0
    queued: int = 0
    training: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0


class AttemptStatistics(Answer):
    """One try at a job on one agent."""

    number: int
    agent: str | None
    started_at: Instant | None
    ended_at: Instant | None
    outcome: AttemptOutcome | None = Field(description="absent while it runs")
    reason: str | None
    checkpoints: int = Field(description="that are kept")


class InputStatistics(Answer):
    """One version that a job takes."""

    dataset: str = Field(description="its pinned name")
    split: str | None
    records: int | None = Field(description="of the split")
    held_out: bool = Field(default=False, description="evaluated on, and never learnt from")


class JobStatistics(Answer):
    """What a job cost, and how it went."""

    attempts: list[AttemptStatistics]
    wait_seconds: float | None = Field(description="from the first queueing to the first start")
    train_seconds: float = Field(description="of all attempts, the lost ones too")
    step: int | None
    total_steps: int | None
    step_seconds: float | None = Field(description="at the pace of the last attempt")
    tokens: int | None
    tokens_per_second: float | None = Field(description="median")
    peak_memory_bytes: int | None
    best_eval_loss: float | None
    best_step: int | None
    last_loss: float | None
    summary: JsonObject | None
    inputs: list[InputStatistics]
