"""What the end of an attempt means for its job: a pure rule.

Invariants:
- The result is always a legal step of the one transition table in `adaptery.states`.
- A lost attempt never fails a job before `max_attempts` in a row were lost without progress; a job
  whose user asked to cancel is not started again.
- Every `failed` carries a reason to act on, and every `queued` says why the job is back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from adaptery.states import AttemptOutcome, JobState, check_transition

_MAX_DOUBLINGS = 10


@dataclass(frozen=True)
class AttemptEnd:
    """How one attempt ended."""

    outcome: AttemptOutcome
    reason: str | None = None
    remedy: str | None = None


@dataclass(frozen=True)
class NextStep:
    """The state a job goes to, and why."""

    state: JobState
    reason: str | None


def next_step(
    end: AttemptEnd, *, lost_attempts: int, max_attempts: int, cancel_requested: bool
) -> NextStep:
    """Returns where a job in training goes when its attempt ends.

    Args:
        end: How the attempt ended.
        lost_attempts: Attempts of this job that were lost since its last new checkpoint, this one
            included.
        max_attempts: How many may be lost so before the job fails.
        cancel_requested: Whether the user asked to cancel.
    """
    step = _step(end, lost_attempts, max_attempts, cancel_requested)
    check_transition(JobState.TRAINING, step.state)
    return step


def _step(
    end: AttemptEnd, lost_attempts: int, max_attempts: int, cancel_requested: bool
) -> NextStep:
    match end.outcome:
        case AttemptOutcome.COMPLETED:
            return NextStep(JobState.COMPLETED, None)
        case AttemptOutcome.CANCELLED:
            return NextStep(JobState.CANCELLED, end.reason or "cancelled by its owner")
        case AttemptOutcome.FAILED:
            return NextStep(
                JobState.FAILED, _with_remedy(end.reason or "training failed", end.remedy)
            )
        case AttemptOutcome.LOST:
            return _after_loss(end, lost_attempts, max_attempts, cancel_requested)


def _after_loss(
    end: AttemptEnd, lost_attempts: int, max_attempts: int, cancel_requested: bool
) -> NextStep:
    why = end.reason or "the machine stopped answering"
    if cancel_requested:
        return NextStep(JobState.CANCELLED, "cancelled by its owner")
    if lost_attempts >= max_attempts:
        return NextStep(
            JobState.FAILED,
            _with_remedy(
                f"{lost_attempts} attempts in a row were lost, the last because {why}",
                "ask the administrator to look at the agent, then submit the job again",
            ),
        )
    return NextStep(JobState.QUEUED, f"starts again from its last checkpoint because {why}")


def retry_after(lost_attempts: int, retry_seconds: float) -> timedelta:
    """Returns how long a job is kept from the agent that lost it, once it may go to others.

    One loss is as good as always a restart of the agent: the job goes on at once. Then the time
    doubles with each attempt that is lost without progress.
    """
    doublings = min(lost_attempts - 2, _MAX_DOUBLINGS)
    return timedelta(seconds=retry_seconds * 2**doublings if doublings >= 0 else 0.0)


def _with_remedy(reason: str, remedy: str | None) -> str:
    return f"{reason.rstrip('.')}; {_going_on(remedy)}" if remedy else reason


def _going_on(words: str) -> str:
    """Begins small, as after a semicolon; an abbreviation stays as it is."""
    return words if words[1:2].isupper() else words[:1].lower() + words[1:]
