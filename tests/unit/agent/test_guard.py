"""Workers under their guard: they outlive the agent, and nothing of them outlives the guard."""

import os
import signal
import sys
from dataclasses import replace

import psutil
import pytest

from adaptery_network.agent.folders import AttemptRecord
from adaptery_network.agent.guard import boot_seconds, renew
from adaptery_network.agent.guarded import Confinement, GuardedProcess, read_exit
from adaptery_network.agent.processes import clean_environment
from adaptery_network.agent.worker import worker_marks
from support.agent_side import program
from support.agent_side.orders import SESSION_KEY
from support.agent_side.specs import make_spec
from support.agent_side.workers import workers_of
from support.waiting import eventually

CONFINED = Confinement(file_bytes=2**30, memory_bytes=2**32, grace_seconds=5)
#: Starts a child that hides in a session of its own, without its environment, and says so.
HIDER = """
import pathlib, subprocess, sys, time
hidden = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"],
                          start_new_session=True, env={})
pathlib.Path("hidden").write_text(str(hidden.pid))
time.sleep(600)
"""
GREEDY = """
import pathlib, resource, sys
try:
    resource.setrlimit(resource.RLIMIT_DATA, (-1, -1))
except (ValueError, OSError):
    pathlib.Path("refused").touch()
try:
    hoard = b"x" * (1 << 30)
except MemoryError:
    pathlib.Path("hungry").touch()
with open("big", "wb") as stream:
    for _ in range(200):
        stream.write(b"x" * (1 << 20))
"""


async def leave(bench, spec, command=None, confinement=CONFINED, lease_seconds=60.0):
    """Do what an agent does before it is killed: record, folder, guarded worker."""
    folder = bench.folders.attempt(spec.attempt)
    record = AttemptRecord(
        attempt=spec.attempt,
        job=spec.job,
        fencing_token=spec.fencing_token,
        session_id=spec.attempt,
        session_key=SESSION_KEY,
        lease_seconds=60,
    )
    folder.create(record, spec.model_dump_json(exclude_none=True).encode())
    renew(folder.lease, boot_seconds() + lease_seconds)
    base = bench.folders.models / "tiny"
    usual = (*program("worker"), "--spec", "job.json", "--base-model", str(base))
    marks = worker_marks(spec.attempt, spec.fencing_token)
    environment = clean_environment(folder.work, 1, marks)
    process = await GuardedProcess.start(command or usual, folder, confinement, environment)
    return folder, process


def python(code):
    return (sys.executable, "-c", code)


def stands(attempt):
    return [p.status() for p in workers_of(attempt)] == [psutil.STATUS_STOPPED]


async def test_a_worker_that_an_agent_left_is_adopted_and_tells_the_rest(bench):
    await bench.behave("gated")
    spec = make_spec()
    desk = bench.desk(spec)
    folder, process = await leave(bench, spec)
    await eventually((folder.work / "ticks").exists)
    life = bench.new_slots()
    await life.recover()
    assert life.attempts == (spec.attempt,)
    assert life.free == 0
    await eventually(lambda: "metrics" in desk.kinds())
    (bench.folders.models / "tiny" / "go").touch()
    await eventually(lambda: desk.finish and not bench.left())
    assert desk.finish["outcome"] == "completed"
    assert sorted(desk.events) == list(range(1, len(desk.events) + 1))
    await process.wait()


async def test_an_adopted_worker_whose_job_went_elsewhere_is_ended(bench):
    await bench.behave("hang")
    spec = make_spec()
    desk = bench.desk(spec)
    folder, process = await leave(bench, spec)
    await eventually((folder.work / "ticks").exists)
    desk.fencing_token = 2
    await bench.new_slots().recover()
    await eventually(lambda: not workers_of(spec.attempt) and not bench.left())
    assert desk.finish is None
    await process.wait()


async def test_a_worker_without_an_agent_stands_still_when_its_lease_is_over(bench):
    await bench.behave("hang")
    spec = make_spec()
    folder, process = await leave(bench, spec, lease_seconds=-1)
    await eventually(lambda: stands(spec.attempt))
    renew(folder.lease, boot_seconds() + 60)
    await eventually((folder.work / "ticks").exists)
    assert await process.stop(5) == 75


async def test_a_worker_that_nobody_comes_for_ends_by_itself_and_saves(bench):
    await bench.behave("hang")
    spec = make_spec()
    folder, process = await leave(bench, spec, confinement=replace(CONFINED, abandon_seconds=0))
    await eventually((folder.work / "ticks").exists)
    renew(folder.lease, boot_seconds() - 1)
    assert await process.wait() == 75
    assert read_exit(folder) == 75
    assert (folder.work / "checkpoints" / "step-3").is_dir()


async def test_what_ended_while_there_was_no_agent_is_judged_by_its_exit_code(bench):
    await bench.behave("fail")
    spec = make_spec()
    desk = bench.desk(spec)
    _, process = await leave(bench, spec)
    await process.wait()
    await bench.new_slots().recover()
    await eventually(lambda: desk.finish)
    assert (desk.finish["outcome"], desk.finish["reason"]) == ("failed", "Not enough memory.")


@pytest.mark.parametrize("how", ["stop", "kill", "by itself"])
async def test_a_process_that_hides_ends_with_its_worker(bench, how):
    spec = make_spec()
    folder, process = await leave(bench, spec, python(HIDER))
    await eventually(lambda: (folder.work / "hidden").exists() and _hidden(folder))
    hidden = psutil.Process(_hidden(folder))
    if how == "by itself":
        (worker,) = workers_of(spec.attempt)
        worker.kill()
        await process.wait()
    else:
        await (process.stop(5) if how == "stop" else process.kill())
    await eventually(lambda: not hidden.is_running() or hidden.status() == psutil.STATUS_ZOMBIE)


def _hidden(folder):
    return int((folder.work / "hidden").read_text() or 0)


async def test_a_killed_guard_takes_its_worker_along(bench):
    await bench.behave("deaf")
    spec = make_spec()
    folder, process = await leave(bench, spec)
    await eventually((folder.work / "ticks").exists)
    os.kill(process.pid, signal.SIGKILL)
    assert await process.wait() == -signal.SIGKILL
    await eventually(lambda: not workers_of(spec.attempt))


async def test_a_worker_cannot_lift_its_limits_and_its_files_are_its_own(bench):
    spec = make_spec()
    tight = replace(CONFINED, memory_bytes=2**28, file_bytes=1)
    folder, process = await leave(bench, spec, python(GREEDY), tight)
    assert await process.wait() != 0
    assert (folder.work / "hungry").exists()
    assert (folder.work / "refused").exists() or os.geteuid() == 0
    assert (folder.work / "big").stat().st_size == 64 * 1024**2
    assert (folder.work / "big").stat().st_mode & 0o077 == 0
