"""The embedded queue on a real database: leases, fences, losses, endings."""

import asyncio
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from adaptery.errors import (
    ConflictError,
    JobStateError,
    LeaseLostError,
    NotFoundError,
    QuotaError,
    SpecError,
)
from adaptery.schemas.jobs import JobCreate
from adaptery.states import AttemptOutcome, JobState
from adaptery.times import to_text
from adaptery_hub import audit
from adaptery_hub.database import Database, tables
from adaptery_hub.database.statements import adapters, attempts, checkpoints, job_events
from adaptery_hub.job_dashboard import ConnectedAgents
from adaptery_hub.queue import AttemptEnd, Fence, QueueRules, RuleBook
from adaptery_hub.queue.forecast import AgentSlots
from support.hub_tables import (
    AGENT,
    BASE,
    OTHER_WEIGHTS,
    WEIGHTS,
    HubTables,
    fence_of,
    open_tables,
)

LOST = AttemptEnd(AttemptOutcome.LOST, "the agent was stopped")
COMPLETED = AttemptEnd(AttemptOutcome.COMPLETED)


async def submit(hub: HubTables, owner: str = "demo", name: str = "notes") -> str:
    version = await hub.version(owner, name=f"set-{len(hub.tenants)}-{name}")
    wanted = JobCreate(name=name, dataset=version, options={"epochs": 1})
    return await hub.desk.submit(await hub.identity(owner), wanted)


async def queued(hub: HubTables, owner: str = "demo", name: str = "notes") -> str:
    await hub.bind()
    return await submit(hub, owner, name)


def metrics(seq: int, step: int) -> dict:
    return {"seq": seq, "at": "2026-01-02T03:04:05Z", "kind": "metrics", "step": step, "epoch": 0.5}


def put_checkpoint(
    connection: Connection, job: str, attempt: str, step: int, hub: HubTables
) -> None:
    checkpoints.put(
        connection,
        job_id=job,
        attempt_id=attempt,
        step=step,
        digest=WEIGHTS,
        files=[],
        metrics=None,
        now=hub.clock(),
    )


async def states(hub: HubTables, job: str) -> list[str]:
    rows = await hub.database.read(lambda c: job_events.read_on(c, job, 0, 100, ["state"]))
    return [row["data"]["state"] for row in rows]


async def test_a_job_waits_as_created_and_says_for_what(hub: HubTables) -> None:
    job = await submit(hub)
    row = await hub.row(job)
    assert row["state"] == JobState.CREATED and BASE in row["reason"]
    await hub.bind()
    row = await hub.row(job)
    assert (row["state"], row["reason"], row["weight_digest"]) == ("queued", None, WEIGHTS)
    assert await states(hub, job) == ["created", "created", "queued"]


async def test_the_job_ends_with_its_adapter_and_the_adapter_only_then_exists(
    hub: HubTables,
) -> None:
    job = await queued(hub)
    claim = await hub.claim()
    assert claim is not None and claim.spec.base_model.weight_digest == WEIGHTS
    identity = await hub.identity("demo")
    with pytest.raises(ConflictError):
        await hub.queue.finish(fence_of(claim), COMPLETED)
    adapter = await hub.stage_adapter(claim)
    assert await hub.database.read(lambda c: adapters.list_usable(c, identity)) == []
    await hub.queue.finish(fence_of(claim), COMPLETED)
    await hub.queue.finish(fence_of(claim), COMPLETED)  # the answer got lost; it asks again
    shown = await hub.database.read(lambda c: adapters.list_usable(c, identity))
    assert [row["id"] for row in shown] == [adapter]
    assert await states(hub, job) == ["created", "queued", "training", "completed"]
    described = (await hub.described(job))[0]
    assert described.adapter == "@demo/notes@1" and described.progress == 1.0


async def test_adapters_of_one_name_count_up(hub: HubTables) -> None:
    for number in (1, 2):
        await queued(hub)
        claim = await hub.claim()
        assert claim is not None
        await hub.stage_adapter(claim)
        await hub.queue.finish(fence_of(claim), COMPLETED)
        identity = await hub.identity("demo")
        newest = await hub.database.read(lambda c: adapters.list_usable(c, identity))  # noqa: B023
        assert newest[0]["number"] == number


async def test_only_an_agent_with_the_bound_weights_gets_the_job(hub: HubTables) -> None:
    await queued(hub)
    assert await hub.claim(weights=OTHER_WEIGHTS) is None
    await hub.base_models.observe([])
    assert hub.base_models.digest(BASE) == WEIGHTS
    assert await hub.claim() is not None


async def test_two_slots_never_take_the_same_job(hub: HubTables) -> None:
    await queued(hub)
    claims = await asyncio.gather(*(hub.claim() for _ in range(5)))
    assert sum(claim is not None for claim in claims) == 1


