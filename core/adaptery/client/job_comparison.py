"""Jobs beside each other: what differs in their options, what came out, and their charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adaptery.client.columns import percent_of
from adaptery.client.listing import Columns, Listing
from adaptery.schemas.job_statistics import JobStatistics
from adaptery.schemas.jobs import JobEvent, OptionValue

if TYPE_CHECKING:
    from adaptery.client.job import Job

__all__ = ["ComparedJob", "JobComparison", "compare"]

#: Of an event, what says where it is.
_PLACES = frozenset({"step", "epoch", "step_epoch"})
Points = Sequence[tuple[int, float]]


@dataclass(frozen=True)
class ComparedJob:
    """One of the jobs."""

    job: Job
    statistics: JobStatistics
    #: Options that are not the same in all of the jobs.
    different: Mapping[str, OptionValue | None]
    #: By the name of a series, such as `loss`: pairs of step and value.
    series: Mapping[str, Points]


class JobComparison(Listing[ComparedJob]):
    """Jobs beside each other; a notebook shows them as a table."""

    def __init__(self, jobs: Sequence[ComparedJob]) -> None:
        super().__init__(jobs, "job", _columns(jobs))

    def rows(self) -> list[list[object]]:
        """Return the table: its titles, then a row for each job."""
        titles: list[object] = [title for title, _ in self._columns]
        return [titles, *([value(it) for _, value in self._columns] for it in self)]

    def series(self, name: str) -> dict[str, Points]:
        """Return one series of each job that has it, such as `loss`, by the id of the job."""
        return {it.job.id: it.series[name] for it in self if name in it.series}


def compare(jobs: Sequence[Job], points: int) -> JobComparison:
    """Return how jobs differ.

    Raises:
        AdapteryError: what the service raised.
    """
    names = sorted({name for job in jobs for name in job.info.options})
    told = [[job.info.options.get(name) for name in names] for job in jobs]
    different = [
        place for place in range(len(names)) if len({repr(options[place]) for options in told}) > 1
    ]
    return JobComparison(
        [
            ComparedJob(
                job,
                job.statistics(),
                {names[place]: options[place] for place in different},
                _series_of(job.metrics(points)),
            )
            for job, options in zip(jobs, told, strict=True)
        ]
    )


def _series_of(events: Sequence[JobEvent]) -> dict[str, Points]:
    series: dict[str, list[tuple[int, float]]] = {}
    for event in events:
        for name, value in event.data.items():
            if name not in _PLACES:
                series.setdefault(name, []).append((event.data["step"], value))
    return dict(series)


def _columns(jobs: Sequence[ComparedJob]) -> Columns[ComparedJob]:
    names = list(jobs[0].different) if jobs else []
    return (
        ("Job", lambda it: it.job.info.name),
        ("State", lambda it: it.job.info.state),
        ("Progress", lambda it: percent_of(it.job.info.progress)),
        *((name, lambda it, name=name: it.different[name]) for name in names),
        ("Loss", lambda it: rounded(it.statistics.last_loss)),
        ("Held-out loss", lambda it: rounded(it.statistics.best_eval_loss)),
        ("Tokens per second", lambda it: rounded(it.statistics.tokens_per_second)),
        ("Id", lambda it: it.job.id),
    )


def rounded(value: float | None) -> str | None:
    """Return a number of a chart as it is read."""
    return None if value is None else f"{value:.4g}"
