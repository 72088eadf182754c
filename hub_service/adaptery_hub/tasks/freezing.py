"""Freezing: from a task and checked options to all of a job's spec that a submission decides.

Invariants:
- The spec is data from the task's definition, from checked options and from what was resolved for
  the job (versions, adapters), and nothing else.
- What is frozen is a `JobSpec` once an attempt adds itself and the base weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from adaptery.errors import FieldProblem, SpecError
from adaptery.ids import new_id
from adaptery.schemas.common import field_problems
from adaptery.schemas.jobs import OptionValue
from adaptery.schemas.spec import SPEC_VERSION, InputSpec, JobSpec, StartSpec
from adaptery_hub.tasks.definitions import SpecValue, TaskDefinition

#: Stands for weights that no agent has reported yet, while a spec is checked.
UNKNOWN_DIGEST = "sha256:" + "0" * 64
#: Where a problem is that only the administrator can mend.
_TASK = "task"


def freeze_spec(
    task: TaskDefinition,
    options: Mapping[str, OptionValue],
    inputs: Sequence[InputSpec],
    start_from: StartSpec | None = None,
    reward: str | None = None,
) -> dict[str, object]:
    """Returns all of a job's spec that is known when it is submitted.

    Args:
        task: Its task.
        options: Checked options of the task, complete.
        inputs: What it learns from.
        start_from: The adapter that it goes on from.
        reward: The weight digest of the adapter that judges answers.

    Raises:
        SpecError: The task and these options do not make a valid spec; names the options.
    """
    values: dict[str, SpecValue] = {"template": task.template, **task.fixed}
    for name, value in options.items():
        option = task.options[name]
        values[option.into] = option.to_spec(value)
    rank = values.get("lora.rank")
    if values.get("lora.alpha") is None and isinstance(rank, int):
        values["lora.alpha"] = rank * task.lora_alpha_per_rank
    if reward is not None:
        values["reward.weight_digest"] = reward
    spec: dict[str, object] = {
        "spec_version": SPEC_VERSION,
        "stage": task.stage,
        "inputs": [entry.model_dump(mode="json", exclude_none=True) for entry in inputs],
        **_nested(values),
        "limits": task.limits.model_dump(),
    }
    if start_from is not None:
        spec["start_from"] = start_from.model_dump(mode="json")
    parse_frozen(task, spec)
    return spec


def parse_frozen(task: TaskDefinition, spec: Mapping[str, object]) -> JobSpec:
    """Returns a frozen spec as an attempt would have it, with an attempt that nobody makes.

    Raises:
        SpecError: It is not a valid spec; names the options of the task.
    """
    attempt = {
        "job": new_id("jb"),
        "attempt": new_id("at"),
        "fencing_token": 1,
        "base_model": {"name": "unknown", "weight_digest": UNKNOWN_DIGEST},
    }
    try:
        return JobSpec.model_validate({**spec, **attempt})
    except ValidationError as problem:
        raise SpecError(
            f"The options do not fit the task {task.name}.",
            errors=[as_submitted(task, entry) for entry in field_problems(problem)],
        ) from None


def as_submitted(task: TaskDefinition, problem: FieldProblem) -> FieldProblem:
    """Returns a problem of a spec as one of what was submitted."""
    where = place_of(task, problem.where)
    named = problem.where if where == _TASK else ""
    return FieldProblem(where, f"{named} {problem.reason}".lstrip(), problem.remedy)


def place_of(task: TaskDefinition, path: str) -> str:
    """Returns what decides a place in the spec, as a submitter knows it."""
    option = task.option_into(path)
    if option is not None:
        return f"options.{option}"
    field = path.split(".")[0]
    return field if field in ("reward", "start_from", "validation") else _TASK


def _nested(values: Mapping[str, SpecValue]) -> dict[str, object]:
    """Returns values by path as objects within objects, without those that are nothing."""
    nested: dict[str, Any] = {}
    for path, value in values.items():
        if value is None:
            continue
        *parents, name = path.split(".")
        within = nested
        for parent in parents:
            within = within.setdefault(parent, {})
        within[name] = value
    return nested
