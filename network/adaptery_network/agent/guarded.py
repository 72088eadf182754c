"""The agent's side of a guard: starts one, finds one that an earlier life left, and asks it.

Not here: what the guard does by itself (`guard`), limits that are measured (`worker`).
Invariants:
- whether the guard is our child or was adopted, the rest of the agent cannot tell;
- when `wait` returns, everything that belonged to the worker is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from adaptery.errors import UnavailableError
from adaptery_network.agent import guard
from adaptery_network.agent.folders import AttemptFolder
from adaptery_network.agent.isolation import Account
from adaptery_network.agent.processes import ChildProcess, find_marked

_PROGRAM = str(Path(guard.__file__))
#: How a worker ended whose guard could not say: the kernel or somebody killed both.
_KILLED = -signal.SIGKILL


@dataclass(frozen=True, kw_only=True)
class Confinement:
    """What a worker may not go beyond, whatever it tries."""

    file_bytes: int
    memory_bytes: int
    grace_seconds: float
    #: After so long without a lease the guard ends the worker by itself.
    abandon_seconds: float = 3600.0
    #: Another account of the operating system than the agent's.
    account: Account | None = None
    network: bool = True

    def options(self) -> list[str]:
        """Return this as options of the guard."""
        words = [
            f"--file-bytes={self.file_bytes}",
            f"--memory-bytes={self.memory_bytes}",
            f"--grace-seconds={self.grace_seconds}",
            f"--abandon-seconds={self.abandon_seconds}",
        ]
        if self.account is not None:
            words += [f"--user={self.account.user}", f"--group={self.account.group}"]
        return words if self.network else [*words, "--no-network"]


class GuardedProcess:
    """A worker under its guard."""

    def __init__(
        self, leader: psutil.Process, folder: AttemptFolder, child: ChildProcess | None = None
    ) -> None:
        self._leader = leader
        self._folder = folder
        self._child = child
        #: None while it runs; negative when a signal ended it.
        self.exit_code: int | None = None

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        folder: AttemptFolder,
        confinement: Confinement,
        environment: Mapping[str, str],
    ) -> GuardedProcess:
        """Start a command under a guard, in the work folder; its lease has to be there.

        Raises:
            OSError: the guard cannot be started.
        """
        places = (str(folder.lease), str(folder.exit))
        child = await ChildProcess.start(
            # -I -S: nothing of the work folder or of the environment is imported.
            (sys.executable, "-I", "-S", _PROGRAM, *places, *confinement.options(), "--", *command),
            cwd=folder.work,
            environment=environment,
            log=folder.log,
        )
        try:
            return cls(psutil.Process(child.pid), folder, child)
        except psutil.NoSuchProcess:
            await child.wait()
            raise UnavailableError("The worker's guard ended at once.") from None

    @classmethod
    def find(cls, folder: AttemptFolder, marks: Mapping[str, str]) -> GuardedProcess | None:
        """Return what an earlier life of the agent started for an attempt, if its guard lives."""
        for process in find_marked(marks):
            with contextlib.suppress(psutil.Error):
                if _PROGRAM in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                    return cls(process, folder)
        return None

    @property
    def pid(self) -> int:
        """The process id of the guard, which is also the id of its group."""
        return self._leader.pid

    def age_seconds(self) -> float:
        """Return how long ago it was started."""
        return time.time() - self._leader.create_time()

    def memory_bytes(self) -> int:
        """Return the resident memory of the worker and all it started."""
        return sum(_resident_bytes(process) for process in self._family())

    async def wait(self) -> int:
        """Wait for the guard to end, then end what a killed one left, and return the exit code."""
        if self._child is not None:
            await self._child.wait()
        else:
            await _end_of(self._leader)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        self.exit_code = read_exit(self._folder)
        if self.exit_code is None:
            self.exit_code = _KILLED
        return self.exit_code

    async def stop(self, grace_seconds: float) -> int:
        """Ask the worker to end; after the grace kill it with all it started."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self._leader.terminate()
        with contextlib.suppress(TimeoutError):
            # Not wait_for: before Python 3.12 it can swallow a cancellation.
            async with asyncio.timeout(grace_seconds):
                return await self.wait()
        return await self.kill()

    async def kill(self) -> int:
        """End everything at once, also what hid in a session of its own."""
        family = self._family()
        for process in [self._leader, *family]:
            with contextlib.suppress(psutil.Error):
                process.kill()
        return await self.wait()

    def _family(self) -> list[psutil.Process]:
        try:
            return self._leader.children(recursive=True)
        except psutil.NoSuchProcess:
            return []


def read_exit(folder: AttemptFolder) -> int | None:
    """Return the exit code that a guard wrote down; None if it could not."""
    try:
        return int(folder.exit.read_text())
    except (OSError, ValueError):
        return None


async def _end_of(process: psutil.Process) -> None:
    """Wait for a process that may be nobody's child of ours."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    try:
        if process.is_running():  # still the same one
            loop.add_reader(descriptor, ended.set)
            await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _resident_bytes(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.Error:
        return 0
