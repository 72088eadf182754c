"""Attempts with a real worker process and a scripted service, through the slots of an agent."""

import os
import signal
import sys
from dataclasses import replace

import psutil
import pytest

from adaptery.errors import (
    LeaseLostError,
    NoAgentError,
    NotFoundError,
    RefusedError,
    SpecError,
    UnavailableError,
)
from adaptery_network.agent.folders import AttemptRecord
from adaptery_network.agent.processes import ChildProcess, clean_environment
from adaptery_network.agent.reporter import PENDING_LIMIT
from adaptery_network.agent.worker import worker_marks
from support.agent_side import program
from support.agent_side.orders import SESSION_KEY, cancel, make_grant, order, start_body
from support.agent_side.specs import make_spec
from support.agent_side.workers import workers_of
from support.waiting import eventually


def workers(spec):
    return workers_of(spec.attempt)


def has_ticked(bench, spec, more_than=0):
    path = bench.folders.attempt(spec.attempt).work / "ticks"

    def ticked():
        text = path.read_text() if path.exists() else ""
        return int(text or 0) > more_than

    return ticked


def ticks(bench, spec):
    text = (bench.folders.attempt(spec.attempt).work / "ticks").read_text()
    return int(text or 0)


async def test_an_attempt_goes_from_order_to_adapter(bench):
    await bench.behave("finish")
    spec = make_spec()
    desk = bench.desk(spec)
    assert await order(bench.slots, spec) == {"accepted": True}
    await eventually(lambda: desk.finish and not bench.left())
    assert desk.finish["outcome"] == "completed"
    assert desk.finish["fencing_token"] == 1
    adapter = desk.finish["adapter"]
    assert {entry["path"] for entry in adapter["files"]} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    assert adapter["rank"] == 2
    assert desk.kinds()[0] == "state"
    assert desk.kinds()[-1] == "summary"
    assert sorted(desk.events) == list(range(1, len(desk.events) + 1))
    folders = [commit["folder"] for commit in desk.commits]
    assert folders[-1] == "adapter"
    assert bench.cache.find(adapter["weight_digest"]), "it serves its first question from disk"
    await eventually(lambda: bench.slots.free == 1)


#: Says more in a moment than anybody takes.
TALKATIVE = """
import json
with open("events.jsonl", "w") as stream:
    for seq in range(1, 8001):
        event = {"seq": seq, "at": "2026-01-01T00:00:00Z", "kind": "log", "message": "x" * 80}
        stream.write(json.dumps(event) + chr(10))
"""


async def test_a_worker_gone_wild_is_heard_as_fast_as_the_service_takes_it(bench):
    await bench.behave("finish")
    bench.worker = replace(bench.worker, command=(sys.executable, "-c", TALKATIVE))
    bench.slots = bench.new_slots()
    spec = make_spec()
    desk = bench.desk(spec)
    desk.away = UnavailableError()
    desk.away_from = {"report"}
    await order(bench.slots, spec)
    ((attempt, _),) = bench.slots._running.values()
    await eventually(lambda: not attempt._reporter.has_room)
    assert len(attempt._reporter._pending) < 2 * PENDING_LIMIT
    desk.away = None
    await eventually(lambda: desk.finish, timeout_seconds=60)
    assert sorted(desk.events) == list(range(1, 8001))


#: Hides what it writes where no path reaches.
DEEP = """
import os, time
for _ in range(3000):
    os.mkdir("deeper")
    os.chdir("deeper")
open("hidden", "w").close()
time.sleep(600)
"""


async def test_folders_without_end_fail_the_job_and_are_deleted(bench):
    await bench.behave("finish")
    bench.worker = replace(bench.worker, command=(sys.executable, "-c", DEEP))
    bench.slots = bench.new_slots()
    spec = make_spec()
    desk = bench.desk(spec)
    await order(bench.slots, spec)
    await eventually(lambda: desk.finish and not bench.left(), timeout_seconds=60)
    assert desk.finish["outcome"] == "failed"
    assert "folders in folders" in desk.finish["reason"]


