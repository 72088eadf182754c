"""`examples/journey.py` ends with everything that it started, and not before it is told to."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

import psutil
import pytest

from local_hub import PORTS, REPOSITORY, free_ports
from support.waiting import eventually_sync

JOURNEY = REPOSITORY / "examples" / "journey.py"


def is_alive(process: psutil.Process) -> bool:
    """Whether it still runs; in a container without an init what ended stays as a zombie."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def demo(tmp_path: Path, tiny_base: Path, *options: str) -> Iterator[tuple[Popen[bytes], Path]]:
    """Run the demo with the tiny model; give its process and the file of what it prints."""
    printed = tmp_path / "printed"
    environment = {
        **os.environ,
        "ADAPTERY_BASE_MODEL": str(tiny_base),
        "ADAPTERY_PORT": str(free_ports(PORTS)),
    }
    command = [sys.executable, str(JOURNEY), "--state", str(tmp_path / "demo"), *options]
    with printed.open("wb") as out:
        process = Popen(command, env=environment, stdout=out, stderr=out)
    started: list[psutil.Process] = []
    try:
        eventually_sync(lambda: "best as guest" in printed.read_text(), timeout_seconds=180)
        started = psutil.Process(process.pid).children(recursive=True)
        assert started, "the Hub and its service"
        yield process, printed
        process.terminate()
        assert process.wait(90) == 128 + signal.SIGTERM
        assert not [process for process in started if is_alive(process)]
    finally:
        process.terminate()
        process.wait(90)
        for left in filter(is_alive, started):
            left.kill()
    assert "Traceback" not in printed.read_text()


@pytest.mark.slow
def test_sigterm_ends_the_demo_and_its_hub(tmp_path: Path, tiny_base: Path) -> None:
    models = tmp_path / "demo" / "models" / "kept"
    models.mkdir(parents=True)
    (tmp_path / "demo" / "jupyterhub.sqlite").write_text("of an earlier demo")
    with demo(tmp_path, tiny_base):
        assert models.exists(), "to convert takes a minute"


@pytest.mark.slow
def test_the_hub_outlives_a_journey_that_fails(tmp_path: Path, tiny_base: Path) -> None:
    with demo(tmp_path, tiny_base, "--steps", "1") as (process, printed):
        # A tiny model writes no notes.
        eventually_sync(
            lambda: "goes on without the journey" in printed.read_text(), timeout_seconds=250
        )
        assert "The journey failed: " in printed.read_text()
        assert process.poll() is None
