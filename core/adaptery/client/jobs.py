"""Jobs of the service: submit, watch, wait, cancel."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Generator, Iterator

from pydantic import ValidationError

from adaptery.client.columns import JOBS, job_facts
from adaptery.client.connection import Connection, path_of
from adaptery.client.listing import Listing, card
from adaptery.client.progress import ProgressBar, followed, wanted
from adaptery.client.sharing import Shared
from adaptery.client.versions import Version
from adaptery.errors import DeadlineError, InternalError, UnavailableError
from adaptery.schemas import jobs as schemas
from adaptery.states import FINAL_STATES, JobState

__all__ = ["Job", "Jobs"]

#: Pauses before the event stream is opened again after a lost connection; the last one repeats.
RECONNECT_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
#: A service that is restarted is back within seconds; one that is away this often in a row is gone.
RECONNECT_ATTEMPTS = 60

OptionValue = schemas.OptionValue


class Job(Shared):
    """One requested run.

    Of the rights, `view` sees its state, numbers and log, `manage` cancels and shares it; its
    adapter is shared by itself, see `Hub.adapters`.
    """

    def __init__(
        self,
        connection: Connection,
        info: schemas.Job,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._connection = connection
        self._sleep = sleep
        self.info = info

    @property
    def connection(self) -> Connection:
        """The connection that this came over."""
        return self._connection

    def __repr__(self) -> str:
        reason = f" ({self.info.reason})" if self.info.reason else ""
        return f"<Job {self.info.name}: {self.info.state}{reason}>"

    def _repr_html_(self) -> str:
        return card(f"Job {self.info.name}", job_facts(self))

    @property
    def id(self) -> str:
        """The opaque id, which is also a model name once the job is completed."""
        return self.info.id

    @property
    def state(self) -> JobState:
        """The state as it was when last asked."""
        return self.info.state

    @property
    def adapter(self) -> str | None:
        """The full name of the adapter that the job made."""
        return self.info.adapter

    def _path(self, *more: str) -> str:
        return path_of("api", "jobs", self.id, *more)

    def refresh(self) -> Job:
        """Ask the service how the job is now.

        Raises:
            AdapteryError: what the service raised.
        """
        self.info = self._connection.get(self._path(), schemas.Job)
        return self

    def watch(self, after: int = 0, *, progress: bool | None = None) -> Generator[schemas.JobEvent]:
        """Yield the events of the job as they happen, until it is over.

        A lost connection is opened again where it broke off, so no event is missed or told twice.

        Args:
            after: the `seq` of the last event that is known.
            progress: whether to show a bar between the events; in notebooks if absent.

        Raises:
            UnavailableError: if the service stays away.
            AdapteryError: what the service raised.
        """
        events = self._watch(after)
        return (
            followed(events, ProgressBar(self.info.name, "steps")) if wanted(progress) else events
        )

    def _watch(self, after: int) -> Generator[schemas.JobEvent]:
        failures = 0
        while True:
            try:
                for event in self._events(after):
                    after, failures = event.seq, 0
                    yield event
                if self.refresh().state in FINAL_STATES:
                    # What came between the end of the stream and the look at the state.
                    yield from self._events(after)
                    return
            except (UnavailableError, DeadlineError):
                failures += 1
                if failures >= RECONNECT_ATTEMPTS:
                    raise
            self._sleep(RECONNECT_SECONDS[min(failures, len(RECONNECT_SECONDS) - 1)])

    def _events(self, after: int) -> Iterator[schemas.JobEvent]:
        last_id = str(after) if after else None
        with self._connection.events("GET", self._path("events"), last_id=last_id) as events:
            for event in events:
                parsed = _event_of(event.data)
                if parsed.seq > after:
                    yield parsed

    def wait(
        self,
        timeout_seconds: float | None = None,
        on_event: Callable[[schemas.JobEvent], None] | None = None,
        *,
        progress: bool | None = None,
    ) -> Job:
        """Wait until the job is over, in whatever way; `state` and `info.reason` say how.

        Args:
            timeout_seconds: how long to wait, as far as events or comments of the service allow to
                look at the clock; for ever if absent.
            on_event: called with each event.
            progress: whether to show a bar; in notebooks if absent.

        Raises:
            DeadlineError: if it is not over at the end of the time; the job goes on.
            AdapteryError: what the service raised.
        """
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        if self.state in FINAL_STATES:
            return self
        for event in self.watch(progress=progress):
            if on_event is not None:
                on_event(event)
            if deadline is not None and time.monotonic() > deadline:
                raise DeadlineError("The job is not over yet.", hint="it goes on; wait() again")
        return self.refresh()

    def cancel(self) -> Job:
        """Ask for the job to be cancelled; it ends as soon as its worker has stopped.

        Raises:
            JobStateError: if it is over already.
            AdapteryError: what the service raised.
        """
        self.info = self._connection.post(self._path("cancel"), schemas.Job)
        return self

    def log(self) -> str:
        """Return the log of the job, one line for each thing that the worker said.

        Raises:
            AdapteryError: what the service raised.
        """
        events = self._pages("log")
        return "\n".join(f"{event.at:%H:%M:%S} {_line_of(event)}" for event in events)

    def metrics(self) -> list[schemas.JobEvent]:
        """Return the points of the charts: step, epoch, loss, learning rate and the like.

        Raises:
            AdapteryError: what the service raised.
        """
        return list(self._pages("metrics"))

    def _pages(self, what: str) -> Iterator[schemas.JobEvent]:
        return self._connection.pages(
            self._path(what), schemas.JobEvent, lambda event: str(event.seq)
        )


def _line_of(event: schemas.JobEvent) -> str:
    words = [event.data.get(name) for name in ("level", "message", "reason", "remedy")]
    return " ".join(str(word) for word in words if word)


def _event_of(data: str) -> schemas.JobEvent:
    try:
        return schemas.JobEvent.model_validate_json(data)
    except ValidationError:
        raise InternalError("The service sent an event that cannot be read.") from None


class Jobs:
    """The jobs that the caller may see."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def submit(
        self,
        name: str,
        dataset: str | Version,
        *,
        task: str = "training-v0",
        base_model: str | None = None,
        **options: OptionValue,
    ) -> Job:
        """Submit a job, once: after a lost connection the same request is sent again.

        Args:
            name: the name of the job and of the adapter that it makes.
            dataset: a version, by object, pinned name or id.
            task: the task definition, see `Hub.tasks`.
            base_model: a registered base model; the default one if absent.
            options: what the form of the task offers, such as `epochs=2`.

        Raises:
            InvalidInputError: if an option is not one of the task, or out of its range.
            NotFoundError: if the dataset is not the caller's to use.
            AdapteryError: what the service raised.
        """
        body = schemas.JobCreate(
            task=task,
            name=name,
            base_model=base_model,
            dataset=dataset.id if isinstance(dataset, Version) else dataset,
            options=options,
            key=secrets.token_urlsafe(),
        )
        sent = body.model_dump(exclude_none=True)
        info = self._connection.post("api/jobs", schemas.Job, sent, repeatable=True)
        return Job(self._connection, info)

    def list(
        self, state: str | Collection[str] | None = None, search: str | None = None
    ) -> Listing[Job]:
        """Return the jobs that the caller may see, newest first.

        Args:
            state: only jobs in this state or one of these; `queued` alone comes in the order of the
                queue.
            search: only jobs whose name holds this, in whatever case.

        Raises:
            InvalidInputError: if a state is none.
            AdapteryError: what the service raised.
        """
        states = state if state is None or isinstance(state, str) else ",".join(state)
        asked = {"state": states, "search": search}
        query = {name: value for name, value in asked.items() if value is not None}
        found = self._connection.pages("api/jobs", schemas.Job, lambda info: info.id, query)
        jobs = (Job(self._connection, info) for info in found)
        return Listing(jobs, "job", JOBS, "hub.jobs.submit(...) hands one in.")

    def get(self, job: str) -> Job:
        """Return a job by id.

        Raises:
            NotFoundError: if there is none that the caller may see.
            AdapteryError: what the service raised.
        """
        info = self._connection.get(path_of("api", "jobs", job), schemas.Job)
        return Job(self._connection, info)
