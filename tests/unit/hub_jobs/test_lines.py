"""Lines of queues on a real database: exact while that is quick, kept while it is not."""

import asyncio
import threading
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from adaptery.schemas.jobs import JobCreate
from adaptery_hub.database import tables
from adaptery_hub.job_dashboard import ConnectedAgents
from adaptery_hub.queue import RuleBook, transitions
from adaptery_hub.queue.forecast import AgentSlots
from adaptery_hub.queue.lines import KEEP_SECONDS, PAST_MIN, QUICK_SECONDS, Line, Lines
from support.hub_tables import AGENT, WEIGHTS, HubTables, fence_of
from support.waiting import PATIENCE_SECONDS

SLOTS = (AgentSlots(AGENT, 1, frozenset({WEIGHTS})),)
THERE = ConnectedAgents(SLOTS)


async def queued(hub: HubTables, name: str, owner: str = "demo", **fields: object) -> str:
    await hub.bind()
    version = await hub.version(owner, name=f"of-{name}")
    wanted = JobCreate.model_validate({"name": name, "dataset": version, **fields})
    return await hub.desk.submit(await hub.identity(owner), wanted)


async def trained(hub: HubTables, name: str, seconds: float) -> None:
    """Let a job be over that trained for so long."""
    job = await queued(hub, name)
    ended = {
        "state": "completed",
        "started_at": hub.clock(),
        "finished_at": hub.clock() + timedelta(seconds=seconds),
    }
    statement = sa.update(tables.jobs).where(tables.jobs.c.id == job).values(**ended)
    await hub.database.write(lambda c: c.execute(statement))


def told(*events: dict[str, object]) -> list[dict[str, object]]:
    return [{"seq": seq, **event} for seq, event in enumerate(events, start=1)]


def metrics(step: int) -> dict[str, object]:
    at = f"2026-01-02T03:04:{step:02}Z"
    return {"kind": "metrics", "at": at, "step": step, "epoch": 1.0}


async def test_a_job_in_training_ends_by_its_own_pace_and_the_next_starts_then(
    hub: HubTables,
) -> None:
    first, second = await queued(hub, "one"), await queued(hub, "two")
    claim = await hub.claim()
    assert claim is not None and claim.job_id == first
    running, waiting = await hub.described(first, second, agents=THERE)
    assert (running.ends_at, waiting.starts_at, waiting.ends_at) == (None, None, None)

    state = {"kind": "state", "at": "2026-01-02T03:04:00Z", "state": "training", "total_steps": 13}
    await hub.queue.report(fence_of(claim), told(state, metrics(1), metrics(2), metrics(3)))
    running, waiting = await hub.described(first, second, agents=THERE)
    assert (running.step, running.total_steps, running.position) == (3, 13, None)
    assert running.ends_at == hub.clock() + timedelta(seconds=10)
    hub.clock.forward(KEEP_SECONDS)
    running, _ = await hub.described(first, second, agents=THERE)
    assert running.ends_at == hub.clock() + timedelta(seconds=9)


async def test_lengths_are_those_of_jobs_of_the_same_kind_once_there_are_enough(
    hub: HubTables,
) -> None:
    for number in range(PAST_MIN - 1):
        await trained(hub, f"past-{number}", 100)
    first, second = await queued(hub, "one"), await queued(hub, "two")
    one, two = await hub.described(first, second, agents=THERE)
    assert one.starts_at == hub.clock() and one.ends_at is None and two.starts_at is None
    await trained(hub, "past-last", 300)
    hub.dashboard.lines = Lines(RuleBook(), hub.clock, lambda: 0.0)  # never slow
    one, two = await hub.described(first, second, agents=THERE)
    assert one.ends_at == two.starts_at == hub.clock() + timedelta(seconds=100)
    assert [job.starts_at for job in await hub.described(first, second)] == [None, None]


