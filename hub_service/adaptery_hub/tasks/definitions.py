"""What a task is: the administrator's definition of one kind of job, complete.

A task is data. It names the stage and the queue, the options that a user may set with their bounds,
who may see it, and everything else that the job spec needs. It never names code or hosts.

Not here: files (`catalog`, `documents`), how a file becomes a definition (`reading`), checking a
user's values (`options`), the spec (`freezing`).

Invariants:
- Each option says with `into` where in the spec its value goes; no two go to the same place.
- Whatever an option takes, the field of the spec takes.
- The digest covers the whole definition, what it shares with other tasks included, and no comment
  or order of keys.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from adaptery.canonical import canonical_json
from adaptery.digests import sha256_bytes
from adaptery.schemas.jobs import OPTIONS_LIMIT, OptionValue
from adaptery.schemas.spec import Stage

#: The section of options that name none.
DEFAULT_SECTION = "Training"
_BOOLEANS = {True: "true", False: "false"}

NameText = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
OptionName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
TitleText = Annotated[str, Field(min_length=1, max_length=80)]
HelpText = Annotated[str, Field(min_length=1, max_length=1_000)]
SpecValue = bool | int | float | str | list[str] | None


def _as_keys(values: object) -> object:
    """YAML reads `true` as a boolean and `8` as a number, also where they are keys."""
    if not isinstance(values, Mapping):
        return values
    return {
        _BOOLEANS[key] if isinstance(key, bool) else str(key): value
        for key, value in values.items()  # pyright: ignore[reportUnknownVariableType]
    }


class Part(BaseModel):
    """What all parts of a definition have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class OptionDefinition(Part):
    """One value of the job form, with its bounds and its place in the spec."""

    type: Literal["integer", "number", "string", "boolean", "list"]
    into: str
    title: TitleText
    description: HelpText
    #: An option without one may be left out, and then its field is as the spec has it.
    default: OptionValue | None = None
    minimum: int | float | None = None
    maximum: int | float | None = None
    choices: Annotated[tuple[str, ...], Field(min_length=1, max_length=100)] | None = None
    #: What the spec is told in place of a value (of a list: of a single entry); null: nothing.
    values: Annotated[dict[str, SpecValue], BeforeValidator(_as_keys)] | None = None
    visibility: Literal["shown", "advanced", "hidden"] = "shown"
    section: TitleText = DEFAULT_SECTION
    unit: Annotated[str, Field(max_length=20)] = ""

    def to_spec(self, value: OptionValue) -> SpecValue:
        """Returns what the spec is told for a value; None: nothing."""
        single = value[0] if isinstance(value, list) and len(value) == 1 else value
        key = _BOOLEANS[single] if isinstance(single, bool) else str(single)
        return value if self.values is None else self.values.get(key, value)


class TaskLimits(Part):
    """What one attempt may use; the agent ends a worker that goes over."""

    wall_seconds: int = Field(default=24 * 3600, gt=0, le=366 * 24 * 3600)
    memory_bytes: int = Field(default=16 * 1024**3, gt=0, lt=2**53)
    disk_bytes: int = Field(default=20 * 1024**3, gt=0, lt=2**53)


class TaskDefinition(Part):
    """One task, with what it shares with others."""

    name: NameText
    title: TitleText
    description: HelpText
    stage: Stage
    queue: NameText
    template: str
    base_models: tuple[str, ...]
    groups: tuple[str, ...]
    start_from: bool
    options: Annotated[dict[OptionName, OptionDefinition], Field(max_length=OPTIONS_LIMIT)]
    #: Options that the administrator decided for everyone; their values are among the fixed ones.
    hidden: tuple[str, ...]
    #: Values of the spec that nobody sets, by path.
    fixed: dict[str, SpecValue]
    lora_alpha_per_rank: Annotated[float, Field(gt=0, le=1024)]
    limits: TaskLimits

    @cached_property
    def digest(self) -> str:
        """The digest of everything above."""
        return sha256_bytes(canonical_json(self.model_dump(mode="json")))

    @property
    def takes_reward(self) -> bool:
        """Whether its jobs need an adapter that judges answers."""
        return self.stage == "grpo"

    def is_for(self, groups: Collection[str]) -> bool:
        """Whether somebody in these groups of the Hub may know of the task."""
        return not self.groups or not set(self.groups).isdisjoint(groups)

    def allowed(self, base_models: Collection[str]) -> list[str]:
        """Returns those of the base models that a job of this task may have."""
        return sorted(
            name
            for name in base_models
            if any(fnmatchcase(name, pattern) for pattern in self.base_models)
        )

    def option_into(self, path: str) -> str | None:
        """Returns the name of the option that decides a place in the spec, or what it is in."""
        for name, option in self.options.items():
            if f"{path}.".startswith(f"{option.into}.") or option.into.startswith(f"{path}."):
                return name
        return None
