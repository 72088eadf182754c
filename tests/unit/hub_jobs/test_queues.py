"""Queues that are paused, emptied, limited and served by some agents only."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.engine import Connection

from adaptery.schemas.jobs import JobCreate
from adaptery.schemas.queues import QueueOptions, QueueState
from adaptery.states import AttemptOutcome
from adaptery_hub.database import Database
from adaptery_hub.database.statements import jobs, queues
from adaptery_hub.job_dashboard import ConnectedAgents
from adaptery_hub.queue import AttemptEnd, Offer, QueueRules, RuleBook
from adaptery_hub.queue.forecast import AgentSlots
from adaptery_hub.queue.outcomes import retry_after
from adaptery_hub.queue.port import Claim
from support.hub_tables import AGENT, WEIGHTS, HubTables, fence_of, open_tables

OTHER_AGENT = "ag_01hzzzzzzzzzzzzzzzzzzzzzz2"
LOST = AttemptEnd(AttemptOutcome.LOST, "the agent was stopped")
THERE = ConnectedAgents((AgentSlots(AGENT, 1, frozenset({WEIGHTS})),))


def open_with(tmp_path: Path, database: Database, **rules: object) -> HubTables:
    return open_tables(tmp_path, RuleBook(QueueRules(**rules)), database)  # type: ignore[arg-type]


async def submit(hub: HubTables, owner: str = "demo") -> str:
    await hub.bind()
    version = await hub.version(owner, name=f"set-{hub.clock().timestamp():.0f}-{owner}")
    hub.clock.forward(1)
    return await hub.desk.submit(
        await hub.identity(owner), JobCreate(name="notes", dataset=version)
    )


async def put(hub: HubTables, state: QueueState, reason: str | None = None) -> None:
    admin = await hub.tenant("boss")
    moment = hub.clock()

    def change(connection: Connection) -> None:
        row = queues.lock(connection, "training", moment)
        queues.change(connection, row["id"], state, reason, admin, moment)

    await hub.database.write(change)


async def taken(hub: HubTables, agent: str = AGENT, elsewhere: bool = False) -> Claim | None:
    weights = frozenset({WEIGHTS})
    others = weights if elsewhere else frozenset[str]()
    return await hub.queue.claim(Offer(agent, "training", weights, others))


async def lose(hub: HubTables, claim: Claim | None) -> None:
    assert claim is not None
    await hub.queue.confirm(claim)
    await hub.queue.finish(fence_of(claim), LOST)


async def why(hub: HubTables, job: str) -> str | None:
    return (await hub.described(job, agents=THERE))[0].reason


async def test_a_paused_queue_gives_nothing_out_and_says_why(hub: HubTables) -> None:
    first, second = await submit(hub), await submit(hub)
    running = await taken(hub)
    await put(hub, "paused", "new disks until noon")
    assert running is not None and running.job_id == first
    assert await taken(hub) is None and await hub.queue.giving() == []
    assert await why(hub, second) == "the queue training is paused: new disks until noon"
    renewal = await hub.queue.report(fence_of(running), [])
    assert not renewal.drain and not renewal.cancel, "what trains goes on"
    await put(hub, "open")
    assert await hub.queue.giving() == ["training"]
    assert await taken(hub) is not None


async def test_a_queue_that_is_emptied_asks_for_its_jobs_back(
    tmp_path: Path, database: Database
) -> None:
    hub = open_with(tmp_path, database, max_attempts=1)
    job = await submit(hub)
    claim = await taken(hub)
    assert claim is not None
    await put(hub, "draining")
    assert (await hub.queue.report(fence_of(claim), [])).drain
    await lose(hub, claim)
    assert (await hub.row(job))["state"] == "queued", "that is no attempt lost in vain"
    assert await why(hub, job) == "the queue training is being emptied"
    assert await taken(hub) is None
    await put(hub, "open")
    assert await taken(hub) is not None, "the same agent may take it at once"


async def test_a_queue_runs_no_more_jobs_than_it_may(tmp_path: Path, database: Database) -> None:
    hub = open_with(tmp_path, database, queue_running_limit=1)
    first, second = await submit(hub), await submit(hub, "guest")
    assert await taken(hub) is not None
    assert await taken(hub) is None
    (described,) = await hub.described(second, owner="guest", agents=THERE)
    assert described.reason == "as many jobs of its queue train as may at once"
    await hub.queue.cancel(first)


async def test_a_user_runs_no_more_jobs_than_one_may_in_whatever_they_own(
    tmp_path: Path, database: Database
) -> None:
    hub = open_with(tmp_path, database, user_running_limit=1)
    mine = [await submit(hub) for _ in range(3)]
    group = await hub.tenant("radiology", "group")

    def reassign(connection: Connection) -> None:
        for job in mine[1:]:
            jobs.change_fields(connection, job, hub.clock(), tenant_id=group)

    await hub.database.write(reassign)
    assert await taken(hub) is not None
    assert await taken(hub) is None
    theirs = await submit(hub, "guest")
    claim = await taken(hub)
    assert claim is not None and claim.job_id == theirs


async def test_a_job_lost_in_vain_again_and_again_is_kept_from_its_agent_for_longer(
    tmp_path: Path, database: Database
) -> None:
    hub = open_with(tmp_path, database, retry_seconds=10.0)
    await submit(hub)
    await lose(hub, await taken(hub))
    await lose(hub, await taken(hub))  # once is as good as always a restart: at once
    for seconds in (10, 20):
        assert await taken(hub) is None
        hub.clock.forward(seconds - 1)
        assert await taken(hub) is None
        hub.clock.forward(1)
        await lose(hub, await taken(hub))
    assert await taken(hub) is None
    assert await taken(hub, OTHER_AGENT) is not None, "another agent takes it at once"


async def test_an_agent_does_not_get_back_what_it_lost_while_another_has_a_slot(
    hub: HubTables,
) -> None:
    job = await submit(hub)
    await lose(hub, await taken(hub))
    assert await taken(hub, elsewhere=True) is None
    claim = await taken(hub, OTHER_AGENT, elsewhere=True)
    assert claim is not None and claim.job_id == job
    await hub.queue.release(claim, "an agent did not take it")
    assert await taken(hub, OTHER_AGENT, elsewhere=True) is None
    assert await taken(hub, AGENT, elsewhere=True) is not None


async def test_only_agents_with_its_labels_count_for_a_queue(
    tmp_path: Path, database: Database
) -> None:
    hub = open_with(tmp_path, database, labels=frozenset({"gpu"}))
    job = await submit(hub)
    told = "no agent of the queue training that has this base model is connected"
    assert await why(hub, job) == told
    gpu = AgentSlots(OTHER_AGENT, 1, frozenset({WEIGHTS}), frozenset({"gpu", "local"}))
    (described,) = await hub.described(job, agents=ConnectedAgents((*THERE.slots, gpu)))
    assert described.reason == "waiting for a free slot"


@pytest.mark.parametrize(("lost", "seconds"), [(0, 0), (1, 0), (2, 5), (3, 10), (5, 40)])
def test_the_time_doubles_from_the_second_loss_on(lost: int, seconds: float) -> None:
    assert retry_after(lost, 5.0) == timedelta(seconds=seconds)
    assert retry_after(lost, 0.0) == timedelta()


def test_what_is_said_of_a_queue_goes_before_what_holds_for_all() -> None:
    usual = QueueRules(running_limit=4, max_attempts=3)
    said = QueueOptions(labels=("gpu",), max_running_jobs_per_tenant=0, lease_seconds=9)
    rules = usual.changed_by(said)
    assert (rules.running_limit, rules.max_attempts, rules.lease_seconds) == (None, 3, 9)
    assert rules.labels == {"gpu"} and usual.changed_by(QueueOptions()) == usual
    book = RuleBook(usual, {"night": rules})
    assert book.of("night") is rules and book.of("training") is usual
    assert book.longest_lease_seconds == 60
