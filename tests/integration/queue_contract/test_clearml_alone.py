"""What holds for jobs that go through a ClearML: a dead, slow or lying one, and who reads along."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import timedelta
from typing import Any

import pytest

from adaptery import base64url
from adaptery.errors import LeaseLostError, NotAuthenticatedError, SpecError
from adaptery.schemas.jobs import JobCreate
from adaptery.schemas.worker import TicketUse
from adaptery.sealed import open_ticket
from adaptery.states import JobState
from adaptery_hub.clearml.carrier import AHEAD, LOOK_SECONDS, PAUSES
from adaptery_hub.clearml.links import remaining
from adaptery_hub.clearml.workers import SESSION_SECONDS
from adaptery_hub.database import tables
from adaptery_hub.database.statements import clearml_tasks, jobs
from adaptery_hub.queue import QueueRules, RuleBook
from support.clearml_double import ClearmlDouble
from support.clearml_double.server import Fault
from support.hub_tables import WEIGHTS
from support.published import KEY
from support.queue_ways import CLEARML_QUEUE, WORKER_KEY, ClearmlWay

pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]

FAULTS: tuple[Fault, ...] = ("503", "html", "nonsense", "reset", "hang")
#: A round and what its child needs to begin, on a busy machine.
GIVE_UP_SECONDS = 60


async def submit(way: ClearmlWay, name: str = "notes", owner: str = "demo", **fields: Any) -> str:
    version = await way.hub.version(owner, name=f"set-{name}", **fields)
    identity = await way.hub.identity(owner)
    return await way.hub.desk.submit(identity, JobCreate(name=name, dataset=version))


async def rows(way: ClearmlWay) -> list[Any]:
    return await way.hub.database.read(clearml_tasks.open_tasks)


def tasks_of(double: ClearmlDouble) -> list[Any]:
    return list(double.tasks.rows.values())


@pytest.mark.parametrize("fault", ["503", "html", "nonsense", "reset"])
async def test_an_ill_clearml_makes_jobs_wait_and_nothing_else(
    clearml: ClearmlWay, double: ClearmlDouble, fault: Fault
) -> None:
    job = await submit(clearml)
    double.fault = fault
    waits = [await clearml.carrier.step() for _ in range(3)]
    assert waits[-1] > 5 and len(await rows(clearml)) == 1
    row = await clearml.hub.row(job)
    assert row["state"] == JobState.QUEUED and row["reason"].startswith("waits for ClearML: ")
    double.fault = None
    held = await clearml.begin()
    assert held is not None and held.job_id == job
    double.fault = fault  # and training goes on without it
    clearml.hub.clock.forward(LOOK_SECONDS + 1)
    await clearml.carrier.step()
    assert (await clearml.say(held, "report", events=[]))["cancel"] is False
    await clearml.hub.stage_adapter(held)  # type: ignore[arg-type]
    await clearml.say(held, "finish", outcome="completed")
    await clearml.carrier.step()
    assert (await clearml.hub.row(job))["state"] == JobState.COMPLETED


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_the_sdk_gives_up_in_time_wherever_clearml_fails(
    by_sdk: ClearmlWay, double: ClearmlDouble
) -> None:
    job = await submit(by_sdk)
    for fault in FAULTS:
        for endpoint in (None, "tasks.create"):  # from the login on; halfway
            double.fault, double.fault_at = fault, endpoint
            began = time.monotonic()
            await by_sdk.carrier.step()
            assert time.monotonic() - began < GIVE_UP_SECONDS, (fault, endpoint)
            assert by_sdk.carrier._away, (fault, endpoint)
            row = await by_sdk.hub.row(job)
            assert row["state"] == JobState.QUEUED, (fault, endpoint)
            assert row["reason"].startswith("waits for ClearML: "), (fault, endpoint)
            double.fault = None
            double.held.set()
            double.held.clear()
    held = await by_sdk.begin()
    assert held is not None and held.job_id == job
    alive = [task for task in tasks_of(double) if task["status"] == "in_progress"]
    assert len(alive) == 1


async def test_a_clearml_that_lies_about_a_running_job_changes_nothing(
    clearml: ClearmlWay, double: ClearmlDouble
) -> None:
    job = await submit(clearml)
    held = await clearml.begin()
    assert held is not None
    for lie in ("failed", "queued", "completed", "x" * 60):
        tasks_of(double)[0]["status"] = lie
        clearml.hub.clock.forward(LOOK_SECONDS + 1)
        await clearml.carrier.step()
        assert (await clearml.say(held, "report", events=[]))["cancel"] is False
    double.tasks.rows.clear()
    clearml.hub.clock.forward(LOOK_SECONDS + 1)
    await clearml.carrier.step()
    assert (await clearml.hub.row(job))["state"] == JobState.TRAINING
    assert len(await rows(clearml)) == 1


async def test_a_task_that_ends_before_it_is_begun_comes_again_after_a_pause(
    clearml: ClearmlWay, double: ClearmlDouble
) -> None:
    job = await submit(clearml)
    assert await clearml.offered() == job
    first, clearml.ticket = clearml.ticket, None
    tasks_of(double)[0]["status"] = "stopped"  # by a user of ClearML: no cancel of ours
    clearml.hub.clock.forward(PAUSES.first - 1)
    clearml.carrier._looked_at = clearml.hub.clock() - timedelta(seconds=LOOK_SECONDS)
    assert await clearml.offered() is None
    clearml.hub.clock.forward(PAUSES.first)
    assert await clearml.offered() == job
    assert first is not None and first != clearml.ticket
    old = open_ticket(first, KEY.verify_key)
    with pytest.raises(LeaseLostError):
        await clearml.workers.begin(TicketUse(job=job, code=old.code, weight_digest=WEIGHTS))


async def test_a_ticket_is_of_use_once_and_a_session_ends(clearml: ClearmlWay) -> None:
    job = await submit(clearml)
    assert await clearml.offered() == job
    assert clearml.ticket is not None
    ticket = open_ticket(clearml.ticket, KEY.verify_key)
    use = TicketUse(job=job, code=ticket.code, weight_digest=WEIGHTS)
    hold, other = await asyncio.gather(
        clearml.workers.begin(use), clearml.workers.begin(use), return_exceptions=True
    )
    assert isinstance(other, LeaseLostError) and not isinstance(hold, BaseException)
    desk = clearml.workers
    desk.check_session(hold.attempt, hold.session)
    for attempt, token in (
        (hold.attempt, ""),
        (hold.attempt, "9" * 12 + hold.session[hold.session.index(".") :]),
        (hold.attempt.replace("at_", "at_0")[:29], hold.session),
    ):
        with pytest.raises(NotAuthenticatedError):
            desk.check_session(attempt, token)
    clearml.hub.clock.forward(SESSION_SECONDS + 1)
    with pytest.raises(NotAuthenticatedError):
        desk.check_session(hold.attempt, hold.session)
    with pytest.raises(NotAuthenticatedError):
        desk.check_key("awk_" + base64url.encode(b"x" * 32))
    desk.check_key("awk_" + base64url.encode(WORKER_KEY))


async def test_who_has_many_jobs_is_in_clearml_with_some_of_them(
    clearml: ClearmlWay, double: ClearmlDouble
) -> None:
    for number in range(AHEAD + 3):
        await submit(clearml, f"many-{number}")
    await clearml.carrier.step()
    assert len(tasks_of(double)) == AHEAD
    late = await submit(clearml, "late", owner="guest")
    held = await clearml.begin()
    assert held is not None and held.job_id != late
    await clearml.carrier.step()
    assert any(f"adaptery:{late}" in task["tags"] for task in tasks_of(double))


async def test_clearml_sees_names_and_options_and_no_secret_but_the_code(
    clearml: ClearmlWay, double: ClearmlDouble
) -> None:
    job = await submit(clearml)
    await clearml.carrier.step()
    [task] = tasks_of(double)
    assert task["name"] == "@demo/notes"
    assert {f"adaptery:{job}", "owner:@demo"} <= set(task["tags"])
    assert task["script"]["entry_point"] == "-m adaptery_network.clearml"
    assert base64url.encode(WORKER_KEY) not in json.dumps(task)
    assert double.queues.rows and not double.unknown
    listed = [queue["name"] for queue in double.queues.rows.values()]
    assert listed == [CLEARML_QUEUE]


async def test_what_is_restricted_meanwhile_is_not_handed_over(clearml: ClearmlWay) -> None:
    strict = RuleBook(queues={"training": QueueRules(agents=False, restricted=False)})
    clearml.hub.queue.book = strict
    job = await submit(clearml)
    with pytest.raises(SpecError, match="restricted"):
        await submit(clearml, "secret", sensitivity="restricted")
    change = tables.datasets.update().values(sensitivity="restricted")
    await clearml.hub.database.write(lambda c: c.execute(change))
    assert await clearml.offered() is None
    row = await clearml.hub.row(job)
    assert row["state"] == JobState.FAILED and "restricted" in row["reason"]


async def test_a_job_shows_its_page_and_when_clearml_was_heard_last(clearml: ClearmlWay) -> None:
    clearml.hub.queue.book = RuleBook(queues={"training": QueueRules(agents=False)})
    clearml.hub.dashboard._book = clearml.hub.queue.book
    job = await submit(clearml)
    [before] = await clearml.hub.described(job)
    assert before.clearml is None and before.reason == "waiting for ClearML"
    await clearml.carrier.step()
    [after] = await clearml.hub.described(job)
    assert after.clearml is not None and after.clearml.status == "queued"
    assert after.clearml.url.endswith(f"/projects/*/experiments/{after.clearml.task}")
    assert after.reason == f"waits in ClearML's queue {CLEARML_QUEUE}"
    inputs = await clearml.hub.database.read(lambda c: jobs.inputs_of(c, [job]))
    version = inputs[0]["version_id"]
    [left] = await clearml.hub.database.read(lambda c: remaining(c, [version]))
    assert left.name == f"ClearML task {after.clearml.task} of the job notes"
