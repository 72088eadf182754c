"""Jobs, their events, and the tasks that shape their form."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from adaptery.schemas.common import Answer, ClientKey, Instant, JsonObject, Model
from adaptery.schemas.datasets import NameText
from adaptery.schemas.grants import RightWord
from adaptery.states import JobState

__all__ = ["Job", "JobCreate", "JobEvent", "Task"]

#: Options of one job; a task definition has about ten.
OPTIONS_LIMIT = 64

OptionValue = int | float | str | bool


class JobCreate(Model):
    """What a user submits; the task definition says which options there are and checks them."""

    task: Annotated[str, Field(min_length=1, max_length=64)] = "training-v0"
    name: NameText
    base_model: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    dataset: Annotated[str, Field(min_length=1, max_length=400)] = Field(
        description="a version by name (@demo/visits@1) or id (dv_…)"
    )
    options: dict[str, OptionValue] = Field(default_factory=dict, max_length=OPTIONS_LIMIT)
    key: ClientKey | None = Field(
        default=None, description="made by the client: sent again, it submits no second job"
    )


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


class JobEvent(Answer):
    """One event of a job; `seq` grows by one and is the SSE event id."""

    seq: int
    at: Instant
    kind: str
    data: JsonObject


class Task(Answer):
    """An admin-written definition that shapes a form and names a queue."""

    name: str
    title: str
    stage: str
    queue: str
    description: str
    schema_: JsonObject = Field(alias="schema", description="JSON Schema of the options")

    model_config = {**Answer.model_config, "populate_by_name": True, "serialize_by_alias": True}