async def test_a_lease_that_runs_out_queues_the_job_again_from_its_checkpoint(
    hub: HubTables,
) -> None:
    job = await queued(hub)
    first = await hub.claim()
    assert first is not None
    await hub.queue.confirm(first)
    await hub.database.write(lambda c: put_checkpoint(c, job, first.attempt_id, 25, hub))
    hub.clock.forward(59)
    assert await hub.queue.reap() == []
    hub.clock.forward(2)
    assert await hub.queue.reap() == [job]
    row = await hub.row(job)
    assert row["state"] == "queued" and "last checkpoint" in row["reason"]
    second = await hub.claim()
    assert second is not None and second.number == 2
    assert second.fencing_token > first.fencing_token
    assert second.spec.resume_from is not None and second.spec.resume_from.step == 25


async def test_a_stale_fencing_token_is_refused_in_everything(hub: HubTables) -> None:
    await queued(hub)
    first = await hub.claim()
    assert first is not None
    hub.clock.forward(61)
    await hub.queue.reap()
    second = await hub.claim(agent="ag_01hzzzzzzzzzzzzzzzzzzzzzz2")
    assert second is not None
    for fence in (
        fence_of(first),
        Fence(second.attempt_id, second.agent_id, first.fencing_token),
        Fence(second.attempt_id, AGENT, second.fencing_token),
        Fence("at_01hzzzzzzzzzzzzzzzzzzzzzzz", AGENT, 1),
    ):
        with pytest.raises(LeaseLostError):
            await hub.queue.report(fence, [])
        with pytest.raises(LeaseLostError):
            await hub.queue.finish(fence, COMPLETED)
    renewal = await hub.queue.report(fence_of(second), [])
    assert renewal.lease_until > hub.clock()


async def test_a_report_renews_the_lease_and_stores_each_event_once(hub: HubTables) -> None:
    job = await queued(hub)
    claim = await hub.claim()
    assert claim is not None
    state = {"seq": 1, "at": to_text(hub.clock()), "kind": "state", "state": "training"}
    events = [{**state, "total_steps": 10}, metrics(2, 5)]
    hub.clock.forward(50)
    first = await hub.queue.report(fence_of(claim), events)
    assert first.acked_seq == 2 and not first.cancel
    hub.clock.forward(50)
    again = await hub.queue.report(fence_of(claim), [*events, metrics(3, 6), {"seq": 4, "x": 1}])
    assert again.acked_seq == 4  # the last one cannot be read; it must not come for ever
    assert await hub.queue.reap() == []
    rows = await hub.database.read(lambda c: job_events.read_on(c, job, 0, 100))
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    kinds = [row["kind"] for row in rows]
    assert kinds.count("metrics") == 2 and kinds.count("phase") == 1
    assert (await hub.row(job))["progress"] == 0.6


async def test_an_error_of_the_worker_fails_the_job_with_reason_and_remedy(
    hub: HubTables,
) -> None:
    job = await queued(hub)
    claim = await hub.claim()
    assert claim is not None
    event = {
        "seq": 1,
        "at": to_text(hub.clock()),
        "kind": "error",
        "code": "out_of_memory",
        "reason": "the batch does not fit",
        "remedy": "choose a smaller batch",
    }
    await hub.queue.report(fence_of(claim), [event])
    row = await hub.row(job)
    assert row["state"] == "failed"
    assert row["reason"] == "the batch does not fit; choose a smaller batch"
    await hub.queue.finish(fence_of(claim), AttemptEnd(AttemptOutcome.FAILED, "x"))


async def test_a_job_fails_after_too_many_lost_attempts(tmp_path: Path, database: Database) -> None:
    hub = open_tables(tmp_path, RuleBook(QueueRules(max_attempts=2)), database)
    job = await queued(hub)
    for expected in ("queued", "failed"):
        claim = await hub.claim()
        assert claim is not None
        await hub.queue.confirm(claim)
        await hub.queue.finish(fence_of(claim), LOST)
        assert (await hub.row(job))["state"] == expected
    assert "administrator" in (await hub.row(job))["reason"]


async def test_a_lost_attempt_that_handed_in_a_later_step_does_not_count(
    tmp_path: Path, database: Database
) -> None:
    hub = open_tables(tmp_path, RuleBook(QueueRules(max_attempts=2)), database)
    job = await queued(hub)

    async def lose(step: int | None) -> str:
        hub.clock.forward(10)
        claim = await hub.claim()
        assert claim is not None
        await hub.queue.confirm(claim)
        hub.clock.forward(10)
        if step is not None:
            await hub.database.write(lambda c: put_checkpoint(c, job, claim.attempt_id, step, hub))
        await hub.queue.finish(fence_of(claim), LOST)
        return (await hub.row(job))["state"]

    assert [await lose(step) for step in (20, 40, 60, 80)] == ["queued"] * 4, "planned restarts"
    assert await lose(None) == "queued", "one that is lost in vain"
    assert await lose(100) == "queued", "but the next one got further"
    assert await lose(100) == "queued", "the same step again is no progress"
    assert await lose(None) == "failed"
    assert (await hub.row(job))["reason"].startswith("2 attempts in a row were lost")


