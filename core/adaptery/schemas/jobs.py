"""Jobs and their events."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from adaptery.schemas.clearml import ClearmlTask
from adaptery.schemas.common import WITHOUT_NUL, Answer, ClientKey, Instant, JsonObject, Model
from adaptery.schemas.datasets import NameText
from adaptery.schemas.grants import RightWord
from adaptery.schemas.spec import JobId
from adaptery.states import JobState

__all__ = [
    "Job",
    "JobAction",
    "JobAgain",
    "JobChange",
    "JobCreate",
    "JobEvent",
    "Metadata",
    "OptionValue",
    "Priority",
]

#: Options of one job; a task definition has about ten.
OPTIONS_LIMIT = 64

OptionValue = int | float | str | bool | list[str]
#: Versions that one job learns from.
DATASETS_LIMIT = 16

#: As OpenAI has them.
METADATA_LIMIT = 16
Metadata = dict[
    Annotated[str, Field(min_length=1, max_length=64, pattern=WITHOUT_NUL)],
    Annotated[str, Field(max_length=512, pattern=WITHOUT_NUL)],
]

DatasetText = Annotated[str, Field(min_length=1, max_length=400)]
#: A name of an adapter, with `@3` a version and `@3-step200` a checkpoint, or an id.
AdapterText = Annotated[str, Field(min_length=1, max_length=400)]
Priority = Literal["low", "normal", "high"]
#: What can be done with a job, as its state and the caller's rights are.
JobAction = Literal[
    "cancel",
    "resubmit",
    "clone",
    "compare",
    "download",
    "chat",
    "statistics",
    "prioritise",
    "delete",
]


class JobCreate(Model):
    """What a user submits; the task definition says which options there are and checks them."""

    task: Annotated[str, Field(min_length=1, max_length=64)] = "training-v0"
    name: NameText
    base_model: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    dataset: DatasetText | None = Field(
        default=None, description="a version by name (@demo/visits@1) or id (dv_…)"
    )
    datasets: tuple[DatasetText, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=DATASETS_LIMIT,
        description="several versions instead of one",
    )
    validation: DatasetText | None = Field(
        default=None,
        description="a version that is evaluated on and never learnt from, by name or id: its "
        "validation split, or all of it if it has none",
    )
    start_from: AdapterText | None = Field(
        default=None, description="the adapter or checkpoint that training goes on from"
    )
    reward: AdapterText | None = Field(
        default=None, description="the reward model that judges answers; stage grpo only"
    )
    priority: Priority = Field(
        default="normal", description="among the jobs of the same owner; high needs the admin scope"
    )
    options: dict[str, OptionValue] = Field(default_factory=dict, max_length=OPTIONS_LIMIT)
    cloned_from: JobId | None = Field(default=None, description="the job that it was made from")
    metadata: Metadata | None = Field(
        default=None,
        max_length=METADATA_LIMIT,
        description="notes of the client's, which it gets back",
    )
    key: ClientKey | None = Field(
        default=None, description="made by the client: sent again, it submits no second job"
    )

    @model_validator(mode="after")
    def _one_way_to_say_what(self) -> Self:
        if (self.dataset is None) == (self.datasets is None):
            raise ValueError("give either `dataset` or `datasets`")
        return self

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions to learn from, as they were named."""
        return self.datasets or (self.dataset or "",)


class JobAgain(Model):
    """How a job is submitted again, exactly as it was."""

    name: NameText | None = Field(default=None, description="the same name, if absent")
    key: ClientKey | None = Field(
        default=None, description="made by the client: sent again, it submits no second job"
    )


class JobChange(Model):
    """What can be changed of a job that waits."""

    priority: Priority = Field(description="high needs the admin scope")


class Job(Answer):
    """One requested run. Lists and answers show the state as it is in the database."""

    id: str
    name: str
    tenant: str
    task: str
    base_model: str
    dataset: str
    state: JobState
    reason: str | None
    position: int | None
    cancel_requested: bool
    queue: str
    progress: float | None
    attempts: int
    adapter: str | None
    adapter_id: str | None
    created_at: Instant
    queued_at: Instant | None
    started_at: Instant | None
    finished_at: Instant | None
    state_at: Instant | None = Field(default=None, description="when the present state was set")
    summary: JsonObject | None
    options: dict[str, OptionValue]
    right: RightWord | None = Field(default=None, description="what the caller may do with it")
    stage: str = "sft"
    datasets: list[str] = Field(default_factory=list, description="all versions, by pinned names")
    validation: str | None = Field(
        default=None, description="the version that is held out, by its pinned name, if one is"
    )
    start_from: str | None = None
    reward: str | None = None
    priority: Priority = "normal"
    cloned_from: str | None = Field(default=None, description="id of the job it was made from")
    metadata: Metadata | None = Field(default=None, description="notes of who submitted it")
    step: int | None = Field(default=None, description="optimiser steps done")
    total_steps: int | None = None
    starts_at: Instant | None = Field(default=None, description="estimate, while it is queued")
    ends_at: Instant | None = Field(default=None, description="estimate, while it is open")
    clearml: ClearmlTask | None = Field(
        default=None, description="where its queue leads to ClearML"
    )
    actions: list[JobAction] = Field(
        default_factory=list[JobAction], description="what the caller can do with it now"
    )


class JobEvent(Answer):
    """One event of a job; `seq` grows by one and is the SSE event id."""

    seq: int
    at: Instant
    kind: str
    data: JsonObject
