"""`api/jobs`: submit, look at, cancel, submit again and delete jobs."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import FieldProblem, InvalidInputError
from adaptery.schemas.common import Page
from adaptery.schemas.job_statistics import JobCounts, JobStatistics
from adaptery.schemas.jobs import Job, JobAgain, JobChange, JobCreate
from adaptery.states import JobState
from adaptery.times import now
from adaptery_hub.audit import AuditEntry
from adaptery_hub.database import tables
from adaptery_hub.database.statements import job_lists
from adaptery_hub.database.statements.job_lists import ORDERS, JobFilter
from adaptery_hub.handlers.base import Handler
from adaptery_hub.handlers.computing import compute_of
from adaptery_hub.job_actions import check_priority
from adaptery_hub.job_charts import read_metrics
from adaptery_hub.job_removal import remove_job
from adaptery_hub.job_statistics import describe_statistics
from adaptery_hub.permissions import Right, fetch
from adaptery_hub.queue import transitions
from adaptery_hub.queue.priorities import NUMBERS
from adaptery_hub.routes import PAGE_QUERY, Operation, Route


class JobsHandler(Handler):
    """The jobs that the caller may see."""

    async def get(self) -> None:
        """List jobs, in an order that suits the states that are asked for."""
        after, limit = self.page()
        wanted = JobFilter(
            states=parse_states(self.query("state")),
            search=self.query("search"),
            task=self.query("task"),
            sort=self.one_of("sort", ORDERS),
        )
        rows = await self.services.db.read(
            lambda c: job_lists.list_visible(c, self.identity, wanted, after, limit)
        )
        self.answer_page(await describe_jobs(self, rows), limit)

    async def post(self) -> None:
        """Submit a job."""
        self.check_query()
        wanted = self.body(JobCreate)
        await answer_submitted(self, await compute_of(self).jobs.submit(self.identity, wanted))


class JobCountsHandler(Handler):
    """How many jobs the caller may see."""

    async def get(self) -> None:
        """Count the jobs in each state."""
        self.check_query()
        counts = await self.services.db.read(lambda c: job_lists.count_visible(c, self.identity))
        self.answer(JobCounts.model_validate(counts))


class JobHandler(Handler):
    """One job."""

    async def get(self, job: str) -> None:
        """Answer the job."""
        self.check_query()
        self.answer(await read_job(self, job, Right.VIEW))

    async def patch(self, job: str) -> None:
        """Change the priority of a job that waits."""
        self.check_query()
        await fetch_job(self, job, Right.MANAGE)
        priority = self.body(JobChange).priority
        check_priority(priority, self.identity)

        def change(connection: Connection) -> None:
            transitions.prioritise(connection, job, NUMBERS[priority], now())
            self.audit(connection, "job.prioritise", job, priority=priority)

        await self.services.db.write(change)
        self.answer(await read_job(self, job, Right.VIEW))

    async def delete(self, job: str) -> None:
        """Delete a job that is over; its adapter stays."""
        self.check_query()
        await fetch_job(self, job, Right.MANAGE)
        services, audit = self.services, compute_of(self).audit
        by = self.identity.tenant_id
        await remove_job(services.db, services.objects, audit, job, by, self.request_id)
        services.admissions.recheck(job)
        self.answer_nothing()


class JobResubmitHandler(Handler):
    """Submitting one job again."""

    async def post(self, job: str) -> None:
        """Submit a job that is over again, exactly as it was."""
        self.check_query()
        row = await fetch_job(self, job, Right.VIEW)
        again = self.body(JobAgain)
        made = await compute_of(self).jobs.resubmit(self.identity, row, again)
        await answer_submitted(self, made)


class JobStatisticsHandler(Handler):
    """What one job cost, and how it went."""

    async def get(self, job: str) -> None:
        """Answer its statistics."""
        self.check_query()
        row = await fetch_job(self, job, Right.VIEW)
        statistics = await compute_of(self).dashboard.charts.read(
            self.identity.tenant_id,
            lambda c: describe_statistics(c, row, read_metrics(c, job), now()),
        )
        self.answer(statistics)


class JobCancelHandler(Handler):
    """Cancelling one job."""

    async def post(self, job: str) -> None:
        """Cancel the job, or ask its agent to; answers the job as it is now."""
        await cancel_job(self, job)
        self.answer(await read_job(self, job, Right.VIEW))


def parse_states(text: str | None) -> frozenset[JobState]:
    """Returns the states that a list names; none for no list.

    Raises:
        InvalidInputError: One of them is no state.
    """
    if text is None:
        return frozenset()
    try:
        return frozenset(map(JobState, text.split(",")))
    except ValueError:
        known = ", ".join(JobState)
        raise InvalidInputError(
            errors=[FieldProblem("state", "is not known.", f"Use one or several of {known}.")]
        ) from None


async def cancel_job(handler: Handler, job: str) -> None:
    """Cancels a job, or asks its agent to.

    Raises:
        NotFoundError: There is no such job, or the caller may not know it.
        NotAllowedError: The caller may see it, but not manage it.
        JobStateError: It is over.
    """
    compute = compute_of(handler)
    row = await fetch_job(handler, job, Right.MANAGE)
    asked = AuditEntry("job.cancel", handler.identity.tenant_id, job, {}, handler.request_id)
    await compute.queue.cancel(job, asked)
    if compute.fleet is not None:
        compute.fleet.cancel_soon(job, row["tenant_id"])


async def answer_submitted(handler: Handler, job_id: str) -> None:
    """Answers with a job that was just submitted, and has it seen to right after."""
    handler.answer(await read_job(handler, job_id, Right.VIEW))
    see_to_jobs(handler)


def see_to_jobs(handler: Handler) -> None:
    """Has a job that was just submitted seen to at once."""
    compute = compute_of(handler)
    compute.translations.wake()
    if compute.fleet is not None:
        compute.fleet.wake()


async def fetch_job(handler: Handler, job_id: str, right: Right) -> RowMapping:
    """Returns a job's row if the caller has this right on it.

    Raises:
        NotFoundError: There is no such job, or the caller may not know it.
        NotAllowedError: The caller may see it, but has not this right.
    """
    identity = handler.identity
    return await handler.services.db.read(lambda c: fetch(c, tables.jobs, identity, job_id, right))


async def read_job(handler: Handler, job_id: str, right: Right) -> Job:
    """Returns a job as the API shows it; see `fetch_job`."""
    compute = compute_of(handler)
    agents = compute.connected_agents()
    return await compute.dashboard.describe_one(job_id, right, handler.identity, agents)


async def describe_jobs(handler: Handler, rows: Sequence[RowMapping]) -> list[Job]:
    """Returns jobs as the API shows them."""
    compute = compute_of(handler)
    return await compute.dashboard.describe(rows, handler.identity, compute.connected_agents())


ROUTES = [
    Route(
        "api/jobs",
        JobsHandler,
        {
            "GET": Operation(
                "read",
                "My jobs, newest first; of one state alone, as suits it: those that wait in the "
                "order of their queue, those that are over by their end.",
                response=Page[Job],
                query={
                    **PAGE_QUERY,
                    "state": f"Only jobs in one of these states: {', '.join(JobState)}.",
                    "search": "Only jobs whose name holds this, in whatever case.",
                    "task": "Only jobs of this task.",
                    "sort": f"One of {', '.join(ORDERS)}; as suits the states if absent.",
                },
            ),
            "POST": Operation(
                "write", "Submit a job.", request=JobCreate, response=Job, status=201
            ),
        },
    ),
    Route(
        "api/jobs/counts",
        JobCountsHandler,
        {"GET": Operation("read", "How many of my jobs are in each state.", response=JobCounts)},
    ),
    Route(
        "api/jobs/{job}",
        JobHandler,
        {
            "GET": Operation("read", "One job.", response=Job),
            "PATCH": Operation(
                "write",
                "Change the priority of a job that waits; `high` needs the scope admin.",
                request=JobChange,
                response=Job,
            ),
            "DELETE": Operation(
                "write",
                "Delete a job that is over; its adapter stays.",
                status=204,
                fresh_identity=True,
            ),
        },
    ),
    Route(
        "api/jobs/{job}/resubmit",
        JobResubmitHandler,
        {
            "POST": Operation(
                "write",
                "Submit a job that is over again, exactly as it was.",
                request=JobAgain,
                response=Job,
                status=201,
            )
        },
    ),
    Route(
        "api/jobs/{job}/statistics",
        JobStatisticsHandler,
        {
            "GET": Operation(
                "read", "What a job cost and how it went, in numbers.", response=JobStatistics
            )
        },
    ),
    Route(
        "api/jobs/{job}/cancel",
        JobCancelHandler,
        {"POST": Operation("write", "Cancel a job.", response=Job)},
    ),
]
