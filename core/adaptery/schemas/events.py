"""What a worker tells, one JSON object a line in `events.jsonl` of its work folder.

`seq` grows by one from 1 within an attempt; the agent sends events again until they are
acknowledged, so a reader drops those it has. An event never holds text of a record.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from adaptery.canonical import SAFE_INTEGER
from adaptery.errors import InvalidInputError
from adaptery.schemas.common import WITHOUT_NUL, DigestText, Instant, Model, field_problems

__all__ = [
    "CheckpointEvent",
    "ErrorEvent",
    "Evaluation",
    "LogEvent",
    "MessageText",
    "MetricsEvent",
    "Scores",
    "StateEvent",
    "SummaryEvent",
    "WorkerEvent",
    "WorkerState",
    "event_line",
    "parse_event",
]

#: Bytes of one line; a longer one is no event of ours.
LINE_LIMIT_BYTES = 16 * 1024
MESSAGE_LIMIT = 2_000  # characters of a log message, reason or remedy

WorkerState = Literal["loading", "preparing", "training", "evaluating", "saving", "stopped"]
Step = Annotated[int, Field(ge=0, le=SAFE_INTEGER)]
MessageText = Annotated[str, Field(max_length=MESSAGE_LIMIT, pattern=WITHOUT_NUL)]


class _Event(Model):
    seq: int = Field(ge=1, le=SAFE_INTEGER)
    at: Instant


class StateEvent(_Event):
    """What the worker is about."""

    kind: Literal["state"] = "state"
    state: WorkerState
    #: Optimiser steps of the whole job, once they are known; progress is step / total_steps.
    total_steps: Step | None = None
    #: The step that training goes on from; 0 or absent for a fresh start.
    resumed_step: Step | None = None


class MetricsEvent(_Event):
    """Numbers of one logging step."""

    kind: Literal["metrics"] = "metrics"
    step: Step
    epoch: float
    step_epoch: float | None = None  # completed epochs, a step function
    loss: float | None = None
    learning_rate: float | None = None
    grad_norm: float | None = None
    tokens_per_second: float | None = None
    eval_loss: float | None = None
    #: Mean score of the model's own answers: the judge's in grpo.
    reward: float | None = None
    #: Share of pairs whose chosen answer scores higher (rm, dpo).
    reward_accuracy: float | None = None
    #: By how much good answers score higher than bad ones (rm, dpo, kto).
    reward_margin: float | None = None
    #: Distance from the model at the start, in nats: of an answer (kto), of a token (grpo).
    kl: float | None = None


class CheckpointEvent(_Event):
    """A checkpoint is complete on disk."""

    kind: Literal["checkpoint"] = "checkpoint"
    step: Step
    path: Annotated[str, Field(pattern=r"^checkpoints/[A-Za-z0-9_.-]+$")]  # in the work folder
    digest: DigestText


class LogEvent(_Event):
    """A line for the job's log, written by us, never copied from a library or a record."""

    kind: Literal["log"] = "log"
    level: Literal["info", "warning", "error"] = "info"
    message: MessageText


class Scores(Model):
    """How well one model does on held out answers."""

    loss: float = Field(description="mean over the tokens of the answers, in nats")
    rouge_l: float | None = Field(
        default=None, ge=0, le=1, description="mean F1 of ROUGE-L; absent where nothing is asked"
    )
    exact_match: float | None = Field(
        default=None, ge=0, le=1, description="share of answers written word for word"
    )


class Evaluation(Model):
    """Base model and adapter on the same held out examples."""

    examples: Annotated[int, Field(ge=1, le=SAFE_INTEGER)]
    base: Scores
    adapter: Scores


class SummaryEvent(_Event):
    """The summary of the Hugging Face Trainer, at the end."""

    kind: Literal["summary"] = "summary"
    epoch: float
    train_runtime: float  # seconds
    train_samples_per_second: float
    train_steps_per_second: float
    total_flos: float
    train_loss: float
    #: Read, without padding; over all attempts, as all of these.
    tokens: Annotated[int, Field(ge=0, le=SAFE_INTEGER)] | None = None
    #: The most that any attempt took: of the device's memory, where it trained on one.
    peak_memory_bytes: Annotated[int, Field(ge=0, le=SAFE_INTEGER)] | None = None
    eval_loss: float | None = None  # the best
    best_step: Step | None = None  # where it was
    evaluation: Evaluation | None = None  # where something was held out


class ErrorEvent(_Event):
    """Why the worker gave up: always the last event of a failed attempt."""

    kind: Literal["error"] = "error"
    code: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    reason: MessageText
    remedy: MessageText = ""


WorkerEvent = Annotated[
    StateEvent | MetricsEvent | CheckpointEvent | LogEvent | SummaryEvent | ErrorEvent,
    Field(discriminator="kind"),
]

_ADAPTER: TypeAdapter[WorkerEvent] = TypeAdapter(WorkerEvent)


def parse_event(data: bytes | str | dict[str, object]) -> WorkerEvent:
    """Return the event that a line, or a parsed JSON object, describes.

    Raises:
        InvalidInputError: if it is longer than the limit or not an event.
    """
    try:
        if isinstance(data, dict):
            return _ADAPTER.validate_python(data)
        if len(data) > LINE_LIMIT_BYTES:
            raise InvalidInputError(f"The event is longer than {LINE_LIMIT_BYTES} bytes.")
        return _ADAPTER.validate_json(data)
    except ValidationError as exc:
        raise InvalidInputError("This is not a worker event.", errors=field_problems(exc)) from None


def event_line(event: WorkerEvent) -> bytes:
    """Return the event as one line of `events.jsonl`, without fields that are None."""
    return event.model_dump_json(exclude_none=True).encode() + b"\n"
