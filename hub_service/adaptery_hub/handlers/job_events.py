"""What a job tells: `events` as they come, `metrics` and `log`."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import FieldProblem, InvalidInputError
from adaptery.schemas.common import Page
from adaptery.schemas.jobs import JobEvent
from adaptery.states import FINAL_STATES, JobState
from adaptery_hub.database import tables
from adaptery_hub.database.statements import job_events, jobs
from adaptery_hub.handlers.base import Handler
from adaptery_hub.handlers.computing import compute_of
from adaptery_hub.handlers.jobs import fetch_job
from adaptery_hub.handlers.sse import KEEP_ALIVE_SECONDS, SSE_MEDIA, EventStream
from adaptery_hub.job_charts import POINTS_MAX, POINTS_MIN
from adaptery_hub.permissions import Right, fetch
from adaptery_hub.routes import PAGE_QUERY, Operation, Route

EVENTS_PAGE_LIMIT = 2_000  # points of one chart
EVENTS_BATCH = 200  # events that are read from the database at once
#: A stream looks into the database after this long even without a hint that there is news.
LOOK_AGAIN_SECONDS = 2.0
_LOG_KINDS = ("log", "error")


class JobEventsHandler(Handler):
    """The events of one job as they come."""

    async def get(self, job: str) -> None:
        """Stream the events after `Last-Event-ID` until the job is over."""
        self.check_query()
        await fetch_job(self, job, Right.VIEW)
        after = event_number(self.request.headers.get("Last-Event-ID") or self.query("after"))
        stream = EventStream(self)
        await stream.open()
        await stream.while_admitted(
            self._follow(stream, job, after),
            job,
            lambda c, identity: fetch(c, tables.jobs, identity, job, Right.VIEW),
        )

    async def _follow(self, stream: EventStream, job: str, after: int) -> None:
        with compute_of(self).queue.signals.watch(job) as news:
            silent_seconds = 0.0
            while not stream.closed:
                news.clear()
                rows, over = await self.services.db.read(
                    lambda c, after=after: _news(c, job, after)
                )
                for row in rows:
                    event = describe_event(row)
                    await stream.send(event.model_dump_json(), event=event.kind, id=str(event.seq))
                    after = event.seq
                if over and len(rows) < EVENTS_BATCH:
                    return
                silent_seconds = 0.0 if rows else silent_seconds + LOOK_AGAIN_SECONDS
                if silent_seconds >= KEEP_ALIVE_SECONDS:
                    await stream.keep_alive()
                    silent_seconds = 0.0
                if len(rows) < EVENTS_BATCH:
                    await stream.wait(news, LOOK_AGAIN_SECONDS)


class JobMetricsHandler(Handler):
    """The numbers of one job."""

    async def get(self, job: str) -> None:
        """List the metrics in order, or as few of them as a chart needs.

        In the list a step that was repeated after a lost attempt comes twice, in a chart once.
        """
        if (points := self.query("points")) is not None:
            rows, limit = await self.chart(job, points)
        else:
            rows, limit = await read_events(self, job, ("metrics",))
        self.answer_page([describe_event(row) for row in rows], limit)

    async def chart(self, job: str, points: str) -> tuple[list[RowMapping], int]:
        """Returns the points of a chart, and how many it may have.

        Raises:
            InvalidInputError: That is out of range, or a page was asked for too.
            NotFoundError: There is no such job, or the caller may not know it.
        """
        self.check_query()
        limit = parse_points(points)
        if self.query("after") is not None or self.query("limit") is not None:
            fault = FieldProblem("points", "makes no pages.", "Leave out after and limit.")
            raise InvalidInputError(errors=[fault])
        await fetch_job(self, job, Right.VIEW)
        tenant = self.identity.tenant_id
        return await compute_of(self).dashboard.charts.points(tenant, job, limit), limit


class JobLogHandler(Handler):
    """The log of one job."""

    async def get(self, job: str) -> None:
        """List the worker's log lines in order."""
        rows, limit = await read_events(self, job, _LOG_KINDS)
        self.answer_page([describe_event(row) for row in rows], limit)


async def read_events(
    handler: Handler, job_id: str, kinds: Collection[str]
) -> tuple[list[RowMapping], int]:
    """Returns one page of a job's events of some kinds, and the page's limit."""
    after, limit = handler.page(limit_max=EVENTS_PAGE_LIMIT)
    await fetch_job(handler, job_id, Right.VIEW)
    number = event_number(after)
    rows = await handler.services.db.read(
        lambda c: job_events.read_on(c, job_id, number, limit + 1, kinds)
    )
    return rows, limit


def event_number(text: str | None) -> int:
    """Returns the number of the last event that a client has; 0 for none.

    Raises:
        InvalidInputError: It is not a number.
    """
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidInputError(
            errors=[FieldProblem("after", "is not the number of an event.", "Send its `seq`.")]
        )
    return int(text)


def parse_points(text: str) -> int:
    """Returns how many points a chart may have.

    Raises:
        InvalidInputError: It is no number, or out of range.
    """
    points = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if not POINTS_MIN <= points <= POINTS_MAX:
        remedy = f"Use {POINTS_MIN} to {POINTS_MAX}."
        raise InvalidInputError(errors=[FieldProblem("points", "is out of range.", remedy)])
    return points


def describe_event(row: RowMapping) -> JobEvent:
    """Returns an event as the API shows it."""
    return JobEvent(seq=row["seq"], at=row["created_at"], kind=row["kind"], data=row["data"])


def _news(connection: Connection, job_id: str, after: int) -> tuple[list[RowMapping], bool]:
    """Returns events after a number, and whether the job is over; both as of one moment."""
    row = jobs.get(connection, job_id)
    over = row is None or JobState(row["state"]) in FINAL_STATES
    return job_events.read_on(connection, job_id, after, EVENTS_BATCH), over


_AFTER_EVENT = {**PAGE_QUERY, "after": "The `seq` of the last event of the page before."}

ROUTES = [
    Route(
        "api/jobs/{job}/events",
        JobEventsHandler,
        {
            "GET": Operation(
                "read",
                "The events of a job, as server-sent events that end with the job.",
                response=JobEvent,
                media=SSE_MEDIA,
                query={"after": "Like the header Last-Event-ID: the last event that you have."},
            )
        },
    ),
    Route(
        "api/jobs/{job}/metrics",
        JobMetricsHandler,
        {
            "GET": Operation(
                "read",
                "The metrics of a job.",
                response=Page[JobEvent],
                query={
                    **_AFTER_EVENT,
                    "points": "For a chart, in place of pages: at most so many points, with the "
                    f"first, the last and all extremes; {POINTS_MIN} to {POINTS_MAX}.",
                },
            )
        },
    ),
    Route(
        "api/jobs/{job}/log",
        JobLogHandler,
        {
            "GET": Operation(
                "read", "The log of a job.", response=Page[JobEvent], query=_AFTER_EVENT
            )
        },
    ),
]