async def test_a_committed_checkpoint_is_sent_while_the_worker_goes_on(bench):
    await bench.behave("hang")
    spec = make_spec()
    desk = bench.desk(spec)
    await order(bench.slots, spec)
    await eventually(lambda: desk.commits)
    assert desk.commits[0]["folder"] == "checkpoints/2"
    assert desk.commits[0]["metrics"]["loss"] == 0.5
    assert workers(spec)
    await cancel(bench.slots, spec)
    await eventually(lambda: desk.finish)
    assert desk.finish["outcome"] == "cancelled"
    assert not workers(spec)


async def test_the_service_can_cancel_in_its_answer_to_a_report(bench):
    await bench.behave("hang")
    spec = make_spec()
    desk = bench.desk(spec)
    await order(bench.slots, spec, lease_seconds=0.3)
    await eventually(lambda: desk.events)
    desk.cancel = True
    await eventually(lambda: desk.finish)
    assert desk.finish["outcome"] == "cancelled"


async def test_a_failure_is_told_in_the_words_of_the_worker(bench):
    await bench.behave("fail")
    spec = make_spec()
    desk = bench.desk(spec)
    await order(bench.slots, spec)
    await eventually(lambda: desk.finish)
    assert desk.finish["outcome"] == "failed"
    assert desk.finish["reason"] == "Not enough memory."
    assert desk.finish["remedy"] == "Less rank."
    assert desk.kinds()[-1] == "error"


async def test_a_worker_that_ends_without_a_word_fails_and_its_output_is_not_told(bench):
    await bench.behave("untold")
    spec = make_spec()
    desk = bench.desk(spec)
    await order(bench.slots, spec)
    await eventually(lambda: desk.finish)
    assert desk.finish["outcome"] == "failed"
    assert "exit code 3" in desk.finish["reason"]
    assert "a line for the log only" not in str((desk.finish, desk.events))


async def test_a_killed_worker_is_lost_and_the_next_attempt_resumes(bench):
    await bench.behave("crash")
    spec = make_spec()
    desk = bench.desk(spec)
    await order(bench.slots, spec)
    await eventually(lambda: desk.finish)
    assert desk.finish["outcome"] == "lost"
    assert "SIGKILL" in desk.finish["reason"]
    again = make_spec(
        job=spec.job,
        fencing_token=2,
        resume_from={"step": 2, "digest": "sha256:" + "0" * 64},
    )
    second = bench.desk(again)
    second.offered |= {"inputs/0/more": b"x"}
    for path, data in desk.received.items():
        second.offered["checkpoint/" + path.removeprefix("checkpoints/2/")] = bytes(data)
    await eventually(lambda: bench.slots.free == 1)
    await order(bench.slots, again)
    await eventually(lambda: second.finish)
    assert second.finish["outcome"] == "completed"
    assert second.events[1]["resumed_step"] == 2


async def test_a_lost_lease_ends_the_worker_at_once_and_nothing_more_is_said(bench):
    await bench.behave("deaf")
    spec = make_spec()
    desk = bench.desk(spec)
    await order(bench.slots, spec, lease_seconds=0.5)
    await eventually(has_ticked(bench, spec))
    assert len(workers(spec)) == 2
    desk.fencing_token = 2
    await eventually(lambda: not workers(spec) and not bench.left())
    assert desk.finish is None
    await eventually(lambda: bench.slots.free == 1)


async def test_a_worker_stands_still_when_its_lease_is_over_and_goes_on_when_it_is_renewed(bench):
    await bench.behave("gated")
    spec = make_spec()
    desk = bench.desk(spec)
    await order(bench.slots, spec, lease_seconds=0.4)
    await eventually(has_ticked(bench, spec))
    desk.away = UnavailableError()
    (worker,) = workers(spec)
    await eventually(lambda: worker.status() == psutil.STATUS_STOPPED)
    stood_at = ticks(bench, spec)
    desk.away = None
    await eventually(has_ticked(bench, spec, stood_at))
    (bench.folders.models / "tiny" / "go").touch()
    await eventually(lambda: desk.finish)
    assert desk.finish["outcome"] == "completed"


