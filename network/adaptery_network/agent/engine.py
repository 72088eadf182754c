"""Keeps the engine of one base model running: starts, watches, restarts with back-off, stops.

Not here: what is asked of the engine, or which adapters it holds. Invariants:
- an engine listens on loopback with a token made for that one start, in a file of mode 0600;
- whoever asks gets a client of the engine that runs now; `generation` grows with each start, so
  that nobody believes what an earlier process held;
- an engine left by an earlier life of the agent is ended before a new one starts.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from adaptery.errors import AdapteryError, EngineBusyError
from adaptery.files import write_atomic
from adaptery_network.agent.base_models import BaseModel
from adaptery_network.agent.engine_client import EngineClient, EngineLoad
from adaptery_network.agent.processes import ChildProcess, clean_environment, end_marked
from adaptery_network.agent.tasks import end_tasks

logger = logging.getLogger(__name__)

EngineState = Literal["stopped", "starting", "ready", "failed"]

#: Marks an engine's process as that of one base model of one agent folder.
ENGINE_MARK = "ADAPTERY_ENGINE"


@dataclass(frozen=True, kw_only=True)
class EngineTiming:
    """How patient the supervisor is; tests are less so."""

    #: Loading weights from a cold disk on a busy machine.
    start_seconds: float = 180.0
    ready_poll_seconds: float = 0.1
    health_seconds: float = 2.0
    #: So many silent health checks in a row mean that the engine hangs.
    silent_checks: int = 15
    backoff_first_seconds: float = 0.5
    backoff_last_seconds: float = 30.0
    grace_seconds: float = 5.0


class Engine:
    """The engine of one base model."""

    def __init__(
        self,
        model: BaseModel,
        *,
        folder: Path,
        command: Sequence[str],
        threads: int,
        timing: EngineTiming | None = None,
    ) -> None:
        self.model = model
        self._folder = folder
        self._command = tuple(command)
        self._threads = threads
        self._timing = timing or EngineTiming()
        self._marks = {ENGINE_MARK: str(folder)}
        self._task: asyncio.Task[None] | None = None
        self._client: EngineClient | None = None
        self._ready = asyncio.Event()
        self.state: EngineState = "stopped"
        #: Counts the starts; what an adapter was loaded into is gone when it grows.
        self.generation = 0
        #: What the engine last said about itself.
        self.load = EngineLoad()

    def start(self) -> None:
        """Begin to keep the engine running; a second call changes nothing."""
        if self._task is None:
            self.state = "starting"
            self._task = asyncio.create_task(self._keep_running(), name="engine")

    async def client(self, timeout_seconds: float = 60.0) -> EngineClient:
        """Return a client of the running engine, starting it if nobody has.

        Raises:
            EngineBusyError: it is not ready within the timeout.
        """
        self.start()
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._ready.wait()
        except TimeoutError:
            raise EngineBusyError(
                "The engine is starting.", retry_after_seconds=self._timing.health_seconds
            ) from None
        if self._client is None:
            raise EngineBusyError("The engine is being restarted.")
        return self._client

    async def doubt(self) -> None:
        """Look at once whether the engine answers; until it does, nobody gets its client."""
        if self._client is not None and not await self._check(self._client):
            self._ready.clear()

    async def stop(self) -> None:
        """End the engine and stop keeping it."""
        task, self._task = self._task, None
        await end_tasks(task)
        self.state = "stopped"

    async def _keep_running(self) -> None:
        timing = self._timing
        ended = await asyncio.to_thread(end_marked, self._marks, timing.grace_seconds)
        if ended:
            logger.warning("engine of an earlier life ended processes=%d", ended)
        backoff_seconds = timing.backoff_first_seconds
        while True:
            was_ready = await self._live_once()
            if was_ready:
                backoff_seconds = timing.backoff_first_seconds
            self.state = "failed"
            logger.warning("engine of %s restarts in %.1f s", self.model.name, backoff_seconds)
            await asyncio.sleep(backoff_seconds)
            backoff_seconds = min(backoff_seconds * 2, timing.backoff_last_seconds)

    async def _live_once(self) -> bool:
        """Run one engine process from start to end; say whether it was ever ready."""
        self.state = "starting"
        token = secrets.token_urlsafe(32)
        ready_file = self._folder / "ready.json"
        ready_file.unlink(missing_ok=True)
        write_atomic(self._folder / "token", token.encode(), mode=0o600)
        try:
            child = await self._start_process(ready_file)
        except OSError:
            logger.exception("engine cannot be started")
            return False
        try:
            client = await self._open_client(child, ready_file, token)
            if client is None:
                return False
            self._go_ready(client)
            await self._watch(child, client)
            return True
        finally:
            await self._go_down()
            code = await child.stop(self._timing.grace_seconds)
            logger.info("engine of %s ended code=%s", self.model.name, code)

    async def _start_process(self, ready_file: Path) -> ChildProcess:
        words = ("--model", str(self.model.folder), "--token-file", str(self._folder / "token"))
        return await ChildProcess.start(
            (
                *self._command,
                *words,
                "--ready-file",
                str(ready_file),
                "--threads",
                str(self._threads),
            ),
            cwd=self._folder,
            environment=clean_environment(Path.home(), self._threads, self._marks),
            log=self._folder / "engine.log",
        )

    async def _open_client(
        self, child: ChildProcess, ready_file: Path, token: str
    ) -> EngineClient | None:
        deadline = asyncio.get_running_loop().time() + self._timing.start_seconds
        while asyncio.get_running_loop().time() < deadline and child.exit_code is None:
            if (port := _read_port(ready_file, child.pid)) is not None:
                return EngineClient(port, token)
            await asyncio.sleep(self._timing.ready_poll_seconds)
        logger.error("engine of %s did not get ready code=%s", self.model.name, child.exit_code)
        return None

    def _go_ready(self, client: EngineClient) -> None:
        self._client = client
        self.generation += 1
        self.state = "ready"
        self._ready.set()
        logger.info("engine of %s ready start=%d", self.model.name, self.generation)

    async def _go_down(self) -> None:
        self._ready.clear()
        self.load = EngineLoad()
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _watch(self, child: ChildProcess, client: EngineClient) -> None:
        silent = 0
        ended = asyncio.create_task(child.wait())
        try:
            while silent < self._timing.silent_checks:
                done, _ = await asyncio.wait({ended}, timeout=self._timing.health_seconds)
                if done:
                    return
                if await self._check(client):
                    silent = 0
                    self._ready.set()
                else:
                    silent += 1
            logger.error("engine of %s hangs and is ended", self.model.name)
        finally:
            ended.cancel()

    async def _check(self, client: EngineClient) -> bool:
        try:
            self.load = await client.load()
        except AdapteryError:
            return False
        return True


def _read_port(ready_file: Path, pid: int) -> int | None:
    """Return the port in a ready file written by this process, None while there is none."""
    try:
        ready = json.loads(ready_file.read_text())
        return int(ready["port"]) if ready["pid"] == pid else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
