"""Answers agents within their sessions: reports and outcomes of attempts, file chunks both ways.

Invariants:
- Whoever asks was proved by the session's key and by the subject; here it is checked what that
  agent may do.
- For an attempt: only while it runs and is this agent's; otherwise `LeaseLostError`, in every
  operation. `finish` may come twice.
- Every operation may be repeated.
- Unknown operations and unknown fields are refused.
- A disk of the service that takes no more is told as such: agents keep what they have, and wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Literal, TypeVar

from pydantic import Field
from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import InvalidInputError, LeaseLostError
from adaptery.ids import is_id
from adaptery.schemas.common import DigestText, Model, parse
from adaptery.schemas.events import MessageText
from adaptery.states import AttemptOutcome
from adaptery.times import to_text
from adaptery_hub.database import Database
from adaptery_hub.database.statements import attempts, jobs
from adaptery_hub.fleet.offers import (
    FileOffers,
    OfferedFile,
    OfferedFolder,
    folder_of_adapter,
    folders_of_attempt,
)
from adaptery_hub.fleet.registration import Registration
from adaptery_hub.fleet.staging import AnnouncedFile, StagingArea
from adaptery_hub.full_disk import DiskFullError, is_full
from adaptery_hub.queue.outcomes import AttemptEnd
from adaptery_hub.queue.port import Fence, Queue

T = TypeVar("T")
Reply = tuple[Mapping[str, object], bytes]

BULK_THREADS = 4
#: Sessions whose list of files is remembered; a list is a few kilobytes.
REMEMBERED_LISTS = 500
STEP_LIMIT = 10_000_000  # optimiser steps; more than any job spec allows
METRICS_LIMIT = 32  # numbers beside one checkpoint
MetricName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
CheckpointMetrics = Annotated[dict[MetricName, float | None], Field(max_length=METRICS_LIMIT)]
_DONE: Mapping[str, object] = {"ok": True}


class ListedFile(Model):
    """One file of a folder that an agent hands over."""

    path: Annotated[str, Field(min_length=1, max_length=1024)]
    bytes: int = Field(ge=0)
    digest: DigestText

    def announced(self) -> AnnouncedFile:
        """Returns the file as the staging area knows it."""
        return AnnouncedFile(self.path, self.bytes, self.digest)


class ReportOp(Model):
    """Events of a worker; renews the lease."""

    op: Literal["report"]
    fencing_token: int
    events: list[dict[str, object]] = []


class HandedAdapter(Model):
    """What the agent says of the adapter that it committed; the service looks for itself."""

    files: list[ListedFile] = []
    weight_digest: str = ""
    rank: int = 0


class FinishOp(Model):
    """The end of an attempt."""

    op: Literal["finish"]
    fencing_token: int
    outcome: AttemptOutcome
    reason: MessageText | None = None
    remedy: MessageText | None = None
    adapter: HandedAdapter | None = None


class ListOp(Model):
    """Which files the session offers."""

    op: Literal["list"]


class ReadOp(Model):
    """A piece of an offered file."""

    op: Literal["read"]
    path: str
    offset: int = Field(ge=0)
    length: int = Field(ge=0)


class WriteOp(Model):
    """A piece of a file that the agent hands over."""

    op: Literal["write"]
    path: str
    offset: int = Field(ge=0)
    bytes: int = Field(ge=0)
    digest: DigestText
    fencing_token: int | None = None


class CommitOp(Model):
    """A folder is whole: check and register it."""

    op: Literal["commit"]
    folder: str
    files: list[ListedFile]
    step: int | None = Field(default=None, ge=1, le=STEP_LIMIT)
    digest: DigestText | None = None
    metrics: CheckpointMetrics | None = None
    fencing_token: int | None = None


class SessionDesk:
    """Handles every operation of every session."""

    def __init__(
        self,
        database: Database,
        queue: Queue,
        offers: FileOffers,
        staging: StagingArea,
        registration: Registration,
    ) -> None:
        self._database = database
        self._queue = queue
        self._offers = offers
        self._staging = staging
        self._registration = registration
        self._threads = ThreadPoolExecutor(BULK_THREADS, thread_name_prefix="bulk")
        self._lists: dict[str, list[OfferedFile]] = {}
        self._commits: dict[str, asyncio.Lock] = {}
        self._operations: dict[
            str, Callable[[str, str, dict[str, object], bytes], Awaitable[Reply]]
        ]
        self._operations = {
            "report": self._report,
            "finish": self._finish,
            "list": self._list,
            "read": self._read,
            "write": self._write,
            "commit": self._commit,
        }

    async def handle(
        self, agent_id: str, session_id: str, header: dict[str, object], blob: bytes
    ) -> Reply:
        """Does one operation.

        Raises:
            LeaseLostError: The attempt does not run, or is not this agent's.
            InvalidInputError: There is no such operation, or it has wrong fields.
            DiskFullError: The disk takes no more.
            AdapteryError: Whatever the operation ends with.
        """
        operation = self._operations.get(str(header.get("op")))
        if operation is None:
            raise InvalidInputError("There is no such operation in a session.")
        try:
            return await operation(agent_id, session_id, header, blob)
        except Exception as error:
            if is_full(error):
                raise DiskFullError() from error
            raise

    def close(self) -> None:
        """Lets running file work end."""
        self._threads.shutdown(wait=True)

    async def _report(
        self, agent_id: str, attempt_id: str, header: dict[str, object], blob: bytes
    ) -> Reply:
        asked = parse(ReportOp, header)
        fence = Fence(attempt_id, agent_id, asked.fencing_token)
        renewal = await self._queue.report(fence, asked.events)
        answer = {
            "lease_until": to_text(renewal.lease_until),
            "cancel": renewal.cancel,
            "drain": renewal.drain,
            "acked_seq": renewal.acked_seq,
        }
        return answer, b""

    async def _finish(
        self, agent_id: str, attempt_id: str, header: dict[str, object], blob: bytes
    ) -> Reply:
        asked = parse(FinishOp, header)
        fence = Fence(attempt_id, agent_id, asked.fencing_token)
        await self._queue.finish(fence, AttemptEnd(asked.outcome, asked.reason, asked.remedy))
        self._lists.pop(attempt_id, None)
        self._commits.pop(attempt_id, None)
        await self._in_thread(lambda: self._staging.discard(attempt_id))
        return _DONE, b""

    async def _list(
        self, agent_id: str, session_id: str, header: dict[str, object], blob: bytes
    ) -> Reply:
        parse(ListOp, header)
        files = await self._files(agent_id, session_id)
        return {"files": [file.to_dict() for file in files]}, b""

    async def _read(
        self, agent_id: str, session_id: str, header: dict[str, object], blob: bytes
    ) -> Reply:
        asked = parse(ReadOp, header)
        files = await self._files(agent_id, session_id)
        piece = await self._in_thread(
            lambda: self._offers.read(files, asked.path, asked.offset, asked.length)
        )
        return {}, piece

    async def _write(
        self, agent_id: str, attempt_id: str, header: dict[str, object], blob: bytes
    ) -> Reply:
        asked = parse(WriteOp, header)
        await self._running(agent_id, attempt_id, asked.fencing_token)
        received = await self._in_thread(
            lambda: self._staging.write(attempt_id, asked.path, asked.offset, asked.bytes, blob)
        )
        return {"received": received}, b""

    async def _commit(
        self, agent_id: str, attempt_id: str, header: dict[str, object], blob: bytes
    ) -> Reply:
        asked = parse(CommitOp, header)
        # One at a time: an agent that waited too long for the answer asks again.
        async with self._commits.setdefault(attempt_id, asyncio.Lock()):
            attempt = await self._running(agent_id, attempt_id, asked.fencing_token)
            fence = Fence(attempt_id, agent_id, int(attempt["fencing_token"]))
            await self._in_thread(lambda: self._register(fence, attempt["job_id"], asked))
        return _DONE, b""

    def _register(self, fence: Fence, job_id: str, asked: CommitOp) -> None:
        files = [file.announced() for file in asked.files]
        if asked.folder == "adapter":
            self._registration.adapter(fence, files)
            return
        if asked.step is None or asked.digest is None:
            raise InvalidInputError("A checkpoint is committed with its step and digest.")
        self._registration.checkpoint(
            fence,
            job_id,
            asked.folder,
            files,
            step=asked.step,
            digest=asked.digest,
            metrics=asked.metrics,
        )

    async def _files(self, agent_id: str, session_id: str) -> list[OfferedFile]:
        if is_id(session_id, "ad") or is_id(session_id, "ck"):
            folders = [await self._database.read(lambda c: folder_of_adapter(c, session_id))]
        else:
            folders = await self._database.read(lambda c: _attempt_folders(c, agent_id, session_id))
        known = self._lists.get(session_id)
        if known is None:
            known = await self._in_thread(lambda: self._offers.list(folders))
            if len(self._lists) >= REMEMBERED_LISTS:
                self._lists.clear()
            self._lists[session_id] = known
        return known

    async def _running(self, agent_id: str, attempt_id: str, token: int | None) -> RowMapping:
        attempt = await self._database.read(lambda c: running_attempt(c, agent_id, attempt_id))
        if token is not None and str(token) != attempt["fencing_token"]:
            raise LeaseLostError()
        return attempt

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def running_attempt(connection: Connection, agent_id: str, attempt_id: str) -> RowMapping:
    """Returns an attempt that runs and is this agent's.

    Raises:
        LeaseLostError: It is not.
    """
    attempt = attempts.get(connection, attempt_id)
    if attempt is None or attempt["outcome"] is not None or attempt["agent_id"] != agent_id:
        raise LeaseLostError()
    return attempt


def _attempt_folders(connection: Connection, agent_id: str, attempt_id: str) -> list[OfferedFolder]:
    attempt = running_attempt(connection, agent_id, attempt_id)
    job = jobs.get(connection, attempt["job_id"])
    if job is None:
        raise LeaseLostError()
    return folders_of_attempt(connection, job, attempt_id)
