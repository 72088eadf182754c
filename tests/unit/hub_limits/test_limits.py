"""Limits of users, owners and adapters."""

import asyncio
from dataclasses import replace

import pytest
import sqlalchemy as sa

from adaptery.errors import InsufficientQuotaError, RateLimitError
from adaptery.ids import new_id
from adaptery_hub.database import tables
from adaptery_hub.limits import Limit, Limits, Wish
from support.hub_tables import HubTables, open_tables

NONE: dict[str, str] = {}


class Bench:
    """Limits over a real database, with a clock of their own."""

    def __init__(self, hub: HubTables) -> None:
        self.hub = hub
        self.seconds = 0.0
        self.told: dict[str, str] = {}

    async def start(self) -> None:
        self.user, self.other = await self.hub.tenant("demo"), await self.hub.tenant("other")
        self.owner = await self.hub.tenant("radiology", "group")

    def limits(self, **given: Limit) -> Limits:
        return Limits(
            self.hub.database, clock=self.hub.clock, monotonic=lambda: self.seconds, **given
        )

    def wish(self, tenant: str | None = None, **changes: object) -> Wish:
        made = Wish(
            request_id=new_id("rq"),
            tenant_id=tenant or self.user,
            max_tokens=100,
            owner_id=self.owner,
            adapter_id="ad_1",
        )
        return replace(made, **changes)

    def tell(self, headers) -> None:
        self.told |= headers

    async def spend(self, tokens: int, adapter: str = "ad_1") -> None:
        row = {
            "id": new_id("us"),
            "created_at": self.hub.clock(),
            "tenant_id": self.user,
            "adapter_id": adapter,
            "request_id": new_id("rq"),
            "channel": "open",
            "prompt_tokens": tokens,
            "outcome": "completed",
        }
        await self.hub.database.write(lambda c: c.execute(tables.usage.insert().values(row)))

    async def held(self) -> int:
        count = sa.select(sa.func.count(tables.running_answers.c.id))
        return await self.hub.database.read(lambda c: c.execute(count).scalar_one())


@pytest.fixture
async def bench(tmp_path):
    made = Bench(open_tables(tmp_path))
    await made.start()
    yield made
    made.hub.database.close()


@pytest.mark.parametrize("kind", ["user", "owner", "adapter"])
async def test_answers_at_a_time(bench: Bench, kind: str):
    limits = bench.limits(**{kind: Limit(answers=2)})
    first = await limits.enter(bench.wish())
    await limits.enter(bench.wish())
    with pytest.raises(RateLimitError, match="2 of at most 2 answers running") as refused:
        await limits.enter(bench.wish())
    assert refused.value.retry_after_seconds
    await limits.leave(first, "rq")
    await limits.leave(first, "rq")
    await limits.enter(bench.wish())
    with pytest.raises(RateLimitError):
        await limits.enter(bench.wish())


@pytest.mark.parametrize("kind", ["user", "owner", "adapter"])
async def test_requests_a_minute(bench: Bench, kind: str):
    limits = bench.limits(**{kind: Limit(requests_per_minute=2)})
    for left in ("1", "0"):
        await limits.leave(await limits.enter(bench.wish(), bench.tell), "rq")
        assert bench.told["x-ratelimit-remaining-requests"] == left
    with pytest.raises(RateLimitError, match="2 requests in this minute") as refused:
        await limits.enter(bench.wish(), bench.tell)
    assert refused.value.retry_after_seconds == 30
    bench.seconds = 30
    await limits.enter(bench.wish(), bench.tell)


async def test_a_request_that_is_refused_counts_nowhere(bench: Bench):
    limits = bench.limits(
        user=Limit(requests_per_minute=5), adapter=Limit(requests_per_minute=1, answers=1)
    )
    await limits.enter(bench.wish())
    for _ in range(10):
        with pytest.raises(RateLimitError):
            await limits.enter(bench.wish())
    for number in range(4):
        await limits.enter(bench.wish(adapter_id=f"ad_other{number}"))


async def test_another_users_requests_count_for_the_adapter_and_not_for_me(bench: Bench):
    limits = bench.limits(user=Limit(answers=1), adapter=Limit(answers=2))
    await limits.enter(bench.wish())
    await limits.enter(bench.wish(bench.other))
    with pytest.raises(RateLimitError, match="This adapter has 2"):
        await limits.enter(bench.wish("tn_third"))


@pytest.mark.parametrize("kind", ["user", "adapter"])
async def test_tokens_of_a_day_are_cut_to_what_is_left_and_come_back_at_midnight(
    bench: Bench, kind: str
):
    limits = bench.limits(**{kind: Limit(tokens_per_day=150)})
    await bench.spend(20)
    first = bench.wish()
    held = await limits.enter(first, bench.tell)
    assert held.max_tokens == 100
    assert bench.told["x-ratelimit-remaining-tokens"] == "30"
    second = bench.wish()
    assert (await limits.enter(second)).max_tokens == 30
    with pytest.raises(RateLimitError, match="held by answers that are running"):
        await limits.enter(bench.wish())
    await limits.leave(held, first.request_id)
    await bench.spend(100)
    with pytest.raises(RateLimitError):
        await limits.enter(bench.wish())
    await bench.spend(30)
    with pytest.raises(InsufficientQuotaError, match="spent 150 tokens today; the limit is 150"):
        await limits.enter(bench.wish(), bench.tell)
    assert bench.told["x-should-retry"] == "false"
    bench.hub.clock.forward(24 * 3600)
    assert (await limits.enter(bench.wish())).max_tokens == 100


async def test_what_a_crash_left_held_comes_back_after_a_while(bench: Bench):
    limits = bench.limits(user=Limit(tokens_per_day=100))
    await limits.enter(bench.wish())
    with pytest.raises(RateLimitError):
        await limits.enter(bench.wish())
    bench.hub.clock.forward(3601)
    held = await limits.enter(wish := bench.wish())
    await limits.leave(held, wish.request_id)
    assert await bench.held() == 0


async def test_tokens_that_are_not_written_yet_count(bench: Bench):
    limits = bench.limits(user=Limit(tokens_per_day=150))
    limits.pending_tokens = {bench.user: 120}.get
    assert (await limits.enter(bench.wish())).max_tokens == 30


async def test_several_replicas_agree_on_tokens(bench: Bench):
    one, two = (bench.limits(adapter=Limit(tokens_per_day=150)) for _ in range(2))
    made = await asyncio.gather(one.enter(bench.wish()), two.enter(bench.wish()))
    assert sorted(held.max_tokens for held in made) == [50, 100]


async def test_a_caller_that_leaves_while_it_is_counted_holds_nothing(bench: Bench):
    limits = bench.limits(user=Limit(tokens_per_day=150, answers=1))
    task = asyncio.create_task(limits.enter(bench.wish()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await bench.held() == 0
    assert (await limits.enter(bench.wish())).max_tokens == 100


async def test_a_manager_can_only_lower_what_the_administrator_allows(bench: Bench):
    limits = bench.limits(adapter=Limit(answers=5))
    assert limits.adapter_limit({"answers": 9}) == Limit(answers=5)
    assert limits.adapter_limit({"answers": 2, "tokens_per_day": 10}) == Limit(2, None, 10)
    assert limits.adapter_limit(None) == Limit(answers=5)
    assert Limit.read({"answers": 0}) == Limit()


async def test_without_limits_the_database_is_not_asked(bench: Bench):
    bench.hub.database.close()
    held = await bench.limits(user=Limit(answers=3)).enter(bench.wish())
    assert held.max_tokens == 100
