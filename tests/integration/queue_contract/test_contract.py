"""What holds for a job on every way from a queue to a machine and back."""

from __future__ import annotations

from typing import Any

import pytest

from adaptery.errors import LeaseLostError
from adaptery.schemas.jobs import JobCreate
from adaptery.states import JobState
from adaptery_hub.database.statements import queues
from adaptery_hub.queue.rules import LEASE_SECONDS
from support.queue_ways import Held, Way

pytestmark = pytest.mark.timeout(300)


async def submit(way: Way, name: str = "notes", **fields: Any) -> str:
    version = await way.hub.version("demo", name=f"set-{name}", **fields)
    wanted = JobCreate(name=name, dataset=version)
    return await way.hub.desk.submit(await way.hub.identity("demo"), wanted)


async def begun(way: Way) -> Held:
    job = await submit(way)
    assert (await way.hub.row(job))["state"] == JobState.QUEUED
    held = await way.begin()
    assert held is not None and held.job_id == job
    return held


async def state_of(way: Way, held: Held) -> JobState:
    return JobState((await way.hub.row(held.job_id))["state"])


def metrics(seq: int, step: int) -> dict[str, object]:
    told = {"kind": "metrics", "step": step, "epoch": 0.5, "loss": 1.25}
    return {"seq": seq, "at": "2026-01-02T03:04:05Z", **told}


async def test_a_job_is_offered_begun_reported_and_completed(way: Way) -> None:
    assert await way.offered() is None
    held = await begun(way)
    assert await state_of(way, held) is JobState.TRAINING
    assert await way.begin() is None
    answer = await way.say(held, "report", events=[metrics(1, 3), metrics(2, 4)])
    assert (answer["acked_seq"], answer["cancel"]) == (2, False)
    again = await way.say(held, "report", events=[metrics(2, 4)])
    assert again["acked_seq"] == 2
    assert (await way.hub.row(held.job_id))["step"] == 4
    await way.hub.stage_adapter(held)  # type: ignore[arg-type]
    await way.say(held, "finish", outcome="completed")
    assert await state_of(way, held) is JobState.COMPLETED
    assert await way.offered() is None


async def test_the_end_may_be_told_twice_and_no_other_end_after_it(way: Way) -> None:
    held = await begun(way)
    for _ in range(2):
        await way.say(held, "finish", outcome="failed", reason="The loss is no number.")
    row = await way.hub.row(held.job_id)
    assert (row["state"], row["reason"]) == (JobState.FAILED, "The loss is no number.")
    with pytest.raises(LeaseLostError):
        await way.say(held, "finish", outcome="cancelled")
    with pytest.raises(LeaseLostError):
        await way.say(held, "report", events=[])


async def test_a_job_cancelled_while_it_waits_is_never_begun(way: Way) -> None:
    job = await submit(way)
    assert await way.offered() == job
    await way.hub.queue.cancel(job)
    assert (await way.hub.row(job))["state"] == JobState.CANCELLED
    assert await way.begin() is None
    assert (await way.hub.row(job))["state"] == JobState.CANCELLED
    assert await way.offered() is None


async def test_a_job_cancelled_in_training_is_told_and_ends(way: Way) -> None:
    held = await begun(way)
    await way.hub.queue.cancel(held.job_id)
    assert await state_of(way, held) is JobState.TRAINING
    assert (await way.say(held, "report", events=[]))["cancel"] is True
    await way.say(held, "finish", outcome="cancelled")
    assert await state_of(way, held) is JobState.CANCELLED


async def test_a_lost_machine_gives_the_job_back_and_says_nothing_any_more(way: Way) -> None:
    held = await begun(way)
    way.hub.clock.forward(LEASE_SECONDS + 1)
    assert await way.hub.queue.reap() == [held.job_id]
    assert await state_of(way, held) is JobState.QUEUED
    with pytest.raises(LeaseLostError):
        await way.say(held, "report", events=[metrics(1, 3)])
    way.hub.clock.forward(60)
    second = await way.begin()
    assert second is not None and second.job_id == held.job_id
    assert second.fencing_token > held.fencing_token
    with pytest.raises(LeaseLostError):
        await way.say(held, "finish", outcome="completed")
    assert await state_of(way, second) is JobState.TRAINING


async def test_a_paused_queue_gives_nothing_out(way: Way) -> None:
    job = await submit(way)
    await way.hub.database.write(lambda c: _pause(way, c, "paused"))
    assert await way.begin() is None
    await way.hub.database.write(lambda c: _pause(way, c, "open"))
    held = await way.begin()
    assert held is not None and held.job_id == job


def _pause(way: Way, connection: Any, state: Any) -> None:
    row = queues.lock(connection, "training", way.hub.clock())
    queues.change(connection, row["id"], state, None, "us_admin", way.hub.clock())
