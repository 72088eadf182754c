"""One attempt from its order to its acknowledged end.

    fetch inputs -> run the worker, telling what it does -> hand in -> tell the end -> forget

Beside that course runs the reporter, which keeps the lease. If the service no longer acknowledges
the fencing token, everything stops at once and nothing more is said: another attempt may run.

While service, broker or agent are away, the worker goes on until its lease is over and then stands
still (SIGSTOP). It goes on when the service acknowledges the token again; so work survives restarts
of any length, and yet no job ever runs twice at once. A worker that still runs when its agent comes
back is adopted.

Invariants:
- the ending is on disk before anyone hears of it, so a killed agent says the same thing again; on
  a full disk it follows once more from what the worker left;
- the end is told until it is acknowledged; the records of the tenant are deleted after that;
- a trained adapter is in the adapter cache before it is handed in.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field
from pathlib import Path

from adaptery.adapter_folders import AdapterInfo, inspect_adapter
from adaptery.errors import AdapteryError, LeaseLostError, RefusedError
from adaptery.files import is_full, safe_join
from adaptery.schemas.events import (
    CheckpointEvent,
    ErrorEvent,
    MetricsEvent,
    SummaryEvent,
    WorkerEvent,
)
from adaptery.schemas.spec import JobSpec
from adaptery_network.agent.adapter_cache import AdapterCache
from adaptery_network.agent.checkpoints import CheckpointSender
from adaptery_network.agent.endings import (
    CANCELLED,
    COMPLETED,
    DRAINED,
    EMPTIED,
    NO_ROOM,
    ORPHANED,
    Ending,
    judge_exit,
)
from adaptery_network.agent.folders import AttemptFolder, AttemptRecord
from adaptery_network.agent.guard import renew
from adaptery_network.agent.guarded import GuardedProcess, read_exit
from adaptery_network.agent.lines import Line, PatientLine
from adaptery_network.agent.reporter import Reporter, ReportTiming
from adaptery_network.agent.tasks import end_tasks
from adaptery_network.agent.transfers import fetch_folder, send_folder
from adaptery_network.agent.worker import Worker, WorkerSettings

logger = logging.getLogger(__name__)

#: The service no longer acknowledges this attempt, or does not know its session any more.
_NOT_OURS = (LeaseLostError, RefusedError)


@dataclass(frozen=True, kw_only=True)
class AttemptTools:
    """What every attempt of this agent works with."""

    cache: AdapterCache
    #: Weight digests that an engine holds now, which the cache must keep.
    pinned: Callable[[], Collection[str]]
    worker: WorkerSettings
    report: ReportTiming = field(default_factory=ReportTiming)
    keep_failed: bool = False
    #: Who else hears what the worker tells.
    listener: Callable[[WorkerEvent], None] | None = None


class Attempt:
    """One attempt on this host."""

    def __init__(
        self,
        record: AttemptRecord,
        spec: JobSpec,
        folder: AttemptFolder,
        *,
        base_model: Path | None = None,
        left: GuardedProcess | None = None,
        line: Line,
        tools: AttemptTools,
    ) -> None:
        """Make an attempt on a base model, or one that was left, with the worker it still has."""
        self.record = record
        self._spec = spec
        self._folder = folder
        self._base_model = base_model
        self._left = left
        self._line = PatientLine(line)
        self._tools = tools
        self._reporter = Reporter(
            line,
            self,
            fencing_token=record.fencing_token,
            lease_seconds=record.lease_seconds,
            timing=tools.report,
        )
        self._worker = Worker(
            spec, folder, tools.worker, self._on_event, lambda: self._reporter.has_room
        )
        self._sender = CheckpointSender(self._line, folder.work)
        self._error: ErrorEvent | None = None
        self._summarised = False
        self._metrics: dict[str, object] = {}

    async def run(self) -> None:
        """Take the attempt to its end. When cancelled, it stays on disk for the next start."""
        keeper = asyncio.create_task(self._reporter.keep(), name="reporter")
        sender = asyncio.create_task(self._sender.run(), name="checkpoints")
        course = asyncio.create_task(self._course(), name="attempt")
        try:
            await asyncio.wait({keeper, sender, course}, return_when=asyncio.FIRST_COMPLETED)
            for task in (course, keeper, sender):
                if task.done():
                    task.result()
        except AdapteryError as error:
            # The service's last word. Most often the lease is lost and another attempt runs.
            logger.warning("attempt %s is dropped: %s", self.record.attempt, error.code)
            await end_tasks(course)  # the worker must be gone before its folder goes
            self._folder.remove()
        finally:
            await end_tasks(course, keeper, sender)

    def drain(self) -> None:
        """End early because the agent stops; what is saved is handed in and the job requeued."""
        self._worker.end(DRAINED)

    def on_cancel(self) -> None:
        """End because the owner wants it."""
        self._worker.end(CANCELLED)

    def on_drain(self) -> None:
        """End early because the queue is emptied; what is saved is handed in."""
        self._worker.end(EMPTIED)

    def on_renewed(self, until: float) -> None:
        """Go on: the service acknowledged the fencing token."""
        renew(self._folder.lease, until)

    async def _course(self) -> None:
        ending = await self._end_of_work()
        self._decide(ending)
        ending, adapter = await self._hand_in(ending)
        await self._reporter.flushed()
        finish: dict[str, object] = {
            "op": "finish",
            "fencing_token": self.record.fencing_token,
            **ending.to_report(),
        }
        if adapter is not None:
            finish["adapter"] = adapter
        await self._line.request("report", finish)
        logger.info("attempt %s ended: %s", self.record.attempt, ending.outcome)
        if ending.outcome == "failed" and self._tools.keep_failed:
            self._folder.take_back()
        else:
            self._folder.remove()

    async def _end_of_work(self) -> Ending:
        if self.record.ending is not None:
            await self._worker.read_rest()
            return self.record.ending
        try:
            return await self._work()
        except _NOT_OURS:
            raise
        except AdapteryError as error:
            return Ending("failed", error.message, error.hint)
        except Exception as error:  # our bug: the job must not hang on it
            if is_full(error):
                return NO_ROOM
            logger.exception("attempt %s failed in the agent", self.record.attempt)
            return Ending("lost", "The agent had an internal error.")

    def _decide(self, ending: Ending) -> None:
        try:
            self._folder.decide(ending)
        except OSError as error:
            logger.warning("how %s ended is not on disk: %s", self.record.attempt, error.strerror)

    async def _work(self) -> Ending:
        if self._left is not None:
            code = await self._worker.adopt(self._left)
        elif self._base_model is None:
            return await self._read_what_was_left()
        elif await self._fetch():
            code = await self._worker.run(self._base_model)
        else:
            return self._worker.decided or CANCELLED
        return judge_exit(code, self._worker.decided, self._error)

    async def _fetch(self) -> bool:
        """Fetch the inputs; False when the end was asked for meanwhile."""
        fetching = asyncio.create_task(fetch_folder(self._line, self._folder.work, _place))
        asked = asyncio.create_task(self._worker.asked_to_end.wait())
        try:
            await asyncio.wait({fetching, asked}, return_when=asyncio.FIRST_COMPLETED)
            if fetching.done():
                fetching.result()
            return not asked.done()
        finally:
            await end_tasks(fetching, asked)

    async def _read_what_was_left(self) -> Ending:
        """Decide about an attempt whose worker ended while there was no agent."""
        await self._worker.read_rest()
        code = read_exit(self._folder)
        if code is not None:
            return judge_exit(code, None, self._error)
        if self._summarised and self._folder.adapter.is_dir():
            return COMPLETED
        return ORPHANED

    async def _hand_in(self, ending: Ending) -> tuple[Ending, dict[str, object] | None]:
        if ending.outcome == "completed":
            try:
                return ending, await self._hand_in_adapter()
            except _NOT_OURS:
                raise
            except (AdapteryError, FileNotFoundError) as error:
                said = error.message if isinstance(error, AdapteryError) else "It is not there."
                failed = Ending("failed", f"The adapter cannot be handed in. {said}")
                self._decide(failed)
                return failed, None
        if ending.outcome == "lost":
            await self._sender.drained()
        return ending, None

    async def _hand_in_adapter(self) -> dict[str, object]:
        # A worker may be hostile, and the agent reads more than it: no link leads out of here.
        folder = safe_join(self._folder.work, self._folder.adapter.name)
        info = await asyncio.to_thread(inspect_adapter, folder)
        await self._cache(info)
        entries = await send_folder(self._line, self._folder.work, folder.name, "adapter")
        return {
            "files": [asdict(entry) for entry in entries],
            "weight_digest": info.weight_digest,
            "rank": info.rank,
        }

    async def _cache(self, info: AdapterInfo) -> None:
        """Keep the adapter here, so that its first question finds it; a full disk is no failure."""
        try:
            await asyncio.to_thread(
                self._tools.cache.admit_copy,
                self._folder.adapter,
                info.weight_digest,
                keep=self._tools.pinned(),
            )
        except OSError as error:
            logger.warning("adapter is not cached: %s", error.strerror or "it cannot be copied")

    def _on_event(self, event: WorkerEvent) -> None:
        fields = event.model_dump(mode="json", exclude_none=True)
        self._reporter.add(fields, len(event.model_dump_json()))
        if self._tools.listener is not None:
            self._tools.listener(event)
        match event:
            case MetricsEvent():
                kept = ("step", "epoch", "loss", "eval_loss", "learning_rate")
                self._metrics = {name: fields[name] for name in kept if name in fields}
            case CheckpointEvent():
                self._sender.add(event, self._metrics)
            case ErrorEvent():
                self._error = event
            case SummaryEvent():
                self._summarised = True
            case _:
                pass


def _place(path: str) -> str | None:
    """Return where a file that the service offers goes in the work folder."""
    head, _, rest = path.partition("/")
    if head in ("inputs", "start", "reward"):
        return path
    return f"resume/{rest}" if head == "checkpoint" else None
