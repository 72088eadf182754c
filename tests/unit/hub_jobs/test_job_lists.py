"""Lists of jobs: by state and name, in an order that a page after a job goes on with."""

import pytest
import sqlalchemy as sa

from adaptery.errors import InvalidInputError
from adaptery.schemas.jobs import JobCreate
from adaptery.states import JobState
from adaptery_hub.database import tables
from adaptery_hub.database.statements import job_lists
from adaptery_hub.database.statements.job_lists import ORDERS, JobFilter
from adaptery_hub.handlers.jobs import parse_states
from support.hub_tables import HubTables

QUEUED = JobFilter(states=frozenset({JobState.QUEUED}))


async def submit(hub: HubTables, name: str, owner: str = "demo") -> str:
    version = await hub.version(owner, name=f"of-{name}")
    identity = await hub.identity(owner)
    return await hub.desk.submit(identity, JobCreate(name=name, dataset=version))


async def listed(
    hub: HubTables,
    wanted: JobFilter,
    after: str | None = None,
    limit: int = 50,
    owner: str = "demo",
) -> list[str]:
    identity = await hub.identity(owner)
    rows = await hub.database.read(
        lambda c: job_lists.list_visible(c, identity, wanted, after, limit)
    )
    return [row["name"] for row in rows[:limit]]


async def test_jobs_that_wait_come_in_the_order_of_their_queue(hub: HubTables) -> None:
    await hub.bind()
    ids = {}
    for name in ("one", "two", "three", "four"):
        ids[name] = await submit(hub, name)
        hub.clock.forward(1)
    await submit(hub, "of-guest", "guest")
    urgent = sa.update(tables.jobs).where(tables.jobs.c.id == ids["four"]).values(priority=5)
    await hub.database.write(lambda c: c.execute(urgent))
    assert await listed(hub, QUEUED) == ["four", "one", "two", "three"]
    assert await listed(hub, QUEUED, limit=2) == ["four", "one"]
    described = await hub.described(*ids.values())
    own = sorted((job.position or 0, job.name) for job in described)
    assert [name for _, name in own] == ["four", "one", "two", "three"]

    claim = await hub.claim()  # four trains now, and is still a place to go on from
    assert claim is not None and claim.job_id == ids["four"]
    assert await listed(hub, QUEUED, after=ids["four"], limit=2) == ["one", "two"]
    assert await listed(hub, QUEUED, after=ids["two"]) == ["three"]
    assert await listed(hub, QUEUED, owner="guest") == ["of-guest"]
    for unknown in ("jb_01hzzzzzzzzzzzzzzzzzzzzzzz", "x"):
        with pytest.raises(InvalidInputError):
            await listed(hub, QUEUED, after=unknown)
    with pytest.raises(InvalidInputError):  # there, but not theirs to see
        await listed(hub, QUEUED, after=ids["one"], owner="guest")


async def test_other_jobs_come_newest_first(hub: HubTables) -> None:
    made = [await submit(hub, name) for name in ("one", "two", "three")]
    both = JobFilter(states=frozenset({JobState.QUEUED, JobState.CREATED}))
    assert await listed(hub, JobFilter()) == ["three", "two", "one"]
    assert await listed(hub, both) == ["three", "two", "one"]
    assert await listed(hub, both, after=made[2]) == ["two", "one"]
    assert await listed(hub, QUEUED) == []


async def test_each_order_goes_on_behind_the_page_before(hub: HubTables) -> None:
    ids = {name: await submit(hub, name) for name in ("b", "c", "a", "d")}
    await hub.bind()
    for name in ("c", "b"):
        hub.clock.forward(1)
        await hub.queue.cancel(ids[name])
    orders = {
        "newest": ["d", "a", "c", "b"],
        "oldest": ["b", "c", "a", "d"],
        "queue": ["b", "c", "a", "d"],
        "changed": ["b", "c", "d", "a"],
        "name": ["a", "b", "c", "d"],
    }
    for order in ORDERS:
        wanted = JobFilter(sort=order)
        assert await listed(hub, wanted) == orders[order]
        for place, name in enumerate(orders[order]):
            assert (
                await listed(hub, wanted, after=ids[name], limit=2)
                == (orders[order][place + 1 : place + 3])
            )
    ended = JobFilter(states=frozenset({JobState.CANCELLED, JobState.FAILED}))
    assert await listed(hub, ended) == ["b", "c"]


async def test_a_search_is_for_letters_and_knows_no_wildcards(hub: HubTables) -> None:
    for name in ("soap-notes", "soap_v2", "discharge"):
        await submit(hub, name)

    async def search(text: str) -> list[str]:
        return await listed(hub, JobFilter(search=text))

    assert await search("SOAP") == ["soap_v2", "soap-notes"]
    assert await search("p_v") == ["soap_v2"]
    assert await search("_") == ["soap_v2"]
    for nothing in ("%", "s%p", "/", "\\", "'", "so__", "SOAP NOTES"):
        assert await search(nothing) == []


async def test_a_job_says_since_when_it_is_in_its_state(hub: HubTables) -> None:
    job = await submit(hub, "notes")

    async def state_at() -> object:
        (described,) = await hub.described(job)
        return described.state_at

    assert await state_at() == hub.clock()
    hub.clock.forward(10)
    await hub.bind()
    queued_at = hub.clock()
    assert await state_at() == queued_at
    hub.clock.forward(10)
    claim = await hub.claim()
    assert claim is not None and await state_at() == hub.clock()
    hub.clock.forward(10)
    await hub.queue.release(claim, "no room")
    assert await state_at() == hub.clock()
    assert (await hub.row(job))["queued_at"] == queued_at


def test_states_are_named_or_refused() -> None:
    assert parse_states(None) == frozenset()
    assert parse_states("queued") == {JobState.QUEUED}
    assert parse_states("failed,cancelled") == {JobState.FAILED, JobState.CANCELLED}
    for wrong in ("", "done", "queued,", "Queued", "queued, failed"):
        with pytest.raises(InvalidInputError) as caught:
            parse_states(wrong)
        assert "training" in str(caught.value)
