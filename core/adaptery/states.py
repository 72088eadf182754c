"""The states of a job and the one table of legal changes.

`created` always says why it is not yet queued. Cancelling is a flag on the job, not a state. A job
that loses its lease, or whose agent drains, goes back from `training` to `queued`: the attempt
ends, the checkpoint stays.

What always holds: a state changes only along `TRANSITIONS`, and a final state never changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from adaptery.errors import JobStateError

__all__ = ["FINAL_STATES", "TRANSITIONS", "AttemptOutcome", "JobState", "check_transition"]


class JobState(StrEnum):
    """Where a job is on its way."""

    CREATED = (
        "created"  # accepted; being prepared, or the queue cannot be reached: `reason` says which
    )
    QUEUED = "queued"  # waiting for a slot
    TRAINING = "training"  # one attempt holds the lease
    COMPLETED = "completed"  # its adapter is registered
    FAILED = "failed"  # `reason` says why and how to mend it
    CANCELLED = "cancelled"  # the owner, or an admin, asked for it


class AttemptOutcome(StrEnum):
    """How one attempt ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"  # lease ran out, agent drained or died: the job is queued again


_S = JobState

#: From each state to the states that may follow it.
TRANSITIONS: Mapping[JobState, frozenset[JobState]] = MappingProxyType(
    {
        _S.CREATED: frozenset({_S.QUEUED, _S.FAILED, _S.CANCELLED}),
        _S.QUEUED: frozenset({_S.TRAINING, _S.FAILED, _S.CANCELLED}),
        _S.TRAINING: frozenset({_S.QUEUED, _S.COMPLETED, _S.FAILED, _S.CANCELLED}),
        _S.COMPLETED: frozenset[JobState](),
        _S.FAILED: frozenset[JobState](),
        _S.CANCELLED: frozenset[JobState](),
    }
)

#: The states that nothing follows.
FINAL_STATES: frozenset[JobState] = frozenset(
    s for s, following in TRANSITIONS.items() if not following
)


def check_transition(old: JobState, new: JobState) -> None:
    """Refuse a change of state that is not in the table.

    Raises:
        JobStateError: naming both states and what would be possible.
    """
    if new in TRANSITIONS[old]:
        return
    possible = ", ".join(sorted(TRANSITIONS[old])) or "nothing: this state is final"
    raise JobStateError(
        f"A job that is {old} cannot become {new}.", hint=f"possible from here: {possible}"
    )
