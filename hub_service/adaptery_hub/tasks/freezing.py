"""Freezing: from a task and checked options to all of a job's spec that a submission decides.

Invariants:
- The spec is data from the task's definition, from checked options and from what was resolved for
  the job (versions, adapters), and nothing else.
- What is frozen is a `JobSpec` once an attempt adds itself and the base weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from adaptery.errors import SpecError
from adaptery.ids import new_id
from adaptery.schemas.common import field_problems
from adaptery.schemas.jobs import OptionValue
from adaptery.schemas.spec import SPEC_VERSION, InputSpec, JobSpec, StartSpec
from adaptery_hub.tasks.definitions import TaskDefinition

#: Stands for weights that no agent has reported yet, while a spec is checked.
_UNKNOWN_DIGEST = "sha256:" + "0" * 64


def freeze_spec(
    task: TaskDefinition,
    options: Mapping[str, OptionValue],
    inputs: Sequence[InputSpec],
    start_from: StartSpec | None = None,
) -> dict[str, object]:
    """Returns all of a job's spec that is known when it is submitted.

    Raises:
        SpecError: The task's file and these options do not make a valid spec.
    """
    sections: dict[str, dict[str, object]] = {
        "lora": dict(task.fixed.lora),
        "optim": dict(task.fixed.optim),
    }
    for name, value in options.items():
        section, _, field = task.options[name].into.partition(".")
        sections[section][field] = value
    if "alpha" not in sections["lora"] and isinstance(rank := sections["lora"].get("rank"), int):
        sections["lora"]["alpha"] = rank * task.lora_alpha_per_rank
    spec: dict[str, object] = {
        "spec_version": SPEC_VERSION,
        "stage": task.stage,
        "inputs": [entry.model_dump(mode="json", exclude_none=True) for entry in inputs],
        "template": task.template,
        **sections,
        "limits": task.limits.model_dump(),
    }
    if start_from is not None:
        spec["start_from"] = start_from.model_dump(mode="json")
    _check_spec(spec)
    return spec


def _check_spec(spec: Mapping[str, object]) -> None:
    attempt = {
        "job": new_id("jb"),
        "attempt": new_id("at"),
        "fencing_token": 1,
        "base_model": {"name": "unknown", "weight_digest": _UNKNOWN_DIGEST},
    }
    try:
        JobSpec.model_validate({**spec, **attempt})
    except ValidationError as problem:
        raise SpecError(errors=field_problems(problem)) from None
