"""OpenAI's fine-tuning API in our words and back: files, jobs, events and checkpoints.

A file is a dataset with one uploaded file; a job is a job, whoever submitted it by whatever way.
Ids are ours with OpenAI's beginnings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy.engine import RowMapping

from adaptery.errors import AdapteryError, FieldProblem, InvalidInputError
from adaptery.ids import new_id
from adaptery.schemas.checkpoints import Checkpoint
from adaptery.schemas.fine_tuning import FineTuningRequest, MethodKind
from adaptery.schemas.jobs import Job, JobCreate, OptionValue
from adaptery.states import JobState
from adaptery_hub.tasks import TaskDefinition

PURPOSE = "fine-tune"
#: The task of each method.
TASKS: Mapping[MethodKind, str] = {"supervised": "sft", "dpo": "dpo"}

_STATUS: Mapping[JobState, str] = {
    JobState.CREATED: "validating_files",
    JobState.QUEUED: "queued",
    JobState.TRAINING: "running",
    JobState.COMPLETED: "succeeded",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
}
_METHODS: Mapping[str, MethodKind] = {"dpo": "dpo", "grpo": "reinforcement"}
#: Where hyperparameters and seed go in a spec.
_PLACES = {
    "n_epochs": "optim.epochs",
    "batch_size": "optim.batch_size",
    "learning_rate_multiplier": "optim.learning_rate",
    "beta": "preference.beta",
    "seed": "optim.seed",
}
#: Our fields, as OpenAI's clients know them.
_FIELDS = {
    "dataset": "training_file",
    "validation": "validation_file",
    "base_model": "model",
    "start_from": "model",
    "name": "suffix",
}
_FILE, _JOB, _EVENT, _CHECKPOINT = "file-", "ftjob-", "ftevent-", "ftckpt-"
_NAME_CHARACTERS = 48


def dataset_id_of(file_id: str) -> str:
    """Return the id of the dataset that a file is; of nothing, if the id is none of a file."""
    return f"ds_{file_id.removeprefix(_FILE)}" if file_id.startswith(_FILE) else ""


def _file_id(dataset_id: str | None) -> str | None:
    return f"{_FILE}{dataset_id.removeprefix('ds_')}" if dataset_id is not None else None


def job_id_of(text: str) -> str:
    """Return our id of a job; of nothing, if the id is none of a job."""
    return f"jb_{text.removeprefix(_JOB)}" if text.startswith(_JOB) else ""


def event_seq_of(text: str, job_id: str) -> int:
    """Return the number of an event in its job.

    Raises:
        InvalidInputError: this is no event of the job.
    """
    job, _, digits = text.removeprefix(_EVENT).rpartition("-")
    is_number = digits.isascii() and digits.isdigit() and len(digits) < 10
    if not (text.startswith(_EVENT) and f"jb_{job}" == job_id and is_number):
        raise _wrong(
            "after", "is no event of this job.", "Use the id of the last event of the page before."
        )
    return int(digits)


def checkpoint_id_of(text: str) -> str:
    """Return our id of a checkpoint."""
    return f"ck_{text.removeprefix(_CHECKPOINT)}"


def slug(text: str, fallback: str) -> str:
    """Return a name that a dataset or a job can have, made of what a user wrote."""
    made = re.sub(r"[^a-z0-9]+", "-", text.lower())[:_NAME_CHARACTERS].strip("-")
    return made or fallback


def dataset_name(filename: str) -> str:
    """Return a new name for the dataset that a file becomes."""
    return f"{slug(filename.rpartition('.')[0] or filename, 'file')}-{new_id('fi')[-8:]}"


def describe_file(row: RowMapping, problems: Sequence[str] = ()) -> dict[str, object]:
    """Return a row of `statements.training_files` as OpenAI's file."""
    status, details = "processed", None
    if row["version_id"] is None:
        status, details = "uploaded", "Its dataset is not published yet."
        if row["state"] == "refused":
            status, details = "error", " ".join([row["reason"] or "It is refused.", *problems])
    return {
        "id": _file_id(row["dataset_id"]),
        "object": "file",
        "bytes": row["bytes"],
        "created_at": _seconds(row["created_at"]),
        "filename": row["name"],
        "purpose": PURPOSE,
        "status": status,
        "status_details": details,
        "expires_at": _seconds(row["expires_at"]),
    }


def method_task(wanted: FineTuningRequest) -> str:
    """Return the name of the task that a request is for.

    Raises:
        InvalidInputError: the method has none.
    """
    method = wanted.method.type if wanted.method is not None else "supervised"
    if wanted.task is not None:
        return wanted.task
    if method not in TASKS:
        raise _wrong(
            "method.type",
            "is not offered here: reinforcement needs a reward model, not a grader.",
            "Submit a job of the task grpo at api/jobs, with a reward adapter.",
        )
    return TASKS[method]


def job_request(
    wanted: FineTuningRequest,
    task: TaskDefinition,
    *,
    dataset: str,
    validation: str | None,
    base_model: str,
    start_from: str | None,
) -> JobCreate:
    """Return the job that a request asks for.

    Args:
        wanted: the request.
        task: that it is for.
        dataset: the version to learn from.
        validation: the version to evaluate on.
        base_model: that is trained on.
        start_from: the adapter that training goes on from.

    Raises:
        InvalidInputError: the task has no place for a hyperparameter.
    """
    try:
        sent = wanted.options
    except ValueError as error:
        raise _wrong("extra_body", f"{error}.", "Send options of the task.") from None
    return JobCreate(
        task=task.name,
        name=slug(wanted.suffix or "", f"ft-{new_id('jb')[-8:]}"),
        base_model=base_model,
        dataset=dataset,
        validation=validation,
        start_from=start_from,
        options={**_chosen(wanted, task), **sent},
        metadata=wanted.metadata,
    )


