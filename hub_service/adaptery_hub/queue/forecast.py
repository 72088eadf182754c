"""When jobs that wait will start and end: a pure rule.

It plays the queue through: each job in the fair order takes the slot that can take it and is free
first, and holds it for as long as it will train.

Invariants:
- What is not known is left out, never guessed: a slot that is free at an unknown time is as good as
  none, and a job whose length is unknown makes its slot one.
- A job that no connected agent can take has no forecast.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf
from typing import NamedTuple

from adaptery_hub.queue.pace import FAR_SECONDS

__all__ = ["AgentSlots", "Forecast", "Slot", "Turn", "forecasts"]


@dataclass(frozen=True)
class AgentSlots:
    """How many jobs an agent trains at once, on which base weights, and for which queues."""

    agent_id: str
    slots: int
    weight_digests: frozenset[str]
    labels: frozenset[str] = frozenset()
    abilities: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Slot:
    """One place of an agent to train in."""

    weight_digests: frozenset[str]
    free_at: datetime | None  # None: nobody knows


class Turn(NamedTuple):  # of which thousands are made at once, as of forecasts
    """A job in the fair order."""

    job_id: str
    weight_digest: str
    seconds: float | None  # that it will train; None: nobody knows


class Forecast(NamedTuple):
    """When a job will start, and end if that is known too."""

    starts_at: datetime
    ends_at: datetime | None


def forecasts(turns: Iterable[Turn], slots: Sequence[Slot], now: datetime) -> dict[str, Forecast]:
    """Returns the forecast of each job that has one.

    Args:
        turns: The jobs that wait, in the order in which they will start.
        slots: Of all agents that are connected.
        now: Before which nothing starts.
    """
    found: dict[str, Forecast] = {}
    lanes = _lanes(slots, now)
    for turn in turns:
        fitting = lanes.get(turn.weight_digest)
        if fitting is None:
            continue
        lane = min(fitting, key=lambda times: times[0])  # a heap: its first slot is free first
        start = lane[0]
        if start == inf:
            continue
        end = inf if turn.seconds is None else start + turn.seconds
        end = end if end <= FAR_SECONDS else inf
        heapq.heapreplace(lane, end)
        found[turn.job_id] = Forecast(
            now + timedelta(seconds=start), None if end == inf else now + timedelta(seconds=end)
        )
    return found


def _lanes(slots: Sequence[Slot], now: datetime) -> dict[str, list[list[float]]]:
    """Returns by base weights the groups of slots that are alike: in how many seconds each is free.

    A group that can take several base weights is the same list under each of them.
    """
    groups: defaultdict[frozenset[str], list[float]] = defaultdict(list)
    for slot in slots:
        free_at = slot.free_at
        seconds = inf if free_at is None else max(0.0, (free_at - now).total_seconds())
        groups[slot.weight_digests].append(seconds)
    lanes: defaultdict[str, list[list[float]]] = defaultdict(list)
    for weight_digests, times in groups.items():
        heapq.heapify(times)
        for digest in weight_digests:
            lanes[digest].append(times)
    return lanes
