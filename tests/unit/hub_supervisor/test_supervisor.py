"""The supervisor brings children back and leaves none behind. Real processes throughout."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import psutil

from adaptery_hub.supervisor import Child, ChildSpec
from support.waiting import eventually

PROGRAM = """
import os, sys, time
with open(sys.argv[1], "a") as file:
    file.write(f"{os.getpid()}\\n")
time.sleep(600)
"""


def pids(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().splitlines()] if path.exists() else []


async def test_a_killed_child_is_back_and_a_stopped_one_is_gone(tmp_path: Path) -> None:
    log = tmp_path / "pids"
    child = Child(ChildSpec("sleeper", [sys.executable, "-c", PROGRAM, str(log)], {}))
    child.start()
    await eventually(lambda: len(pids(log)) == 1)
    os.kill(pids(log)[0], signal.SIGKILL)
    await eventually(lambda: len(pids(log)) == 2, timeout_seconds=5)
    await child.stop()
    assert not psutil.pid_exists(pids(log)[-1])


async def test_what_a_child_leaves_is_removed(tmp_path: Path) -> None:
    log, left = tmp_path / "pids", tmp_path / "left.sock"
    left.touch()
    command = [sys.executable, "-c", PROGRAM, str(log)]
    child = Child(ChildSpec("sleeper", command, {}, leftovers=(left, tmp_path / "nothing")))
    child.start()
    await eventually(lambda: len(pids(log)) == 1)
    await child.stop()
    assert not left.exists()


async def test_children_die_with_a_killed_supervisor(tmp_path: Path) -> None:
    log = tmp_path / "pids"
    parent = f"""
import asyncio, sys
from adaptery_hub.supervisor import ChildSpec, supervise
asyncio.run(supervise([ChildSpec("s", [sys.executable, "-c", {PROGRAM!r}, {str(log)!r}], {{}})]))
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", parent)
    await eventually(lambda: len(pids(log)) == 1)
    process.kill()
    await process.wait()
    child = pids(log)[0]
    await eventually(lambda: not runs(child))


async def test_the_supervisor_and_its_children_end_with_a_killed_hub(tmp_path: Path) -> None:
    log = tmp_path / "pids"
    supervisor = f"""
import asyncio, os
from adaptery_hub.supervisor import ChildSpec, supervise
open({str(log)!r}, "w").write(f"{{os.getpid()}}\\n")
sleeper = [{sys.executable!r}, "-c", {PROGRAM!r}, {str(log)!r}]
asyncio.run(supervise([ChildSpec("sleeper", sleeper, {{}})]))
"""
    hub = f"import subprocess; subprocess.run([{sys.executable!r}, '-c', {supervisor!r}])"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", hub)
    await eventually(lambda: len(pids(log)) == 2)
    process.kill()
    await process.wait()
    await eventually(lambda: not any(map(runs, pids(log))))


def runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