def as_asked(error: AdapteryError) -> AdapteryError:
    """Return a refusal with the names of the fields that were sent."""
    error.errors = tuple(
        replace(one, where=_FIELDS.get(one.where, one.where)) for one in error.errors
    )
    return error


def _chosen(wanted: FineTuningRequest, task: TaskDefinition) -> dict[str, OptionValue]:
    """Return the hyperparameters as options of the task."""
    told = {
        name: value
        for name, value in wanted.settings.model_dump(exclude_none=True).items()
        if value != "auto"
    }
    if wanted.seed is not None:
        told["seed"] = wanted.seed
    options: dict[str, OptionValue] = {}
    for word, value in told.items():
        place = _PLACES[word]
        name = next((name for name, one in task.options.items() if one.into == place), None)
        if name is None:
            raise _wrong(word, f"is not for you to set in the task {task.name}.", "Leave it out.")
        default = task.options[name].default
        is_factor = word == "learning_rate_multiplier" and isinstance(default, int | float)
        options[name] = default * value if is_factor else value
    return options


@dataclass(frozen=True)
class JobFacts:
    """What OpenAI's job says beside ours."""

    dataset_id: str | None  # what it learns from first
    validation_id: str | None  # the dataset that is held out
    spec: Mapping[str, Any]


def describe_job(job: Job, facts: JobFacts) -> dict[str, object]:
    """Return a job as OpenAI's fine-tuning job."""
    optim = facts.spec.get("optim", {})
    hyperparameters = {
        "n_epochs": optim.get("epochs", "auto"),
        "batch_size": optim.get("batch_size", "auto"),
        "learning_rate_multiplier": "auto",  # it is of a default that may be another by now
        "learning_rate": optim.get("learning_rate"),
    }
    method = _METHODS.get(job.stage, "supervised")
    failed = {"code": "job_failed", "message": job.reason or "", "param": None}
    return {
        "id": _JOB + job.id[3:],
        "object": "fine_tuning.job",
        "created_at": _seconds(job.created_at),
        "finished_at": _seconds(job.finished_at),
        "estimated_finish": _seconds(job.ends_at),
        "model": job.start_from or job.base_model,
        "fine_tuned_model": job.adapter if job.state == JobState.COMPLETED else None,
        "organization_id": job.tenant,
        "status": _STATUS[job.state],
        "hyperparameters": hyperparameters,
        "method": {"type": method, method: {"hyperparameters": hyperparameters}},
        "training_file": _file_id(facts.dataset_id) or job.dataset,
        "validation_file": _file_id(facts.validation_id),
        "result_files": [],
        "trained_tokens": (job.summary or {}).get("tokens"),
        "seed": optim.get("seed"),
        "error": failed if job.state == JobState.FAILED else None,
        "integrations": None,
        "metadata": job.metadata,
    }


def describe_event(job_id: str, row: RowMapping) -> dict[str, object]:
    """Return an event of a job as OpenAI's."""
    data: Mapping[str, Any] = row["data"]
    return {
        "id": f"{_EVENT}{job_id[3:]}-{row['seq']}",
        "object": "fine_tuning.job.event",
        "created_at": _seconds(row["created_at"]),
        "level": {"warning": "warn", "error": "error"}.get(data.get("level", ""), "info")
        if row["kind"] != "error"
        else "error",
        "message": _message(row["kind"], data),
        "type": "metrics" if row["kind"] == "metrics" else "message",
        "data": dict(data),
    }


def _message(kind: str, data: Mapping[str, Any]) -> str:
    match kind:
        case "metrics":
            return f"Step {data.get('step')}: training loss {data.get('loss')}"
        case "checkpoint":
            return f"Checkpoint at step {data.get('step')}"
        case "summary":
            return "Training is over"
        case _:
            told = (data.get(name) for name in ("message", "reason", "state"))
            return str(next((text for text in told if text), kind))


def describe_checkpoint(job_id: str, checkpoint: Checkpoint) -> dict[str, object]:
    """Return a checkpoint as OpenAI's."""
    metrics: Mapping[str, Any] = checkpoint.metrics or {}
    told = {"train_loss": metrics.get("loss"), "valid_loss": metrics.get("eval_loss")}
    return {
        "id": _CHECKPOINT + checkpoint.id[3:],
        "object": "fine_tuning.job.checkpoint",
        "created_at": _seconds(checkpoint.created_at),
        "fine_tuning_job_id": _JOB + job_id[3:],
        "fine_tuned_model_checkpoint": checkpoint.model,
        "step_number": checkpoint.step,
        "metrics": {"step": checkpoint.step}
        | {name: value for name, value in told.items() if value is not None},
    }


def as_page(items: Sequence[Mapping[str, object]], limit: int) -> dict[str, object]:
    """Return a list as OpenAI has it; `items` holds one more if there are more."""
    shown = list(items[:limit])
    return {
        "object": "list",
        "data": shown,
        "has_more": len(items) > limit,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
    }


def _seconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())


def _wrong(where: str, reason: str, remedy: str) -> InvalidInputError:
    return InvalidInputError(errors=[FieldProblem(where, reason, remedy)])
