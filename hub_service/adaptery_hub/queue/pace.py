"""How fast a job trains and when it will be done: a pure rule.

Invariants:
- Only what one attempt told of itself counts: steps of an earlier attempt, or before the checkpoint
  that it went on from, are not its own.
- A pause, such as a machine that was stopped for an hour, does not slow the pace; evaluations and
  checkpoints between steps do.
- What is not known is None: after fewer than `GAPS_MIN` gaps between steps there is no pace.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

__all__ = ["FAR_SECONDS", "GAPS_MIN", "Mark", "Standing", "end_of", "step_seconds"]

#: What is further away is not told, and may be beyond what a date can say.
FAR_SECONDS = 10 * 366 * 24 * 3600
#: Gaps between steps that make a pace.
GAPS_MIN = 2
#: A gap this many times as long as the usual one is a pause. To evaluate on a large split may take
#: as long as a dozen steps.
PAUSE_FACTOR = 20


@dataclass(frozen=True)
class Mark:
    """A step that an attempt told, and when by its own clock."""

    step: int
    at: datetime


@dataclass(frozen=True)
class Standing:
    """How far a job in training is."""

    step: int
    total_steps: int
    stepped_at: datetime  # by the service's clock
    step_seconds: float


def step_seconds(marks: Iterable[Mark]) -> float | None:
    """Returns how long one step takes.

    Args:
        marks: Of one attempt, in the order in which it told them.
    """
    gaps = [
        ((later.at - earlier.at).total_seconds(), later.step - earlier.step)
        for earlier, later in pairwise(_rising(marks))
    ]
    if len(gaps) < GAPS_MIN:
        return None
    usual = median(seconds / steps for seconds, steps in gaps)
    told = sum(_unpaused(seconds, steps, usual) for seconds, steps in gaps)
    return told / sum(steps for _, steps in gaps) if told > 0 else None


def end_of(standing: Standing, now: datetime) -> datetime | None:
    """Returns when the last step will be done; it moves on while no step comes.

    None: so far away that it is none.
    """
    pace, remaining = standing.step_seconds, standing.total_steps - standing.step
    if remaining <= 0:
        return now
    if remaining * pace > FAR_SECONDS:
        return None
    next_at = max(standing.stepped_at + timedelta(seconds=pace), now)
    return next_at + timedelta(seconds=(remaining - 1) * pace)


def _rising(marks: Iterable[Mark]) -> list[Mark]:
    """Returns the first mark of each step; an evaluation tells its step again."""
    found: list[Mark] = []
    for mark in marks:
        if not found or mark.step > found[-1].step:
            found.append(mark)
    return found


def _unpaused(seconds: float, steps: int, usual: float) -> float:
    """Returns the part of a gap that counts; a clock that was set back tells nothing."""
    if seconds < 0 or seconds > PAUSE_FACTOR * usual * steps:
        return usual * steps
    return seconds