async def test_the_end_is_told_until_it_is_acknowledged(bench):
    await bench.behave("finish")
    spec = make_spec()
    desk = bench.desk(spec)
    desk.flaky = 20
    await order(bench.slots, spec)
    await eventually(lambda: desk.finish)
    assert desk.finish["outcome"] == "completed"


async def test_a_service_that_does_not_know_the_session_any_more_ends_the_attempt(bench):
    await bench.behave("hang")
    spec = make_spec()
    desk = bench.desk(spec)
    await order(bench.slots, spec, lease_seconds=0.3)
    await eventually(has_ticked(bench, spec))
    desk.away = RefusedError()
    await eventually(lambda: not workers(spec) and not bench.left())


@pytest.mark.parametrize("what", ["wall_seconds", "memory_bytes", "disk_bytes"])
async def test_a_worker_is_kept_within_its_limits(bench, what):
    await bench.behave("hang")
    limits = {"wall_seconds": 600, "memory_bytes": 2**40, "disk_bytes": 2**40, what: 1}
    spec = make_spec(limits=limits)
    desk = bench.desk(spec)
    await order(bench.slots, spec)
    await eventually(lambda: desk.finish)
    assert desk.finish["outcome"] == "failed"
    assert "limit of 1 " in desk.finish["reason"]
    assert "Choose" in desk.finish["remedy"]


async def test_a_draining_agent_hands_in_what_was_saved_and_takes_nothing_new(bench):
    await bench.behave("hang")
    spec = make_spec()
    desk = bench.desk(spec)
    await order(bench.slots, spec)
    await eventually(has_ticked(bench, spec))
    await bench.slots.drain(10)
    assert desk.finish["outcome"] == "lost"
    assert desk.commits[-1]["folder"] == "checkpoints/3", "saved on the way out"
    assert not workers(spec)
    with pytest.raises(NoAgentError):
        await order(bench.slots, make_spec())


async def test_a_drain_whose_time_is_over_leaves_the_attempt_to_the_next_start(bench):
    await bench.behave("hang")
    spec = make_spec()
    desk = bench.desk(spec)
    await order(bench.slots, spec)
    await eventually(has_ticked(bench, spec))
    desk.away = UnavailableError()
    await bench.slots.drain(0.5)
    assert not workers(spec)
    assert bench.left() == [spec.attempt]
    desk.away = None
    await bench.new_slots().recover()
    await eventually(lambda: desk.finish and not bench.left())
    assert desk.finish["outcome"] == "lost"
    assert "checkpoints/3" in [commit["folder"] for commit in desk.commits]


async def test_an_orphan_is_ended_and_reported_lost_with_its_checkpoint(bench):
    await bench.behave("hang")
    spec = make_spec()
    desk = bench.desk(spec)
    folder = bench.folders.attempt(spec.attempt)
    await leave_orphan(bench, spec, folder)
    life = bench.new_slots()
    await life.recover()
    assert not workers(spec)
    await eventually(lambda: desk.finish and not bench.left())
    assert desk.finish["outcome"] == "lost"
    assert desk.commits[-1]["folder"] == "checkpoints/3"
    assert "metrics" in desk.kinds()
    assert life.free == 1


async def leave_orphan(bench, spec, folder):
    """Do what an agent does before it is killed: the record, the folder, the process."""
    record = AttemptRecord(
        attempt=spec.attempt,
        job=spec.job,
        fencing_token=spec.fencing_token,
        session_id=spec.attempt,
        session_key=SESSION_KEY,
        lease_seconds=60,
    )
    folder.create(record, spec.model_dump_json(exclude_none=True).encode())
    base = bench.folders.models / "tiny"
    child = await ChildProcess.start(
        (*program("worker"), "--spec", "job.json", "--base-model", str(base)),
        cwd=folder.work,
        environment=clean_environment(
            folder.work, 1, worker_marks(spec.attempt, spec.fencing_token)
        ),
        log=folder.log,
    )
    await eventually(lambda: (folder.work / "ticks").exists() or child.exit_code is not None)
    return child


