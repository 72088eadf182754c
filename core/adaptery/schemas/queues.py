"""Queues: what an administrator says of one, and how it is doing."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from adaptery.schemas.agents import Label
from adaptery.schemas.common import Answer, Instant, Model

__all__ = ["Queue", "QueueChange", "QueueOptions", "QueueState"]

#: `open`: jobs are given to agents. `paused`: none is, and those that train go on. `draining`: as
#: paused, and those that train save a checkpoint and wait again.
QueueState = Literal["open", "paused", "draining"]

Limit = Annotated[int, Field(ge=0)]


class QueueOptions(Model):
    """One queue in the service's settings; what is left out is as for every queue."""

    labels: Annotated[tuple[Label, ...], Field(max_length=32)] = ()
    max_running_jobs: Limit = 0
    max_running_jobs_per_tenant: Limit | None = None
    max_running_jobs_per_user: Limit | None = None
    max_attempts: Annotated[int, Field(ge=1)] | None = None
    lease_seconds: Annotated[float, Field(ge=1)] | None = None
    retry_seconds: Annotated[float, Field(ge=0)] | None = None
    #: The queue of ClearML whose workers serve it; None: our agents do.
    clearml_queue: Annotated[str, Field(min_length=1, max_length=80)] | None = None
    clearml_restricted: bool = False  # whether its workers get what is restricted


class QueueChange(Model):
    """What an administrator changes about a queue."""

    state: QueueState
    reason: (
        Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")] | None
    ) = Field(default=None, description="shown to those whose jobs wait; not for `open`")

    @model_validator(mode="after")
    def _no_reason_to_be_open(self) -> Self:
        if self.state == "open" and self.reason is not None:
            raise ValueError("an open queue has no reason")
        return self


class Queue(Answer):
    """One queue: its state and how many jobs are in it, of all owners."""

    name: str
    state: QueueState
    reason: str | None = None
    queued: int
    training: int
    waits_since: Instant | None = Field(
        default=None, description="when the job was queued that waits longest"
    )
    agents: int = Field(description="connected agents that serve it")
    changed_at: Instant | None = Field(default=None, description="when its state was set")
    changed_by: str | None = Field(default=None, description="who set it; admins only")
    labels: tuple[str, ...] | None = Field(
        default=None, description="what its agents carry; admins only"
    )