async def test_priority_is_among_the_jobs_of_one_owner(hub: HubTables) -> None:
    low = await queued(hub, "low", priority="low")
    normal = await queued(hub, "normal")
    guests = await queued(hub, "of-guest", owner="guest")
    assert [job.priority for job in await hub.described(low, normal)] == ["low", "normal"]
    assert [job.position for job in await hub.described(low, normal)] == [3, 1]
    assert [job.position for job in await hub.described(guests, owner="guest")] == [2]


class Seconds:
    """A clock that stands still, but for how long putting lines together takes."""

    def __init__(self) -> None:
        self.now = 0.0
        self.took = 0.0

    def __call__(self) -> float:
        self.now += self.took
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def lines(hub: HubTables, seconds: Seconds) -> Lines:
    return Lines(RuleBook(), hub.clock, seconds)


async def look(hub: HubTables, lines: Lines) -> Line:
    return await hub.database.read(lambda c: lines.line(c, "training", SLOTS))


async def test_a_line_is_kept_while_nothing_changes(
    hub: HubTables, lines: Lines, seconds: Seconds
) -> None:
    one = await queued(hub, "one")
    line = await look(hub, lines)
    assert await look(hub, lines) is line
    seconds.now += KEEP_SECONDS
    again = await look(hub, lines)  # forecasts may be others by now
    assert again is not line
    two = await queued(hub, "two")
    assert (await look(hub, lines)).places == {one: 1, two: 2}
    await hub.queue.cancel(one)
    assert (await look(hub, lines)).places == {two: 1}


async def test_a_changed_priority_is_seen_by_everyone_but_keeps_no_long_line_from_being_kept(
    hub: HubTables, lines: Lines, seconds: Seconds
) -> None:
    one, two = await queued(hub, "one"), await queued(hub, "two")

    async def prioritise(job: str, priority: int) -> None:
        await hub.database.write(lambda c: transitions.prioritise(c, job, priority, hub.clock()))

    assert (await look(hub, lines)).places == {one: 1, two: 2}
    await prioritise(one, -1)
    assert (await look(hub, lines)).places == {two: 1, one: 2}
    seconds.took = 2 * QUICK_SECONDS
    seconds.now += KEEP_SECONDS
    line = await look(hub, lines)
    await prioritise(one, 0)
    assert await look(hub, lines) is line


class LinesThatStop(Lines):
    """Stays in the middle of putting a line together until it is let go on."""

    def __init__(self, hub: HubTables, seconds: Seconds) -> None:
        super().__init__(RuleBook(), hub.clock, seconds)
        self.go_on = threading.Event()
        self.go_on.set()
        self.building = threading.Event()

    def _build(self, *args: Any) -> Line:
        self.building.set()
        assert self.go_on.wait(PATIENCE_SECONDS)
        return super()._build(*args)


async def test_nobody_waits_for_a_long_line_that_another_one_puts_together(
    hub: HubTables, seconds: Seconds
) -> None:
    await queued(hub, "one")
    lines = LinesThatStop(hub, seconds)
    seconds.took = 2 * QUICK_SECONDS
    line = await look(hub, lines)
    seconds.now += KEEP_SECONDS
    lines.go_on.clear()
    lines.building.clear()
    first = asyncio.create_task(look(hub, lines))
    await asyncio.to_thread(lines.building.wait, PATIENCE_SECONDS)
    assert await look(hub, lines) is line
    lines.go_on.set()
    assert await first is not line


async def test_a_line_that_takes_long_is_a_little_old_and_knows_the_newest_jobs_later(
    hub: HubTables, lines: Lines, seconds: Seconds
) -> None:
    one = await queued(hub, "one")
    seconds.took = 2 * QUICK_SECONDS
    line = await look(hub, lines)
    two = await queued(hub, "two")
    assert await look(hub, lines) is line and two not in line.waiting
    seconds.now += KEEP_SECONDS
    assert (await look(hub, lines)).places == {one: 1, two: 2}
