"""Child processes of the agent: started in their own group, stopped with grace, found again.

Not here: what a process is for. Invariants:
- a child gets a clean environment: what we list and nothing of the agent's own;
- its group never outlives it: whatever the leader leaves behind is killed;
- an orphan of an earlier life is recognised by the marks in its environment, never by its pid
  alone (pids are used again), and each signal checks the start time of the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

#: What a child may inherit: where programs and devices are, nothing that names a person or a key.
PASSED_VARIABLES = (
    "PATH",
    "LANG",
    "LD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES",
    "VIRTUAL_ENV",
    "HF_HOME",
    "HF_HUB_CACHE",
    "XDG_CACHE_HOME",
)

_LOG_MODE = 0o600


def clean_environment(home: Path, threads: int, extra: Mapping[str, str]) -> dict[str, str]:
    """Return the whole environment of a child."""
    passed = {name: os.environ[name] for name in PASSED_VARIABLES if name in os.environ}
    return {
        "LANG": "C.UTF-8",
        **passed,
        "HOME": str(home),
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": str(threads),
        # Spinning OpenMP threads cost a factor of ten on a busy machine.
        "OMP_WAIT_POLICY": "passive",
        "TOKENIZERS_PARALLELISM": "false",
        # Nothing downloads at run time; a model is prepared before it is used.
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        **extra,
    }


class ChildProcess:
    """One child, leader of its own session and process group."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(
        cls, command: Sequence[str], *, cwd: Path, environment: Mapping[str, str], log: Path
    ) -> ChildProcess:
        """Start a command whose output goes to a private log file.

        Raises:
            OSError: the command cannot be started.
        """
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _LOG_MODE)
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                cwd=cwd,
                env=dict(environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,
            )
        finally:
            os.close(descriptor)
        return cls(process)

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its group."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        return self._process.returncode

    async def wait(self) -> int:
        """Wait for the leader to end, then end what it left in its group."""
        code = await self._process.wait()
        self._signal_group(signal.SIGKILL)
        return code

    async def stop(self, grace_seconds: float) -> int:
        """Ask the leader to end (SIGTERM); after the grace kill the whole group.

        Only the leader is asked: it alone knows how to save a checkpoint, and helpers that die
        under it would make it fail instead.
        """
        if self.exit_code is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            with contextlib.suppress(TimeoutError):
                # Not wait_for: before Python 3.12 it can swallow a cancellation.
                async with asyncio.timeout(grace_seconds):
                    return await self.wait()
        return await self.kill()

    async def kill(self) -> int:
        """End the whole group at once."""
        self._signal_group(signal.SIGKILL)
        return await self.wait()

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


def find_marked(marks: Mapping[str, str]) -> list[psutil.Process]:
    """Return the live processes whose environment carries all the marks."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except (psutil.Error, OSError):
            continue  # gone, or another user's: not ours to end
        if all(environment.get(name) == value for name, value in marks.items()):
            found.append(process)
    return found


def end_marked(marks: Mapping[str, str], grace_seconds: float) -> int:
    """End every process that carries the marks; return how many there were. Blocks.

    The eldest is asked first (it may save a checkpoint); what is left after the grace is killed.
    """
    orphans = sorted(find_marked(marks), key=lambda process: process.create_time())
    if not orphans:
        return 0
    with contextlib.suppress(psutil.NoSuchProcess):
        orphans[0].terminate()
        orphans[0].resume()  # it may have been frozen when its agent died
    psutil.wait_procs(orphans[:1], timeout=grace_seconds)
    # Looked for again: an orphan may have started helpers while it was asked to end.
    left = find_marked(marks)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=grace_seconds)
    return len(orphans)
