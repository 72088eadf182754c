"""Jobs beside each other: what differs in their options, what came out, and their charts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from adaptery.client.columns import percent_of
from adaptery.client.listing import Columns, sheet
from adaptery.errors import InvalidInputError, NotFoundError
from adaptery.schemas.job_statistics import JobStatistics
from adaptery.schemas.jobs import JobEvent, OptionValue
from adaptery.schemas.tasks import Task

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
    #: Options of all of the jobs; what their tasks name differently has its first name here.
    options: Mapping[str, OptionValue | None]
    #: Of these, those that are not the same in all of the jobs.
    different: Mapping[str, OptionValue | None]
    #: By the name of a series, such as `loss`: pairs of step and value.
    series: Mapping[str, Points]


class JobComparison(list[ComparedJob]):
    """Jobs beside each other; a notebook shows them as a table."""

    def _repr_html_(self) -> str:
        return sheet(f"{len(self):,} job{'' if len(self) == 1 else 's'}", self.rows())

    def rows(self, *, all: bool = False) -> list[list[object]]:
        """Return the table: a row for each thing that is told, a column for each job.

        Args:
            all: options that are the same in all of the jobs, too.
        """
        told = self[0].options if all else self[0].different
        options: Columns[ComparedJob] = [
            (name, lambda it, name=name: it.options[name]) for name in told
        ]
        facts = (*_HEADS, *options, *_RESULTS)
        return [[title, *(value(it) for it in self)] for title, value in facts]

    def series(self, name: str) -> dict[str, Points]:
        """Return one series of each job that has it, such as `loss`, by the id of the job."""
        return {it.job.id: it.series[name] for it in self if name in it.series}


def compare(jobs: Sequence[Job], points: int, task: Callable[[str], Task]) -> JobComparison:
    """Return how jobs differ.

    Args:
        jobs: one, or more.
        points: of each chart at most.
        task: finds a task by its name.

    Raises:
        InvalidInputError: if there is no job.
        AdapteryError: what the service raised.
    """
    if not jobs:
        raise InvalidInputError("There is nothing to compare.", hint="name two jobs")
    told = _side_by_side(jobs, task)
    names = list(dict.fromkeys(name for options in told for name in options))
    different = [name for name in names if len({repr(each.get(name)) for each in told}) > 1]
    return JobComparison(
        ComparedJob(
            job,
            job.statistics(),
            {name: options.get(name) for name in names},
            {name: options.get(name) for name in different},
            _series_of(job.metrics(points)),
        )
        for job, options in zip(jobs, told, strict=True)
    )


def _side_by_side(
    jobs: Sequence[Job], task: Callable[[str], Task]
) -> list[Mapping[str, OptionValue]]:
    """Return the options of each job: what goes into the same field has the same name."""
    tasks = {job.info.task for job in jobs}
    fields: dict[str, Mapping[str, str]] = {}
    if len(tasks) > 1:
        fields = {name: _fields_of(name, task) for name in tasks}
    names: dict[str, str] = {}  # by field
    told: list[Mapping[str, OptionValue]] = []
    for job in jobs:
        into = fields.get(job.info.task, {})
        options = sorted(job.info.options.items())
        told.append({names.setdefault(into.get(name, name), name): it for name, it in options})
    return told


def _fields_of(name: str, task: Callable[[str], Task]) -> Mapping[str, str]:
    """Return which field of a job's spec each option of a task goes into; none if it is gone."""
    try:
        options = task(name).schema_.get("properties", {})
    except NotFoundError:
        return {}
    schemas = cast("Mapping[str, Mapping[str, object]]", options)
    return {name: str(schema.get("into", name)) for name, schema in schemas.items()}


def _series_of(events: Sequence[JobEvent]) -> dict[str, Points]:
    series: dict[str, list[tuple[int, float]]] = {}
    for event in events:
        for name, value in event.data.items():
            if name not in _PLACES:
                series.setdefault(name, []).append((event.data["step"], value))
    return dict(series)


_HEADS: Columns[ComparedJob] = (
    ("Job", lambda it: it.job.info.name),
    ("State", lambda it: it.job.info.state),
    ("Progress", lambda it: percent_of(it.job.info.progress)),
    ("Task", lambda it: it.job.info.task),
)
_RESULTS: Columns[ComparedJob] = (
    ("Last loss", lambda it: rounded(it.statistics.last_loss)),
    ("Held-out loss", lambda it: rounded(it.statistics.best_eval_loss)),
    ("Tokens per second", lambda it: rounded(it.statistics.tokens_per_second)),
    ("Id", lambda it: it.job.id),
)


def rounded(value: float | None) -> str | None:
    """Return a number of a chart as it is read."""
    return None if value is None else f"{value:.4g}"