async def test_an_order_that_was_never_taken_does_not_count_as_lost(
    tmp_path: Path, database: Database
) -> None:
    hub = open_tables(tmp_path, RuleBook(QueueRules(max_attempts=1)), database)
    job = await queued(hub)
    for _ in range(3):
        claim = await hub.claim()
        assert claim is not None
        await hub.queue.release(claim, "the agent has no room")
    assert (await hub.row(job))["state"] == "queued"


async def test_cancelling_before_and_while_training(hub: HubTables) -> None:
    await hub.bind()
    first, second = await submit(hub, name="one"), await submit(hub, name="two")
    claim = await hub.claim()
    assert claim is not None and claim.job_id == first
    for job in (first, second):
        await hub.queue.cancel(job)
        await hub.queue.cancel(job)  # asked twice
    assert (await hub.row(second))["state"] == "cancelled"
    assert (await hub.row(first))["state"] == "training"
    assert (await hub.queue.report(fence_of(claim), [])).cancel
    await hub.queue.finish(fence_of(claim), AttemptEnd(AttemptOutcome.CANCELLED))
    assert (await hub.row(first))["state"] == "cancelled"


async def test_a_lost_agent_does_not_bring_a_cancelled_job_back(hub: HubTables) -> None:
    job = await queued(hub)
    await hub.claim()
    await hub.queue.cancel(job)
    hub.clock.forward(61)
    await hub.queue.reap()
    assert (await hub.row(job))["state"] == "cancelled"


async def test_an_agent_cannot_cancel_what_nobody_asked_to_cancel(hub: HubTables) -> None:
    job = await queued(hub)
    claim = await hub.claim()
    assert claim is not None
    await hub.queue.finish(fence_of(claim), AttemptEnd(AttemptOutcome.CANCELLED))
    assert (await hub.row(job))["state"] == "queued"


async def test_a_finished_job_cannot_be_cancelled(hub: HubTables) -> None:
    job = await queued(hub)
    claim = await hub.claim()
    assert claim is not None
    await hub.queue.finish(fence_of(claim), AttemptEnd(AttemptOutcome.FAILED, "x"))
    with pytest.raises(JobStateError):
        await hub.queue.cancel(job)


@pytest.mark.parametrize("limit", ["open_jobs_limit", "user_open_jobs_limit"])
async def test_the_limit_of_open_jobs(tmp_path: Path, database: Database, limit: str) -> None:
    hub = open_tables(tmp_path, RuleBook(**{limit: 1}), database)
    await submit(hub, name="one")
    with pytest.raises(QuotaError):
        await submit(hub, name="two")
    await submit(hub, owner="guest")


async def test_a_job_says_that_its_base_model_could_not_be_made_ready(hub: HubTables) -> None:
    job = await submit(hub)
    (created,) = await hub.described(job, agents=ConnectedAgents(failed=frozenset({BASE})))
    assert created.state == JobState.CREATED
    assert "could make this base model ready: ask" in (created.reason or "")


async def test_answers_say_position_and_why_a_job_waits(hub: HubTables) -> None:
    await hub.bind()
    names = [("demo", "a"), ("demo", "b"), ("guest", "c")]
    jobs = [await submit(hub, owner, name) for owner, name in names]
    described = await hub.described(*jobs[:2])
    assert [job.position for job in described] == [1, 3]
    assert [job.position for job in await hub.described(jobs[2], owner="guest")] == [2]
    assert "no agent" in (described[0].reason or "")
    soon = ConnectedAgents(preparing=frozenset({BASE}))
    (job,) = await hub.described(jobs[0], agents=soon)
    assert job.reason == "the agent is preparing this base model"
    there = ConnectedAgents((AgentSlots(AGENT, 1, frozenset({WEIGHTS})),))
    (job,) = await hub.described(jobs[0], agents=there)
    assert job.reason == "waiting for a free slot"


async def test_positions_of_two_tenants_differ_while_the_only_worker_is_busy(
    hub: HubTables,
) -> None:
    await hub.bind()
    await submit(hub, "demo", "runs")
    assert await hub.claim() is not None
    waiting = [(owner, await submit(hub, owner, "one")) for owner in ("demo", "guest")]
    described = [(await hub.described(job, owner=owner))[0] for owner, job in waiting]
    assert [job.position for job in described] == [2, 1]


