"""Many claim at once, on both databases: nothing twice, everybody their share."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from adaptery_hub.database import Database
from adaptery_hub.queue import Offer, QueueRules, RuleBook
from adaptery_hub.queue.port import Claim
from support.databases import KINDS, empty_database
from support.hub_tables import WEIGHTS, HubTables, open_tables
from support.queued_jobs import insert_queued

CLAIMERS = 12


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path):
    opened = empty_database(request.param, tmp_path)
    yield opened
    opened.close()


async def claim_all(hub: HubTables, claimers: int = CLAIMERS) -> list[Claim]:
    """Let many agents claim until nothing is left; return the claims in their order."""
    found: list[Claim] = []

    async def claimer(number: int) -> None:
        agent = f"ag_{number:026d}"
        while claim := await hub.queue.claim(Offer(agent, "training", frozenset({WEIGHTS}))):
            found.append(claim)

    await asyncio.gather(*map(claimer, range(claimers)))
    return found


async def test_no_job_is_claimed_twice_and_none_is_left(tmp_path: Path, database: Database) -> None:
    hub = open_tables(tmp_path, database=database)
    ids = await insert_queued(hub, {"a": 15, "b": 10, "c": 5})
    claims = await claim_all(hub)
    assert sorted(claim.job_id for claim in claims) == sorted(ids)
    first = Counter(claim.tenant_id for claim in claims[:15])
    # Answers of claims that run at once may overtake each other.
    assert max(first.values()) - min(first.values()) <= 2


async def test_claims_at_once_overstep_no_limit(tmp_path: Path, database: Database) -> None:
    limits = QueueRules(running_limit=3, queue_running_limit=5)
    hub = open_tables(tmp_path, RuleBook(limits), database)
    await insert_queued(hub, {"a": 10, "b": 10})
    claims = await claim_all(hub)
    assert sorted(Counter(claim.tenant_id for claim in claims).values()) == [2, 3]


async def test_an_offer_for_one_job_takes_that_one_or_none(
    tmp_path: Path, database: Database
) -> None:
    hub = open_tables(tmp_path, database=database)
    ids = await insert_queued(hub, {"a": 3, "b": 3})
    for job in (ids[1], ids[5]):  # neither is the first of its line
        offer = Offer("clearml", "training", frozenset({WEIGHTS}), job_id=job)
        claim = await hub.queue.claim(offer)
        assert claim is not None and claim.job_id == job
        assert await hub.queue.claim(offer) is None
    left = {claim.job_id for claim in await claim_all(hub)}
    assert left == {*ids} - {ids[1], ids[5]}
