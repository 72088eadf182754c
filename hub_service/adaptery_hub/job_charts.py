"""The charts of jobs: hundreds of thousands of points made few, and what they say in one number.

Invariants:
- A chart keeps the first and the last point and, of each series and each stretch of the way, the
  lowest and the highest: a spike of one step is seen however many steps there are.
- Of a step that was done again after a lost attempt, the later attempt's point counts.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.json as pj
from sqlalchemy.engine import Connection, RowMapping

from adaptery.schemas.events import MetricsEvent
from adaptery_hub.database import Database
from adaptery_hub.database.statements import attempts, job_events
from adaptery_hub.fair_seats import FairSeats

__all__ = ["POINTS_MAX", "POINTS_MIN", "SERIES", "JobCharts", "Metrics", "read_metrics"]

#: Points of one chart that can be asked for: fewer cannot keep what is worth keeping.
POINTS_MIN = 50
POINTS_MAX = 5_000
#: Of a point, what says where it is, or is part of every event.
_PLACES = frozenset({"seq", "at", "kind", "step", "epoch", "step_epoch"})
SERIES = tuple(name for name in MetricsEvent.model_fields if name not in _PLACES)

_READ_AT_ONCE = 50_000
_KEPT_CHARTS = 64
#: Bytes that the reader of JSON takes at once; the fastest of what was tried.
_BLOCK_BYTES = 4 * 1024 * 1024
_SCHEMA = pa.schema([("step", pa.int64()), *((name, pa.float64()) for name in SERIES)])

T = TypeVar("T")

Integers = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Metrics:
    """All points of a job that count, in order."""

    seqs: Integers  # [points]
    series: Mapping[str, Numbers]  # [points] each; not a number where a point has none

    def thinned(self, points: int) -> list[int]:
        """Returns the numbers of at most so many points that look like all of them."""
        count = len(self.seqs)
        if count <= points:
            return self.seqs.tolist()
        told = [values for values in self.series.values() if not np.isnan(values).all()]
        stretches = max(1, (points - 2) // (2 * max(1, len(told))))
        edges = np.linspace(0, count, stretches + 1, dtype=np.int64)
        kept = {0, count - 1}
        for values in told:
            for start, stop in pairwise(edges.tolist()):
                kept |= _extremes(values[start:stop], start)
        return self.seqs[sorted(kept)].tolist()

    def median(self, name: str) -> float | None:
        """Returns the middle of one series; None if it has no points."""
        values = self._values(name)
        return float(np.median(values)) if len(values) else None

    def lowest(self, name: str) -> float | None:
        """Returns the lowest point of one series; None if it has none."""
        values = self._values(name)
        return float(values.min()) if len(values) else None

    def last(self, name: str) -> float | None:
        """Returns the last point of one series; None if it has none."""
        values = self._values(name)
        return float(values[-1]) if len(values) else None

    def _values(self, name: str) -> Numbers:
        values = self.series[name]
        return values[~np.isnan(values)]


class JobCharts:
    """The charts that were asked for last.

    Many points take a while, so they are read one job after the other: lists of jobs are read by
    the same few threads. Tenants take turns.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seats = FairSeats(1)
        self._kept: OrderedDict[tuple[str, int, int], list[int]] = OrderedDict()

    async def read(self, tenant_id: str, fn: Callable[[Connection], T]) -> T:
        """Runs what reads all points of a job for a tenant, in their turn."""
        async with self._seats.seat(tenant_id):
            return await self._database.read(fn)

    async def points(self, tenant_id: str, job_id: str, limit: int) -> list[RowMapping]:
        """Returns at most so many metrics of a job that look like all of them, for a tenant."""
        return await self.read(tenant_id, lambda c: self._points(c, job_id, limit))

    def _points(self, connection: Connection, job_id: str, limit: int) -> list[RowMapping]:
        key = (job_id, job_events.last_seq(connection, job_id), limit)
        seqs = self._kept.get(key)
        if seqs is None:
            seqs = self._kept[key] = read_metrics(connection, job_id).thinned(limit)
        self._kept.move_to_end(key)
        while len(self._kept) > _KEPT_CHARTS:
            self._kept.popitem(last=False)
        return job_events.get_many(connection, job_id, seqs)


def read_metrics(connection: Connection, job_id: str) -> Metrics:
    """Returns all points of a job that count; blocks for half a second for 200,000."""
    parts: list[Integers] = []
    tables: list[pa.Table] = []
    after = 0
    while True:
        numbers, lines = job_events.metrics_texts(connection, job_id, after, _READ_AT_ONCE)
        if not numbers:
            break
        parts.append(np.array(numbers.split(","), dtype=np.int64))
        tables.append(_parsed(lines))
        after = int(parts[-1][-1])
    if not parts:
        return Metrics(np.empty(0, np.int64), {name: np.empty(0) for name in SERIES})
    seqs, table = np.concatenate(parts), pa.concat_tables(tables)
    tried = [row["id"] for row in attempts.of_job(connection, job_id)]
    begun = job_events.first_seqs(connection, tried)
    counts = _counting(seqs, table["step"].to_numpy(), begun)
    return Metrics(seqs[counts], {name: table[name].to_numpy()[counts] for name in SERIES})


def _parsed(lines: str) -> pa.Table:
    # One thread: the others answer requests.
    reading = pj.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES)
    parsing = pj.ParseOptions(explicit_schema=_SCHEMA, unexpected_field_behavior="ignore")
    return pj.read_json(BytesIO(lines.encode()), reading, parsing)


def _counting(seqs: Integers, steps: Integers, begun: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Returns which points count: those of steps that no later attempt did again."""
    attempt = np.searchsorted(np.sort(begun), seqs, side="right")
    counts = np.ones(len(seqs), dtype=np.bool_)
    again_from = np.iinfo(np.int64).max
    for number in np.unique(attempt)[::-1].tolist():
        own = attempt == number
        counts[own] = steps[own] < again_from
        again_from = min(again_from, int(steps[own].min()))
    return counts


def _extremes(values: Numbers, start: int) -> set[int]:
    """Returns the places of the lowest and the highest value of a stretch."""
    if np.isnan(values).all():
        return set()
    return {start + int(np.nanargmin(values)), start + int(np.nanargmax(values))}
