"""What a task is: the administrator's definition of one kind of job.

A task is data (a YAML file). It names the queue and stage, the options a user may set with their
bounds, and everything else that the job spec needs. It never names code, files or hosts.

Not here: finding the files (`catalog`), checking a user's values (`options`), building the spec
(`queue`).

Invariants:
- A definition that cannot be read completely stops the start; no key is skipped.
- Option names are unique, and each says with `into` where in the spec its value goes.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from adaptery.schemas.jobs import OptionValue
from adaptery.schemas.spec import Stage

SPEC_SECTIONS = ("lora", "optim")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OptionDefinition(_Part):
    """One value of the job form, with its bounds and its place in the spec."""

    type: Literal["integer", "number", "string", "boolean"]
    into: str
    title: str
    description: str
    default: OptionValue | None = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] | None = None
    advanced: bool = False

    @model_validator(mode="after")
    def _place_is_known(self) -> Self:
        section, _, field = self.into.partition(".")
        if section not in SPEC_SECTIONS or not field:
            raise ValueError(f"`into` must be one of {SPEC_SECTIONS} followed by a dot and a field")
        return self


class TaskLimits(_Part):
    """What one attempt may use; the agent ends a worker that goes over."""

    wall_seconds: int = Field(gt=0)
    memory_bytes: int = Field(gt=0)
    disk_bytes: int = Field(gt=0)


class FixedSections(_Part):
    """Values of the spec that the user cannot set."""

    lora: dict[str, OptionValue | list[str]] = {}
    optim: dict[str, OptionValue] = {}


class TaskDefinition(_Part):
    """One task as its file says it, with the digest of that file."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    title: str
    description: str
    stage: Stage
    queue: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    template: str
    options: dict[str, OptionDefinition]
    fixed: FixedSections = FixedSections()
    lora_alpha_per_rank: float = Field(default=2.0, gt=0)
    limits: TaskLimits
    digest: str
