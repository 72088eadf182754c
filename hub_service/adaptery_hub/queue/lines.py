"""The lines of queues as dashboards show them: each job's place, and when it will start and end.

To put thousands of jobs in order takes a while, so a line is kept and shown again.

Invariants:
- A line is as the database is, unless putting it together is so slow that doing it at each change
  would keep the service busy: then it is a little old, and does not know the newest jobs yet.
- Nobody waits while a long line is put together for another one, unless there was none before.
- Places are those of the fair order, the very one that the queue picks by.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from sqlalchemy.engine import Connection, RowMapping

from adaptery.times import Clock, now
from adaptery_hub.database.statements import job_lines, queues, turns
from adaptery_hub.queue import transitions
from adaptery_hub.queue.fairness import fair_order
from adaptery_hub.queue.forecast import AgentSlots, Forecast, Slot, Turn, forecasts
from adaptery_hub.queue.pace import Standing, end_of
from adaptery_hub.queue.rules import RuleBook

__all__ = ["Line", "Lines", "standing_of"]

#: Forecasts are looked at again after this long, also when no job came or went.
KEEP_SECONDS = 5.0
#: No more than one part in so many of the time goes into putting lines together. It makes whoever
#: is served meanwhile wait, so it is less than what one of twenty requests would notice.
BUSY_PARTS = 50
#: A line that is put together faster than this is never old.
QUICK_SECONDS = 0.02
#: Jobs of one task and base model that must have completed before the next one's length is known.
PAST_MIN = 3


@dataclass(frozen=True)
class Line:
    """The jobs that wait in one queue."""

    waiting: frozenset[str]
    places: Mapping[str, int]  # from 1; without those whose owner is at the limit
    forecasts: Mapping[str, Forecast]
    full: bool = False  # as many of its jobs train as may at once


@dataclass(frozen=True)
class _Kept:
    line: Line
    state: object  # of the queue and its agents, when it was put together
    at_seconds: float
    took_seconds: float


class Lines:
    """The lines that were put together last."""

    def __init__(
        self,
        book: RuleBook,
        clock: Clock = now,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._book = book
        self._clock = clock
        self._seconds = seconds
        self._kept: dict[str, _Kept] = {}
        self._building = threading.Lock()

    def line(
        self,
        connection: Connection,
        queue: str,
        agents: tuple[AgentSlots, ...],
    ) -> Line:
        """Returns the line of a queue; blocks on the database.

        Args:
            connection: An open transaction.
            queue: Its name.
            agents: Those that are connected.
        """
        kept = self._kept.get(queue)
        if kept is not None and self._is_dear(kept):  # whatever has changed: so it is not asked
            return kept.line
        state = (job_lines.state_of_queue(connection, queue), agents)
        if not self._building.acquire(blocking=kept is None or kept.took_seconds < QUICK_SECONDS):
            assert kept is not None
            return kept.line
        try:
            kept = self._kept.get(queue)
            if kept is None or not (self._is_dear(kept) or self._is_true(kept, state)):
                kept = self._kept[queue] = self._put_together(connection, queue, agents, state)
            return kept.line
        finally:
            self._building.release()

    def _is_dear(self, kept: _Kept) -> bool:
        """Whether it took so long that it is too early for another one."""
        age = self._seconds() - kept.at_seconds
        slow = kept.took_seconds >= QUICK_SECONDS
        return slow and age < BUSY_PARTS * kept.took_seconds

    def _is_true(self, kept: _Kept, state: object) -> bool:
        return kept.state == state and self._seconds() - kept.at_seconds < KEEP_SECONDS

    def _put_together(
        self, connection: Connection, queue: str, agents: tuple[AgentSlots, ...], state: object
    ) -> _Kept:
        begun = self._seconds()
        line = self._build(connection, queue, agents)
        ended = self._seconds()
        return _Kept(line, state, ended, ended - begun)

    def _build(self, connection: Connection, queue: str, agents: Sequence[AgentSlots]) -> Line:
        rules = self._book.of(queue)
        rows = turns.waiting(connection, queue)
        by_id = {row["id"]: row for row in rows}
        taken = transitions.taken(connection, queue, rows)
        order = fair_order(map(transitions.as_waiting, rows), taken, rules.limits)
        places = {entry.job_id: place for place, entry in enumerate(order, start=1)}
        usual = _usual_seconds(job_lines.past(connection, queue))
        serving = [agent for agent in agents if agent.labels >= rules.labels]
        slots = _slots(serving, job_lines.running(connection), usual, self._clock())
        coming = [_turn(by_id[job_id], usual) for job_id in places]
        limit = rules.queue_running_limit
        return Line(
            frozenset(by_id),
            places,
            forecasts(coming, slots, self._clock()),
            full=limit is not None and queues.count_training(connection, queue) >= limit,
        )


def standing_of(row: RowMapping) -> Standing | None:
    """Returns how far and how fast a job is; None if its pace is not known."""
    told = [row[name] for name in ("step", "total_steps", "stepped_at", "step_seconds")]
    return None if None in told else Standing(*told)


_Usual = Mapping[tuple[str, str | None], float]  # by task and base weights


def _usual_seconds(past: Iterable[RowMapping]) -> _Usual:
    """Returns how long jobs of each kind trained, where there were enough of them."""
    lengths: defaultdict[tuple[str, str | None], list[float]] = defaultdict(list)
    for row in past:
        length = (row["finished_at"] - row["started_at"]).total_seconds()
        lengths[row["task"], row["weight_digest"]].append(length)
    return {kind: median(found) for kind, found in lengths.items() if len(found) >= PAST_MIN}


def _turn(row: RowMapping, usual: _Usual) -> Turn:
    """Returns a job that waits; one that was interrupted has shown how fast it is."""
    if None not in (row["total_steps"], row["step_seconds"]):
        remaining = max(0, row["total_steps"] - (row["step"] or 0))
        return Turn(row["id"], row["weight_digest"], remaining * row["step_seconds"])
    return Turn(row["id"], row["weight_digest"], usual.get((row["task"], row["weight_digest"])))


def _slots(
    agents: Iterable[AgentSlots], running: Iterable[RowMapping], usual: _Usual, moment: datetime
) -> list[Slot]:
    busy: defaultdict[str, list[RowMapping]] = defaultdict(list)
    for row in running:
        busy[row["agent_id"]].append(row)
    found: list[Slot] = []
    for agent in agents:
        ends = [_end_of(row, usual, moment) for row in busy[agent.agent_id]]
        free = [moment] * (agent.slots - len(ends))
        found += [Slot(agent.weight_digests, end) for end in [*ends, *free]]
    return found


def _end_of(row: RowMapping, usual: _Usual, moment: datetime) -> datetime | None:
    standing = standing_of(row)
    if standing is not None:
        return end_of(standing, moment)
    seconds = usual.get((row["task"], row["weight_digest"]))
    if seconds is None:
        return None
    end = row["claimed_at"] + timedelta(seconds=seconds)
    return end if end > moment else None
