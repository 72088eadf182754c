"""Keeps the processes of a single-machine deployment alive: broker, service and local agent.

JupyterHub looks after a managed service only every 30 s. The managed command is therefore this thin
parent, which starts each child, brings a dead one back and ends all of them with itself. It knows
nothing of what the children do, and hands the Hub's token to the one that calls the Hub, only.

Invariants:
1. A child that dies is started again within `MAX_BACKOFF_SECONDS`.
2. No child outlives the supervisor: on SIGTERM and SIGINT each is asked, then killed with its
   group; if the supervisor itself is killed, the kernel tells the children (Linux).
   Nor does the supervisor outlive the Hub: it takes the end of its parent for a SIGTERM.
3. Children are stopped in the reverse order of their start, so that an agent can still report.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adaptery_hub.orphans import end_with_parent, wait_for_parent_to_end

logger = logging.getLogger("adaptery.supervisor")

#: Longest wait before a dead child is started again, in seconds.
MAX_BACKOFF_SECONDS = 3.0
#: First wait; doubled at each death in a row.
FIRST_BACKOFF_SECONDS = 0.25
#: A child that lived this long has its back-off forgotten, in seconds.
HEALTHY_AFTER_SECONDS = 30.0
#: How long a child may take to end by itself, in seconds.
STOP_GRACE_SECONDS = 20.0

#: Variables of the Hub that its services inherit; `JPY_API_TOKEN` is the API token by its old name.
_HUB_PREFIXES = ("JUPYTERHUB_", "JPY_")


@dataclass(frozen=True)
class ChildSpec:
    """What to run and under which name it appears in the log.

    Attributes:
        name: word for the log.
        command: program and arguments; nothing secret, since every user can list processes.
        environment: variables on top of the supervisor's own.
        calls_hub: whether it gets the service's variables of the Hub, its API token among them.
        leftovers: files that it does not remove when it ends.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    calls_hub: bool = False
    leftovers: Sequence[Path] = ()


class Child:
    """One process that is brought back when it dies."""

    def __init__(self, spec: ChildSpec) -> None:
        self._spec = spec
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the process and the loop that watches it."""
        self._task = asyncio.create_task(self._keep_alive())

    async def stop(self) -> None:
        """End the process: ask first, kill its whole group after the grace."""
        self._stopping.set()
        process = self._process
        if process is not None and process.returncode is None:
            _signal(process, signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_GRACE_SECONDS):
                    await process.wait()
            except TimeoutError:
                logger.warning("%s did not end in time; killed", self._spec.name)
                _signal(process, signal.SIGKILL)
        if self._task is not None:
            await self._task

    async def _keep_alive(self) -> None:
        backoff = FIRST_BACKOFF_SECONDS
        while not self._stopping.is_set():
            started = time.monotonic()
            returncode = await self._run_once()
            if self._stopping.is_set():
                return
            if time.monotonic() - started > HEALTHY_AFTER_SECONDS:
                backoff = FIRST_BACKOFF_SECONDS
            logger.warning(
                "%s ended with status %s; starting it again in %.2f s",
                self._spec.name,
                returncode,
                backoff,
            )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(backoff):
                    await self._stopping.wait()
            backoff = min(backoff * 2, MAX_BACKOFF_SECONDS)

    async def _run_once(self) -> int | None:
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._spec.command,
                env=_environment(self._spec),
                start_new_session=True,
                preexec_fn=end_with_parent,
            )
        except OSError as error:
            logger.error("%s cannot be started: %s", self._spec.name, error.strerror)
            return None
        logger.info("%s runs as process %s", self._spec.name, self._process.pid)
        if self._stopping.is_set():  # stop() came while the process was being made
            _signal(self._process, signal.SIGTERM)
        returncode = await self._process.wait()
        for path in self._spec.leftovers:
            with contextlib.suppress(OSError):  # gone, or another's
                path.unlink()
        return returncode


async def supervise(specs: Sequence[ChildSpec]) -> None:
    """Run the children until SIGTERM, SIGINT or the parent's end; end them in reverse order."""
    stop = asyncio.Event()
    orphaned = asyncio.create_task(wait_for_parent_to_end())
    orphaned.add_done_callback(lambda _: stop.set())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    children = [Child(spec) for spec in specs]
    for child in children:
        child.start()
    await stop.wait()
    if not orphaned.cancel():
        logger.warning("the Hub is gone; everything ends")
    for child in reversed(children):
        await child.stop()


def _environment(spec: ChildSpec) -> dict[str, str]:
    """Return what a child inherits; only who calls the Hub gets what the Hub handed to us."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if spec.calls_hub or not name.startswith(_HUB_PREFIXES)
    }
    return {**inherited, **spec.environment}


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Ask a child alone to end, but kill a child with all its group."""
    with contextlib.suppress(ProcessLookupError):
        if number is signal.SIGKILL:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
