"""How an attempt ends, and what an exit of its worker means.

Pure rules, no I/O. Exit codes of a worker: 0 done, 1 failed after an ``error`` event, 75 stopped by
SIGTERM after saving a checkpoint, 73 failed on a disk that had no room left to say so (EX_TEMPFAIL
and EX_CANTCREAT of sysexits.h).

Invariants:
- what the owner or the agent decided (cancel, limit, drain) wins over how the worker then exits,
  save that a finished adapter is never thrown away because the agent is stopping;
- a worker that a signal ended is `lost`, not failed: the machine did it, another try may do.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Literal

from adaptery.schemas.events import ErrorEvent

Outcome = Literal["completed", "failed", "cancelled", "lost"]

#: Characters of a reason or remedy; the service takes no more.
TEXT_LIMIT = 2_000

EXIT_DONE = 0
EXIT_NO_ROOM = 73
EXIT_STOPPED = 75


@dataclass(frozen=True)
class Ending:
    """How an attempt ended, in words for its owner."""

    outcome: Outcome
    reason: str | None = None
    remedy: str | None = None

    def to_report(self) -> dict[str, object]:
        """Return the fields of the finish report that have a value."""
        fields = {"outcome": self.outcome, "reason": self.reason, "remedy": self.remedy}
        return {name: value[:TEXT_LIMIT] for name, value in fields.items() if value is not None}


COMPLETED = Ending("completed")
CANCELLED = Ending("cancelled", "cancelled by its owner")
DRAINED = Ending("lost", "The agent was stopped.")
EMPTIED = Ending("lost", "Its queue is being emptied.")
ORPHANED = Ending("lost", "The agent was restarted.")
NO_ROOM = Ending(
    "failed",
    "The agent's disk is full.",
    "Ask an administrator to make room on the agent, then submit the job again.",
)


def judge_exit(code: int, decided: Ending | None, error: ErrorEvent | None) -> Ending:
    """Return how an attempt ended whose worker exited with this code.

    Args:
        code: the exit code; negative for a signal.
        decided: why the worker was asked to end, if it was.
        error: the last ``error`` event of the worker, if there was one.
    """
    if decided is not None and not (code == EXIT_DONE and decided.outcome == "lost"):
        return decided
    if code == EXIT_DONE:
        return COMPLETED
    if error is not None and code > 0:
        return Ending("failed", error.reason, error.remedy or None)
    if code == EXIT_NO_ROOM:
        return NO_ROOM
    if code == EXIT_STOPPED:
        return Ending("lost", "The worker was stopped from outside.")
    if code < 0:
        return Ending("lost", f"The worker was ended by {_signal_name(-code)}.")
    return Ending(
        "failed",
        f"The worker ended with exit code {code} and gave no reason.",
        "An operator finds its output on the host if the agent keeps failed attempts.",
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