async def test_a_dataset_of_someone_else_cannot_be_trained_on(hub: HubTables) -> None:
    version = await hub.version("demo")
    guest = await hub.identity("guest")
    for name in (version, "@demo/visits@1", "@demo/visits", "dv_01hzzzzzzzzzzzzzzzzzzzzzzz"):
        with pytest.raises(NotFoundError):
            await hub.desk.submit(guest, JobCreate(name="theft", dataset=name))


async def test_a_group_member_trains_on_the_groups_dataset_and_owns_the_job(
    hub: HubTables,
) -> None:
    await hub.version("radiology", kind="group")
    demo = await hub.identity("demo", ("radiology",))
    job = await hub.desk.submit(demo, JobCreate(name="notes", dataset="radiology/visits"))
    described = (await hub.described(job))[0]
    assert (described.tenant, described.dataset) == ("@demo", "radiology/visits@1")


@pytest.mark.parametrize("field", ["task", "base_model"])
async def test_unknown_task_or_base_model_is_named(hub: HubTables, field: str) -> None:
    version = await hub.version("demo")
    wanted = JobCreate.model_validate({"name": "notes", "dataset": version, field: "nobody/none"})
    with pytest.raises(SpecError) as caught:
        await hub.desk.submit(await hub.identity("demo"), wanted)
    assert caught.value.errors[0].where == field


async def test_a_request_with_a_key_makes_one_job(hub: HubTables) -> None:
    demo, guest = await hub.identity("demo"), await hub.identity("guest")
    await hub.version("demo")
    wanted = JobCreate(name="notes", dataset="@demo/visits", key="k-1")
    first = await hub.desk.submit(demo, wanted)
    await hub.version("demo", name="other")  # what is the newest then is pinned already
    assert await hub.desk.submit(demo, wanted) == first
    changed = {"name": "letters"}, {"options": {"epochs": 2}}, {"base_model": BASE}
    for change in changed:
        with pytest.raises(ConflictError) as caught:
            await hub.desk.submit(demo, wanted.model_copy(update=change))
        assert [problem.where for problem in caught.value.errors] == ["key"]
    assert await hub.desk.submit(demo, wanted.model_copy(update={"key": "k-2"})) != first
    theirs = JobCreate(name="notes", dataset=await hub.version("guest"), key="k-1")
    assert await hub.desk.submit(guest, theirs) != first  # a key is its creator's own
    await hub.queue.cancel(first)
    assert await hub.desk.submit(demo, wanted) == first


async def test_requests_with_one_key_at_once_make_one_job(hub: HubTables) -> None:
    demo = await hub.identity("demo")
    wanted = JobCreate(name="notes", dataset=await hub.version("demo"), key="k")
    ids = await asyncio.gather(*(hub.desk.submit(demo, wanted) for _ in range(8)))
    assert len(set(ids)) == 1
    count = sa.select(sa.func.count()).select_from(tables.jobs)
    assert await hub.database.read(lambda c: c.scalar(count)) == 1


async def test_a_repeated_request_needs_no_room_for_another_job(
    tmp_path: Path, database: Database
) -> None:
    hub = open_tables(tmp_path, RuleBook(open_jobs_limit=1), database)
    demo = await hub.identity("demo")
    wanted = JobCreate(name="notes", dataset=await hub.version("demo"), key="k")
    job = await hub.desk.submit(demo, wanted)
    assert await hub.desk.submit(demo, wanted) == job
    with pytest.raises(QuotaError):
        await hub.desk.submit(demo, wanted.model_copy(update={"key": "other"}))


async def test_the_audit_chain_holds_and_shows_a_changed_row(hub: HubTables) -> None:
    await queued(hub)
    await hub.claim()
    query = sa.select(tables.audit).order_by(tables.audit.c.seq)
    rows = await hub.database.read(lambda c: list(c.execute(query).mappings()))
    assert {"base_model.bind", "job.submit", "job.claim"} <= {row["action"] for row in rows}
    audit.verify(rows)
    await hub.database.write(
        lambda c: c.execute(tables.audit.update().where(tables.audit.c.seq == 2).values(action="x"))
    )
    rows = await hub.database.read(lambda c: list(c.execute(query).mappings()))
    with pytest.raises(Exception, match="row 2"):
        audit.verify(rows)


async def test_attempts_keep_how_they_ended(hub: HubTables) -> None:
    job = await queued(hub)
    claim = await hub.claim()
    assert claim is not None
    await hub.queue.finish(fence_of(claim), LOST)
    ended = await hub.database.read(lambda c: attempts.of_job(c, job))
    assert [(row["outcome"], row["reason"]) for row in ended] == [("lost", LOST.reason)]
