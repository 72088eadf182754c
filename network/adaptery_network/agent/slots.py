"""The worker slots of a host: takes orders, runs attempts, and settles what an earlier life left.

Not here: the course of one attempt (`attempt`), or opening orders. Invariants:
- never more attempts with a worker than slots; settling old attempts needs none;
- two attempts of one job never run here at once: the one with the lower fencing token is ended
  before the other starts;
- workers that an earlier life left are adopted or ended before any order is taken.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping

from adaptery.errors import (
    AdapteryError,
    IntegrityError,
    LeaseLostError,
    NoAgentError,
    NotFoundError,
    SpecError,
)
from adaptery.files import is_full
from adaptery.schemas.common import parse_json
from adaptery.schemas.spec import JobSpec
from adaptery.sealed import Grant, JsonObject
from adaptery_network.agent.attempt import Attempt, AttemptTools
from adaptery_network.agent.base_models import BaseModels
from adaptery_network.agent.folders import AgentFolders, AttemptFolder, AttemptRecord
from adaptery_network.agent.guarded import GuardedProcess
from adaptery_network.agent.lines import Line
from adaptery_network.agent.orders import CancelOrder, SessionKey, StartOrder, read_order
from adaptery_network.agent.processes import end_marked
from adaptery_network.agent.tasks import end_tasks
from adaptery_network.agent.worker import worker_marks
from adaptery_network.sealed_server import Item

logger = logging.getLogger(__name__)

#: Opens the session that an order handed over.
OpenLine = Callable[[SessionKey], Line]


class WorkerSlots:
    """The places for workers on this host."""

    def __init__(
        self,
        count: int,
        *,
        folders: AgentFolders,
        base_models: BaseModels,
        tools: AttemptTools,
        open_line: OpenLine,
    ) -> None:
        self.count = count
        self._folders = folders
        self._base_models = base_models
        self._tools = tools
        self._open_line = open_line
        self._running: dict[str, tuple[Attempt, asyncio.Task[None]]] = {}
        self._settling: set[asyncio.Task[None]] = set()
        self._draining = False
        self._starting = asyncio.Lock()

    @property
    def attempts(self) -> tuple[str, ...]:
        """The attempts that hold a slot."""
        return tuple(self._running)

    @property
    def free(self) -> int:
        """How many more attempts would be taken."""
        return 0 if self._draining else max(0, self.count - len(self._running))

    async def handle(self, grant: Grant, body: JsonObject) -> AsyncGenerator[Item, None]:
        """Carry out an order of the service and yield the one answer.

        Raises:
            AdapteryError: the order is refused, with the reason.
        """
        order = read_order(body, grant)
        if isinstance(order, CancelOrder):
            self._cancel(order, grant.thing)
            yield "data", {"ok": True}
        else:
            async with self._starting:
                await self._start(order)
            yield "data", {"accepted": True}

    async def recover(self) -> None:
        """Adopt the workers that an earlier life of the agent left, and settle other attempts."""
        for folder in self._folders.left_attempts():
            try:
                record = folder.record()
                spec = parse_json(JobSpec, folder.spec.read_bytes(), SpecError)
            except (IntegrityError, SpecError, OSError):
                logger.warning("attempt %s has no readable record and is dropped", folder.path.name)
                folder.remove()
                continue
            marks = worker_marks(record.attempt, record.fencing_token)
            left = await asyncio.to_thread(GuardedProcess.find, folder, marks)
            if left is None or record.ending is not None:
                await self._end_orphan(record.attempt, marks)
                self._settle(self._make(record, spec, folder))
            else:
                logger.warning("worker of %s is adopted pid=%d", record.attempt, left.pid)
                self._occupy(self._make(record, spec, folder, left))

    async def drain(self, seconds: float) -> None:
        """Take no more orders, stop the workers, and hand in what they saved while time lasts."""
        self._draining = True
        tasks = [task for _, task in self._running.values()]
        for attempt, _ in self._running.values():
            attempt.drain()
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        await end_tasks(*tasks, *self._settling)

    def _cancel(self, order: CancelOrder, job: str) -> None:
        running = self._running.get(order.attempt)
        if running is None or running[0].record.job != job:
            raise NotFoundError("This attempt does not run on this agent.")
        running[0].on_cancel()

    async def _start(self, order: StartOrder) -> None:
        spec = order.spec
        if (running := self._running.get(spec.attempt)) is not None:
            if running[0].record.fencing_token != spec.fencing_token:
                raise LeaseLostError("This attempt runs here with another fencing token.")
            return
        await self._end_older(spec)
        if self.free < 1:
            raise NoAgentError("This agent has no free slot for a worker.")
        model = self._base_models.find(spec.base_model.name, spec.base_model.weight_digest)
        record = AttemptRecord(
            attempt=spec.attempt,
            job=spec.job,
            fencing_token=spec.fencing_token,
            session_id=order.session.id,
            session_key=order.session.key,
            lease_seconds=order.lease_seconds,
        )
        folder = self._folders.attempt(spec.attempt)
        owner = self._tools.worker.isolation.free_account(self._users())
        try:
            folder.create(record, spec.model_dump_json(exclude_none=True).encode(), owner)
        except OSError as error:
            folder.remove()
            if is_full(error):
                raise NoAgentError("The disk of this agent is full.") from error
            raise
        attempt = Attempt(
            record,
            spec,
            folder,
            base_model=model.folder,
            line=self._open_line(order.session),
            tools=self._tools,
        )
        self._occupy(attempt)

    def _users(self) -> set[int]:
        """Return whose the work folders are; ended attempts keep theirs until they are gone."""
        works = [folder.work for folder in self._folders.left_attempts()]
        return {work.stat().st_uid for work in works if work.exists()}

    def _occupy(self, attempt: Attempt) -> None:
        name = attempt.record.attempt
        task = asyncio.create_task(self._run(attempt), name=f"attempt {name}")
        self._running[name] = (attempt, task)
        task.add_done_callback(lambda _: self._running.pop(name, None))

    def _settle(self, attempt: Attempt) -> None:
        task = asyncio.create_task(self._run(attempt), name=f"settle {attempt.record.attempt}")
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def _end_older(self, spec: JobSpec) -> None:
        for attempt, task in list(self._running.values()):
            record = attempt.record
            if record.job != spec.job:
                continue
            if record.fencing_token >= spec.fencing_token:
                raise LeaseLostError("A newer attempt of this job runs here.")
            logger.warning("attempt %s is replaced by a newer one", record.attempt)
            await end_tasks(task)
            self._folders.attempt(record.attempt).remove()

    async def _end_orphan(self, attempt: str, marks: Mapping[str, str]) -> None:
        grace_seconds = self._tools.worker.grace_seconds
        if ended := await asyncio.to_thread(end_marked, marks, grace_seconds):
            logger.warning("orphans of %s ended processes=%d", attempt, ended)

    def _make(
        self,
        record: AttemptRecord,
        spec: JobSpec,
        folder: AttemptFolder,
        left: GuardedProcess | None = None,
    ) -> Attempt:
        session = SessionKey(id=record.session_id, key=record.session_key)
        return Attempt(
            record,
            spec,
            folder,
            left=left,
            line=self._open_line(session),
            tools=self._tools,
        )

    async def _run(self, attempt: Attempt) -> None:
        try:
            await attempt.run()
        except AdapteryError as error:
            logger.warning("attempt %s ended by %s", attempt.record.attempt, error.code)
        except Exception:  # one attempt must not take the agent with it
            logger.exception("attempt %s failed in the agent", attempt.record.attempt)
