"""`examples/journey.py` ends with everything that it started, not only at Ctrl-C."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from local_hub import PORTS, REPOSITORY, free_ports
from support.waiting import eventually_sync

JOURNEY = REPOSITORY / "examples" / "journey.py"


def is_alive(process: psutil.Process) -> bool:
    """Whether it still runs; in a container without an init what ended stays as a zombie."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_sigterm_ends_the_demo_and_its_hub(tmp_path: Path, tiny_base: Path) -> None:
    printed = tmp_path / "printed"
    environment = {
        **os.environ,
        "ADAPTERY_BASE_MODEL": str(tiny_base),
        "ADAPTERY_PORT": str(free_ports(PORTS)),
    }
    with printed.open("wb") as out:
        demo = subprocess.Popen(
            [sys.executable, str(JOURNEY), "--state", str(tmp_path / "demo")],
            env=environment,
            stdout=out,
            stderr=out,
        )
    started: list[psutil.Process] = []
    try:
        eventually_sync(lambda: "best as guest" in printed.read_text(), timeout_seconds=180)
        started = psutil.Process(demo.pid).children(recursive=True)
        assert started, "the Hub and its service"
        demo.terminate()
        assert demo.wait(90) == 128 + signal.SIGTERM
        assert not [process for process in started if is_alive(process)]
    finally:
        demo.terminate()
        demo.wait(90)
        for process in filter(is_alive, started):
            process.kill()
    assert "Traceback" not in printed.read_text()
