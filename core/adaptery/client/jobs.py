"""Jobs of the service: submit, list, count and compare."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import islice

from adaptery.client.columns import JOBS
from adaptery.client.connection import Connection, path_of
from adaptery.client.job import Job, OptionValue, Versions, request_fields, submitted
from adaptery.client.job_comparison import JobComparison, compare
from adaptery.client.listing import Listing
from adaptery.client.preflight import Preflight, preflight
from adaptery.client.progress import Report, shown
from adaptery.client.versions import Version
from adaptery.errors import InvalidInputError, NotFoundError
from adaptery.ids import is_id
from adaptery.schemas import jobs as schemas
from adaptery.schemas.job_statistics import JobCounts
from adaptery.schemas.tasks import Task

__all__ = ["Job", "Jobs"]

#: A million records take some minutes.
PREFLIGHT_SECONDS = 1800.0


class Jobs:
    """The jobs that the caller may see."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def submit(
        self,
        name: str,
        dataset: Versions,
        *,
        task: str = "training-v0",
        base_model: str | None = None,
        validation: str | Version | None = None,
        start_from: str | None = None,
        reward: str | None = None,
        priority: schemas.Priority = "normal",
        **options: OptionValue,
    ) -> Job:
        """Submit a job, once: after a lost connection the same request is sent again.

        Args:
            name: the name of the job and of the adapter that it makes.
            dataset: a version, or several, by object, pinned name or id.
            task: the task definition, see `Hub.tasks`.
            base_model: a registered base model; the default one if absent.
            validation: a version that is evaluated on and never learnt from.
            start_from: the adapter or checkpoint that training goes on from.
            reward: the reward model that judges answers; for tasks of stage `grpo`.
            priority: among your own jobs; `high` is for administrators.
            options: what the form of the task offers, such as `epochs=2`.

        Raises:
            InvalidInputError: if an option is not one of the task, or out of its range.
            NotFoundError: if a dataset or adapter is not the caller's to use.
            AdapteryError: what the service raised.
        """
        return submitted(
            self._connection,
            name,
            dataset,
            options,
            task=task,
            base_model=base_model,
            validation=validation,
            start_from=start_from,
            reward=reward,
            priority=priority,
        )

    def preflight(
        self,
        dataset: Versions,
        *,
        task: str = "training-v0",
        base_model: str | None = None,
        validation: str | Version | None = None,
        start_from: str | None = None,
        reward: str | None = None,
        timeout_seconds: float = PREFLIGHT_SECONDS,
        progress: bool | Report | None = None,
        **options: OptionValue,
    ) -> Preflight:
        """Tell what a job would do, without submitting it; the arguments are those of `submit`.

        Args:
            dataset: a version, or several.
            task: the task definition.
            base_model: a registered base model.
            validation: a version that is evaluated on.
            start_from: the adapter or checkpoint that training goes on from.
            reward: the reward model.
            timeout_seconds: how long to wait for it.
            progress: whether to show a bar, or what to tell; in notebooks if absent.
            options: what the form of the task offers.

        Raises:
            InvalidInputError: if an option is not one of the task, or out of its range.
            NotFoundError: if a dataset is not the caller's to use.
            UnavailableError: if no agent has described the base model yet.
            DeadlineError: if it takes longer than the time.
            AdapteryError: what the service raised.
        """
        fields = request_fields(
            dataset,
            options,
            task=task,
            base_model=base_model,
            validation=validation,
            start_from=start_from,
            reward=reward,
        )
        with shown("Pre-flight", progress, "records") as report:
            return preflight(
                self._connection, fields, timeout_seconds=timeout_seconds, progress=report
            )

    def list(
        self,
        state: str | Collection[str] | None = None,
        search: str | None = None,
        *,
        task: str | None = None,
        sort: str | None = None,
        limit: int | None = None,
    ) -> Listing[Job]:
        """Return the jobs that the caller may see, newest first.

        Args:
            state: only jobs in this state or one of these; `queued` alone comes in the order of the
                queue, jobs that are over by their end.
            search: only jobs whose name holds this, in whatever case.
            task: only jobs of this task.
            sort: another order: `newest`, `oldest`, `queue`, `changed` or `name`.
            limit: how many at most; all, if absent.

        Raises:
            InvalidInputError: if a state or the order is none, or the limit is below one.
            AdapteryError: what the service raised.
        """
        if limit is not None and limit < 1:
            raise InvalidInputError("The limit is at least one.")
        states = state if state is None or isinstance(state, str) else ",".join(state)
        asked = {"state": states, "search": search, "task": task, "sort": sort}
        query = {name: value for name, value in asked.items() if value is not None}
        found = self._connection.pages("api/jobs", schemas.Job, lambda info: info.id, query)
        jobs = (Job(self._connection, info) for info in islice(found, limit))
        return Listing(jobs, "job", JOBS, "hub.jobs.submit(...) hands one in.")

    def get(self, job: str) -> Job:
        """Return a job by id, or the newest one of a name.

        Raises:
            NotFoundError: if there is none that the caller may see.
            AdapteryError: what the service raised.
        """
        if is_id(job, "jb"):
            info = self._connection.get(path_of("api", "jobs", job), schemas.Job)
            return Job(self._connection, info)
        return self.named(job)[0]

    def named(self, name: str) -> Listing[Job]:
        """Return all jobs of a name, newest first: a name is no key.

        Raises:
            NotFoundError: if there is none that the caller may see.
            AdapteryError: what the service raised.
        """
        found = [job for job in self.list(search=name) if job.info.name == name]
        if not found:
            raise NotFoundError(
                f"There is no job called {name}.", hint="jobs.list() has those that there are"
            )
        return Listing(found, "job", JOBS)

    def counts(self) -> JobCounts:
        """Return how many of the jobs that the caller may see are in each state.

        Raises:
            AdapteryError: what the service raised.
        """
        return self._connection.get("api/jobs/counts", JobCounts)

    def compare(self, jobs: Iterable[str | Job], points: int = 500) -> JobComparison:
        """Return how jobs differ: in their options, in what came out, in their charts.

        Args:
            jobs: which ones, by object, id or name.
            points: of each chart at most.

        Raises:
            InvalidInputError: if there is no job.
            NotFoundError: if there is none that the caller may see.
            AdapteryError: what the service raised.
        """
        found = [job if isinstance(job, Job) else self.get(job) for job in jobs]
        return compare(
            found,
            points,
            lambda name: self._connection.get(path_of("api", "tasks", name), Task),
        )
