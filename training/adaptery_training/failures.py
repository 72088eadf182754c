"""Why an attempt failed, in words that its owner can act on.

Every end of a worker other than success or a requested stop is one `TrainingError`: the last line
of `events.jsonl` carries its `code`, its message as `reason` and its hint as `remedy`.

It does not decide what happens next; requeueing is the queue's business.

Invariants:

1. No text of a record, prompt or template enters a message. Foreign exceptions are recognised by
   type, `errno` or fixed phrases; their own text is never passed on, because tokenizers, templates
   and validators like to quote their input.
2. A code is stable: the service shows it, and alerts match on it.

To add one: subclass `TrainingError`, give it a code and a remedy, and list it in
`training/README.md`.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import ClassVar

from adaptery.errors import AdapteryError, RecordError


class TrainingError(AdapteryError):
    """The training attempt failed."""

    code: ClassVar[str] = "training_failed"
    status: ClassVar[int] = 422
    remedy: ClassVar[str] = "Look at the job's log and submit the job again."

    def __init__(self, message: str | None = None, *, remedy: str | None = None) -> None:
        super().__init__(message, hint=remedy or self.remedy)


class SpecRefusedError(TrainingError):
    """The job spec asks for something this worker does not do."""

    code = "spec_refused"
    remedy = "Correct the named field and submit the job again."


class BaseModelError(TrainingError):
    """The base model cannot be read."""

    code = "base_model_unreadable"
    remedy = "Ask an administrator to prepare the base model again on this agent."


class BaseModelMismatchError(TrainingError):
    """The base model on this agent has other weights than the job asks for."""

    code = "base_model_mismatch"
    remedy = "Ask an administrator to prepare the base model again, or choose another base model."


class DataIntegrityError(TrainingError):
    """The dataset version that arrived is not the one the job names."""

    code = "data_integrity"
    remedy = "Submit the job again; if it happens again, ask an administrator to check the store."


class BadDataError(TrainingError):
    """The dataset version holds nothing this stage can train on."""

    code = "bad_data"
    remedy = "Correct the named records, publish a new version and train on that."


class CheckpointUnusableError(TrainingError):
    """The checkpoint to resume from is damaged or belongs to another job."""

    code = "checkpoint_unusable"
    remedy = "Submit the job again; it will start from its first step."


class DivergedError(TrainingError):
    """The loss is no longer a number: training diverged."""

    code = "diverged"
    remedy = "Lower the learning rate (a tenth is a good next try) or add warm-up, and train again."


class OutOfMemoryError(TrainingError):
    """Training needs more memory than this attempt may use."""

    code = "out_of_memory"
    remedy = "Lower the batch size or the cut-off length; raise gradient accumulation instead."


class DiskFullError(TrainingError):
    """There is no room left for checkpoints or the adapter."""

    code = "disk_full"
    remedy = "Save less often or lower the rank; an administrator can free or grant disk space."


class TimeLimitError(TrainingError):
    """The attempt reached its time limit."""

    code = "time_limit"
    remedy = "Lower the number of epochs, or ask for a longer time limit."


class InternalTrainingError(TrainingError):
    """Training ended by an error of our own."""

    code = "training_internal"
    remedy = "Report the job id to an administrator; the worker's own log names the place."


#: What torch says on a host without memory left, where it has no exception type of its own, and on
#: a device that others have filled to the last byte.
_MEMORY_PHRASES = (
    "can't allocate memory",
    "not enough memory",
    "Cannot allocate memory",
    "failed to map segment from shared object",  # the loader, while a library is imported
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)
#: What the writers of torch and safetensors say when a write fails; they hide the errno.
_WRITE_PHRASES = ("No space left on device", "Disk quota exceeded", "PytorchStreamWriter failed")
_FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def explain(error: BaseException) -> TrainingError:
    """Turn any exception of an attempt into one that its owner can act on."""
    if isinstance(error, TrainingError):
        return error
    if lacks_memory(error):
        return OutOfMemoryError()
    if isinstance(error, OSError) and error.errno in _FULL_ERRNOS:
        return DiskFullError()
    if _speaks_of(error, _WRITE_PHRASES):
        return DiskFullError()
    if isinstance(error, RecordError):
        return BadDataError(error.message, remedy=error.hint)
    if isinstance(error, AdapteryError):  # core's own words, which never quote content
        return TrainingError(error.message, remedy=error.hint)
    return InternalTrainingError(f"Training ended by an error of our own ({type(error).__name__}).")


def lacks_memory(error: BaseException) -> bool:
    """Whether an error, or what led to it, says that host or device have no memory left."""
    return any(
        isinstance(cause, MemoryError)
        or type(cause).__name__ == "OutOfMemoryError"  # torch's, for devices; not imported here
        or (isinstance(cause, OSError) and cause.errno == errno.ENOMEM)
        or _speaks_of(cause, _MEMORY_PHRASES)
        for cause in _causes(error)
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what led to it: libraries dress up what fails while they are imported."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _speaks_of(error: BaseException, phrases: tuple[str, ...]) -> bool:
    text = str(error)
    return any(phrase in text for phrase in phrases)
