"""Steps in processes of their own: what crosses, and what a step can do to the service."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from adaptery.errors import InternalError, RecordError, TooLargeError
from adaptery_hub.operations import Cancelled, Progress
from adaptery_hub.processes import Processes
from support import steps
from support.waiting import eventually_sync

MEBIBYTE = 2**20


@pytest.fixture
def processes() -> Processes:
    return Processes(1024 * MEBIBYTE)


@pytest.fixture
async def progress() -> Progress:
    return Progress(asyncio.get_running_loop())


async def test_a_step_reports_and_returns(processes: Processes, progress: Progress) -> None:
    assert await asyncio.to_thread(processes.run, steps.add, progress, 2, 3) == 5
    assert (progress.done, progress.total) == (1, 2)


async def test_errors_cross_whole(processes: Processes, progress: Progress) -> None:
    with pytest.raises(RecordError) as caught:
        await asyncio.to_thread(processes.run, steps.refuse, progress)
    assert caught.value.errors[0].where == "record 3, output"


async def test_no_text_of_an_unexpected_error_crosses(
    processes: Processes, progress: Progress, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InternalError) as caught:
        await asyncio.to_thread(processes.run, steps.fail, progress)
    assert "patient" not in str(caught.value)
    assert "patient" not in capfd.readouterr().err


async def test_a_step_that_dies_is_told(processes: Processes, progress: Progress) -> None:
    with pytest.raises(InternalError, match="ended before"):
        await asyncio.to_thread(processes.run, steps.die, progress)


async def test_a_step_that_takes_too_much_fails_alone(
    processes: Processes, progress: Progress
) -> None:
    with pytest.raises(TooLargeError, match="1024 MiB"):
        await asyncio.to_thread(processes.run, steps.swallow, progress, 2048 * MEBIBYTE)


async def test_cancelling_kills_it(
    processes: Processes, progress: Progress, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"
    running = asyncio.create_task(
        asyncio.to_thread(processes.run, steps.sleep_for_ever, progress, pid_file)
    )
    await progress.changed.wait()
    pid = int(pid_file.read_text())
    progress.cancel()
    with pytest.raises(Cancelled):
        await running
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


_SERVICE = """
import asyncio, sys, threading
from pathlib import Path
from support import steps
from adaptery_hub.operations import Progress
from adaptery_hub.processes import Processes

progress = Progress(asyncio.new_event_loop())
Processes(2**30).run(steps.sleep_for_ever, progress, Path(sys.argv[1]))
"""


def test_it_ends_with_the_service(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    service = subprocess.Popen(
        [sys.executable, "-c", _SERVICE, str(pid_file)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    try:
        eventually_sync(lambda: pid_file.exists() and pid_file.read_text() != "")
        pid = int(pid_file.read_text())
        service.kill()
        service.wait()
        eventually_sync(lambda: not Path(f"/proc/{pid}").exists())
    finally:
        service.kill()
        service.wait()
