"""One worker process: started in its work folder, watched, kept within its limits, ended.

Not here: what it reports to whom, leases, transfers. Invariants:
- the process group is gone when `run` returns or is cancelled;
- every event written before an end that nobody asked for has been handed on by then, and a worker
  gone wild is heard no faster than its words are taken;
- it runs under a guard, which outlives a killed agent; the next life of the agent adopts it;
- the environment carries the attempt and its fencing token, by which an orphan is known.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from adaptery.errors import IntegrityError
from adaptery.schemas.events import WorkerEvent
from adaptery.schemas.spec import JobSpec
from adaptery_network.agent.endings import Ending
from adaptery_network.agent.event_tail import EventTail
from adaptery_network.agent.folders import AttemptFolder, folder_bytes
from adaptery_network.agent.guarded import Confinement, GuardedProcess
from adaptery_network.agent.isolation import Isolation
from adaptery_network.agent.processes import clean_environment

logger = logging.getLogger(__name__)

ATTEMPT_MARK = "ADAPTERY_ATTEMPT"
FENCING_MARK = "ADAPTERY_FENCING_TOKEN"


def worker_marks(attempt: str, fencing_token: int) -> dict[str, str]:
    """Return the environment variables that tell the worker of an attempt from all others."""
    return {ATTEMPT_MARK: attempt, FENCING_MARK: str(fencing_token)}


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """How workers are run on this host."""

    command: Sequence[str] = (sys.executable, "-P", "-m", "adaptery_training")
    isolation: Isolation = field(default_factory=Isolation)
    threads: int = 1
    grace_seconds: float = 15.0
    #: A chart that is a fifth of a second late is not late.
    poll_seconds: float = 0.2
    limits_poll_seconds: float = 2.0


class Worker:
    """The process of one attempt."""

    def __init__(
        self,
        spec: JobSpec,
        folder: AttemptFolder,
        settings: WorkerSettings,
        on_event: Callable[[WorkerEvent], None],
        has_room: Callable[[], bool] = lambda: True,
    ) -> None:
        """Name the worker of an attempt; `has_room` says whether more events may be handed on."""
        self._spec = spec
        self._folder = folder
        self._settings = settings
        self._on_event = on_event
        self._has_room = has_room
        self._tail = EventTail(folder.events)
        self._asked = asyncio.Event()
        #: Why it was asked to end, if it was.
        self.decided: Ending | None = None

    def end(self, why: Ending) -> None:
        """Ask the worker to end; the first reason stands."""
        if self.decided is None:
            self.decided = why
            self._asked.set()

    @property
    def asked_to_end(self) -> asyncio.Event:
        """Set when somebody asked for the end, also before the process is there."""
        return self._asked

    async def run(self, base_model: Path) -> int:
        """Run the worker to its end and return its exit code.

        Raises:
            OSError: it cannot be started.
        """
        return await self.adopt(await self._start(base_model))

    async def adopt(self, process: GuardedProcess) -> int:
        """Take a running worker to its end and return its exit code."""
        try:
            code = await self._watch(process)
        finally:
            if process.exit_code is None:
                await process.kill()
            logger.info("worker of %s ended code=%s", self._spec.attempt, process.exit_code)
        await self.read_rest()
        return code

    async def read_rest(self) -> None:
        """Hand on all that an ended worker wrote; of one that was asked to end, a last piece."""
        while True:
            asked = self._asked.is_set()
            if asked or self._has_room():
                self._read_events()
                if asked or not self._tail.behind:
                    return
            await asyncio.sleep(0 if self._has_room() else self._settings.poll_seconds)

    def _read_events(self) -> None:
        rejected = self._tail.rejected
        for event in self._tail.read():
            self._on_event(event)
        if self._tail.rejected > rejected:
            logger.warning(
                "worker of %s wrote lines that are no events count=%d",
                self._spec.attempt,
                self._tail.rejected - rejected,
            )

    async def _start(self, base_model: Path) -> GuardedProcess:
        work = self._folder.work
        spec = self._spec
        (work / "tmp").mkdir(exist_ok=True)
        environment = clean_environment(
            work,
            self._settings.threads,
            {"TMPDIR": str(work / "tmp"), **worker_marks(spec.attempt, spec.fencing_token)},
        )
        process = await GuardedProcess.start(
            (*self._settings.command, "--spec", "job.json", "--base-model", str(base_model)),
            self._folder,
            self._confinement(),
            environment,
        )
        logger.info("worker of %s started pid=%d", spec.attempt, process.pid)
        return process

    def _confinement(self) -> Confinement:
        limits = self._spec.limits
        return Confinement(
            file_bytes=limits.disk_bytes,
            memory_bytes=limits.memory_bytes,
            grace_seconds=self._settings.grace_seconds,
            account=self._folder.hand_over(),
            network=self._settings.isolation.network,
        )

    async def _watch(self, process: GuardedProcess) -> int:
        exited = asyncio.create_task(process.wait())
        asked = asyncio.create_task(self._asked.wait())
        limits = asyncio.create_task(self._watch_limits(process))
        try:
            done: set[asyncio.Task[int] | asyncio.Task[bool]] = set()
            while not done:
                done, _ = await asyncio.wait(
                    {exited, asked},
                    timeout=self._settings.poll_seconds,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if self._has_room():
                    self._read_events()
            return await process.stop(self._settings.grace_seconds)
        finally:
            for task in (exited, asked, limits):
                task.cancel()
            await asyncio.gather(exited, asked, limits, return_exceptions=True)

    async def _watch_limits(self, process: GuardedProcess) -> None:
        limits = self._spec.limits
        while True:
            await asyncio.sleep(self._settings.limits_poll_seconds)
            memory_bytes = await asyncio.to_thread(process.memory_bytes)
            try:
                disk_bytes = await asyncio.to_thread(folder_bytes, self._folder.work)
            except IntegrityError as error:
                self.end(Ending("failed", f"The job's folder is not counted. {error.message}"))
                return
            if process.age_seconds() > limits.wall_seconds:
                self.end(_over("time", f"{limits.wall_seconds} seconds", "fewer epochs"))
            elif memory_bytes > limits.memory_bytes:
                self.end(_over("memory", f"{limits.memory_bytes} bytes", "a smaller batch"))
            elif disk_bytes > limits.disk_bytes:
                self.end(_over("disk", f"{limits.disk_bytes} bytes", "fewer checkpoints"))


def _over(what: str, limit: str, remedy: str) -> Ending:
    return Ending(
        "failed",
        f"The job used more {what} than its limit of {limit}.",
        f"Choose {remedy}, or ask an admin for a higher limit.",
    )