async def test_an_orphan_that_had_finished_hands_in_its_adapter(bench):
    await bench.behave("finish")
    spec = make_spec()
    desk = bench.desk(spec)
    folder = bench.folders.attempt(spec.attempt)
    child = await leave_orphan(bench, spec, folder)
    await child.wait()
    await bench.new_slots().recover()
    await eventually(lambda: desk.finish)
    assert desk.finish["outcome"] == "completed"
    assert desk.finish["adapter"]["rank"] == 2


async def test_a_worker_hands_in_nothing_through_a_link(bench, tmp_path):
    await bench.behave("finish")
    spec = make_spec()
    desk = bench.desk(spec)
    folder = bench.folders.attempt(spec.attempt)
    child = await leave_orphan(bench, spec, folder)
    await child.wait()
    folder.adapter.rename(tmp_path / "of-another")
    folder.adapter.symlink_to(tmp_path / "of-another")
    await bench.new_slots().recover()
    await eventually(lambda: desk.finish)
    assert desk.finish["outcome"] == "failed"
    assert "through a link" in desk.finish["reason"]
    assert "adapter" not in desk.finish


async def test_an_orphan_whose_lease_is_gone_is_ended_without_a_word(bench):
    await bench.behave("hang")
    spec = make_spec()
    desk = bench.desk(spec)
    await leave_orphan(bench, spec, bench.folders.attempt(spec.attempt))
    desk.fencing_token = 2
    await bench.new_slots().recover()
    assert not workers(spec)
    await eventually(lambda: not bench.left())
    assert desk.finish is None


async def test_the_same_order_twice_starts_one_worker(bench):
    await bench.behave("hang")
    spec = make_spec()
    desk = bench.desk(spec)
    await order(bench.slots, spec)
    assert await order(bench.slots, spec) == {"accepted": True}
    await eventually(has_ticked(bench, spec))
    assert len(workers(spec)) == 1
    with pytest.raises(NoAgentError):
        await order(bench.slots, make_spec())
    await bench.slots.drain(10)
    assert desk.finish


async def test_a_newer_attempt_of_the_job_replaces_the_older_one(bench):
    await bench.behave("hang")
    spec = make_spec()
    bench.desk(spec)
    await order(bench.slots, spec)
    await eventually(has_ticked(bench, spec))
    newer = make_spec(job=spec.job, fencing_token=2)
    bench.desk(newer)
    await order(bench.slots, newer)
    assert not workers(spec)
    assert bench.slots.attempts == (newer.attempt,)
    await eventually(has_ticked(bench, newer))
    with pytest.raises(LeaseLostError):
        await order(bench.slots, make_spec(job=spec.job, fencing_token=1))
    await bench.slots.drain(10)


async def test_orders_that_do_not_hold_are_refused(bench):
    await bench.behave("finish")
    spec = make_spec()
    with pytest.raises(RefusedError):
        async for _ in bench.slots.handle(make_grant(make_spec().job), start_body(spec)):
            pass
    for change in ({"surprise": 1}, {"lease_seconds": -1}, {"session": {"id": "x", "key": "y"}}):
        with pytest.raises(SpecError):
            async for _ in bench.slots.handle(make_grant(spec.job), start_body(spec) | change):
                pass
    unknown = make_spec(base_model={"name": "tiny", "weight_digest": "sha256:" + "e" * 64})
    with pytest.raises(NotFoundError):
        await order(bench.slots, unknown)
    with pytest.raises(NotFoundError):
        await cancel(bench.slots, spec)
    assert not bench.left()


async def test_a_worker_killed_from_outside_is_reported_lost(bench):
    await bench.behave("hang")
    spec = make_spec()
    desk = bench.desk(spec)
    await order(bench.slots, spec)
    await eventually(has_ticked(bench, spec))
    (worker,) = workers(spec)
    os.kill(worker.pid, signal.SIGKILL)
    await eventually(lambda: desk.finish)
    assert desk.finish["outcome"] == "lost"
    assert desk.commits[-1]["folder"] == "checkpoints/2"
