"""One job of the service: watch, wait, cancel, submit again, statistics."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from adaptery.client.adapters import save_archive
from adaptery.client.columns import expected_of, job_facts, percent_of
from adaptery.client.connection import Connection, checked, path_of
from adaptery.client.job_statistics import Statistics
from adaptery.client.listing import card
from adaptery.client.progress import ProgressBar, followed, wanted
from adaptery.client.sharing import Shared
from adaptery.client.versions import Version
from adaptery.errors import DeadlineError, InternalError, UnavailableError
from adaptery.schemas import jobs as schemas
from adaptery.schemas.checkpoints import Checkpoint
from adaptery.schemas.common import Page, parse
from adaptery.states import FINAL_STATES, JobState

__all__ = ["Job", "OptionValue", "Versions", "request_fields", "submitted"]

#: Pauses before the event stream is opened again after a lost connection; the last one repeats.
RECONNECT_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
#: A service that is restarted is back within seconds; one that is away this often in a row is gone.
RECONNECT_ATTEMPTS = 60

OptionValue = schemas.OptionValue
#: One version, or several, by object, pinned name or id.
Versions = str | Version | Sequence[str | Version]


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
        told = [self.info.reason, percent_of(self.info.progress), expected_of(self.info)]
        more = ", ".join(part for part in told if part)
        return f"<Job {self.info.name}: {self.info.state}{f' ({more})' if more else ''}>"

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

    def metrics(self, points: int | None = None) -> list[schemas.JobEvent]:
        """Return the points of the charts: step, epoch, loss, learning rate and the like.

        Args:
            points: at most so many, for a chart: the first, the last and all extremes are among
                them, and a step that was repeated after a lost attempt is there once. All, if
                absent.

        Raises:
            InvalidInputError: if there are more than a chart can have, or too few.
            AdapteryError: what the service raised.
        """
        if points is None:
            return list(self._pages("metrics"))
        page = self._connection.get(
            self._path("metrics"), Page[schemas.JobEvent], {"points": points}
        )
        return list(page.items)

    def checkpoints(self) -> list[Checkpoint]:
        """Return the checkpoints that are kept, each with its name as a model.

        Raises:
            AdapteryError: what the service raised.
        """
        return list(
            self._connection.pages(self._path("checkpoints"), Checkpoint, lambda one: one.id)
        )

    def download_checkpoint(self, step: int, path: str | Path) -> Path:
        """Save the adapter in a checkpoint as the archive that the service sends.

        Raises:
            NotFoundError: if there is none at this step that can be served.
            NotAllowedError: if the caller may use it but not have it.
            AdapteryError: what the service raised.
            OSError: if the file cannot be written.
        """
        source = self._path("checkpoints", str(step), "download")
        return save_archive(self._connection, source, Path(path))

    def statistics(self) -> Statistics:
        """Return what the job cost and how it went: attempts, times, tokens, memory, inputs.

        Raises:
            AdapteryError: what the service raised.
        """
        return self._connection.get(self._path("statistics"), Statistics)

    def resubmit(self, name: str | None = None) -> Job:
        """Submit the job again, exactly as it was, and return the new one.

        Args:
            name: of the new one; the same if absent.

        Raises:
            JobStateError: if it is not over.
            ConflictError: if its task was changed since; `clone` it then.
            AdapteryError: what the service raised.
        """
        body = schemas.JobAgain(name=name, key=secrets.token_urlsafe())
        sent = body.model_dump(exclude_none=True)
        info = self._connection.post(self._path("resubmit"), schemas.Job, sent, repeatable=True)
        return Job(self._connection, info)

    def clone(
        self,
        name: str | None = None,
        *,
        dataset: Versions | None = None,
        base_model: str | None = None,
        validation: str | Version | None = None,
        start_from: str | None = None,
        reward: str | None = None,
        priority: schemas.Priority | None = None,
        **options: OptionValue | None,
    ) -> Job:
        """Submit a job like this one, with changes, and return it.

        Args:
            name: of the new one; everything that is absent is as it is here.
            dataset: a version, or several, by object, pinned name or id.
            base_model: a registered base model.
            validation: a version that is evaluated on and never learnt from.
            start_from: the adapter or checkpoint that training goes on from.
            reward: the reward model that judges answers.
            priority: among your own jobs.
            options: those of the task that change; None is the task's own default.

        Raises:
            InvalidInputError: if a change does not fit the task.
            NotFoundError: if something that it takes is not the caller's to use.
            AdapteryError: what the service raised.
        """
        info = self.info
        merged = {**info.options, **options}
        return submitted(
            self._connection,
            name or info.name,
            dataset if dataset is not None else info.datasets or info.dataset,
            {name: value for name, value in merged.items() if value is not None},
            task=info.task,
            base_model=base_model or info.base_model,
            validation=validation or info.validation,
            start_from=start_from or info.start_from,
            reward=reward or info.reward,
            priority=priority or info.priority,
            cloned_from=self.id,
        )

    def prioritise(self, priority: schemas.Priority) -> Job:
        """Let the job start before, or after, the other jobs of its owner that wait.

        Args:
            priority: `low`, `normal`, or, for administrators, `high`.

        Raises:
            JobStateError: if it does not wait any more.
            AdapteryError: what the service raised.
        """
        response = self._connection.send("PATCH", self._path(), json={"priority": priority})
        self.info = checked(response, schemas.Job)
        return self

    def delete(self) -> None:
        """Delete the job with its numbers, log and checkpoints; its adapter stays.

        Raises:
            JobStateError: if it is not over.
            AdapteryError: what the service raised.
        """
        self._connection.send("DELETE", self._path())

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


def submitted(
    connection: Connection,
    name: str,
    dataset: Versions,
    options: Mapping[str, OptionValue],
    **more: str | Version | None,
) -> Job:
    """Submit a job, once: after a lost connection the same request is sent again.

    Args:
        connection: where to.
        name: of the job and of the adapter that it makes.
        dataset: a version, or several.
        options: of the task.
        more: other fields of the request; None is none.

    Raises:
        AdapteryError: what the service raised.
    """
    fields = request_fields(dataset, options, **more)
    wanted = {"name": name, "key": secrets.token_urlsafe(), **fields}
    sent = parse(schemas.JobCreate, wanted).model_dump(exclude_none=True)
    return Job(connection, connection.post("api/jobs", schemas.Job, sent, repeatable=True))


def request_fields(
    dataset: Versions, options: Mapping[str, OptionValue], **more: str | Version | None
) -> dict[str, object]:
    """Return the fields of a request for a job; see `submitted`."""
    several = not isinstance(dataset, str | Version)
    versions = [_name_of(version) for version in (dataset if several else [dataset])]
    return {
        **({"datasets": versions} if several else {"dataset": versions[0]}),
        "options": options,
        **{field: _name_of(value) for field, value in more.items() if value is not None},
    }


def _name_of(version: str | Version) -> str:
    return version.id if isinstance(version, Version) else version
