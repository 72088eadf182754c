"""How much a key may do: requests per minute and tokens per day."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from adaptery.errors import InsufficientQuotaError, RateLimitError
from adaptery.ids import new_id
from adaptery_hub.database import Database, tables
from adaptery_hub.identity import KeyHold
from adaptery_hub.key_limits import RESERVED_SECONDS, Bucket, KeyLimits, spell_seconds
from support.hub_tables import Clock
from support.schema import open_database

KEY = KeyHold("ak_01hzzzzzzzzzzzzzzzzzzzzzzz", "", (), tokens_per_day=100, requests_per_minute=60)


class Desk:
    """Limits over a database, with clocks that a test sets forward."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = Clock()
        self.seconds = 0.0
        self.limits = KeyLimits(database, self.clock, lambda: self.seconds)
        self.told: dict[str, str] = {}

    def reserved(self, request: str, wanted: int = 30, prompts: int = 1, key: KeyHold = KEY):  # type: ignore[no-untyped-def]
        return self.limits.reserved(key, request, wanted, prompts, self.told.update)

    async def spend(self, prompt_tokens: int, completion_tokens: int) -> None:
        row = {
            "id": new_id("us"),
            "created_at": self.clock(),
            "tenant_id": "tn_x",
            "key_id": KEY.id,
            "request_id": "rq",
            "channel": "open",
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "outcome": "completed",
        }
        await self.database.write(lambda c: c.execute(tables.usage.insert().values(row)))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    database = open_database(tmp_path / "test.sqlite")
    desk = Desk(database)
    with database.engine.begin() as connection:
        tenant = {"id": "tn_x", "kind": "user", "hub_name": "x", "slug": "x", "state": "active"}
        connection.execute(tables.tenants.insert().values(created_at=desk.clock(), **tenant))
        key = {"id": KEY.id, "tenant_id": "tn_x", "creator_id": "tn_x", "name": "k"}
        key |= {"secret_hash": "h", "adapters": [], "verbs": [], "prefix": "ak-"}
        moments = {"created_at": desk.clock(), "expires_at": desk.clock() + timedelta(days=9)}
        connection.execute(tables.keys.insert().values(**key, **moments))
    yield desk
    database.close()


# -- requests ---------------------------------------------------------------------------------


def test_a_minute_is_let_through_and_no_more(desk: Desk) -> None:
    waits = [desk.limits.take_request(KEY)[1] for _ in range(61)]
    assert waits[:60] == [0.0] * 60 and waits[60] == pytest.approx(1.0)
    desk.seconds += 1
    headers, wait = desk.limits.take_request(KEY)
    assert wait == 0.0
    assert headers["x-ratelimit-limit-requests"] == "60"
    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert headers["x-ratelimit-reset-requests"] == "1m0s"


def test_each_key_has_a_bucket_of_its_own(desk: Desk) -> None:
    other = KeyHold("ak_other", "", (), requests_per_minute=1)
    assert desk.limits.take_request(other)[1] == 0.0
    assert desk.limits.take_request(other)[1] > 0
    assert desk.limits.take_request(KEY)[1] == 0.0


def test_without_a_limit_nothing_is_counted_or_told(desk: Desk) -> None:
    free = KeyHold("ak_free", "", ())
    assert all(desk.limits.take_request(free) == ({}, 0.0) for _ in range(1000))


@given(
    st.integers(1, 600),
    st.lists(st.floats(0, 5, allow_nan=False), min_size=1, max_size=200),
)
def test_never_more_than_the_burst_and_the_rate(per_minute: int, pauses: list[float]) -> None:
    bucket, at, taken = Bucket(per_minute, 0.0), 0.0, 0
    for pause in pauses:
        at += pause
        wait = bucket.take(at)
        taken += wait == 0.0
        assert 0 <= bucket.left(at) <= per_minute
        assert wait <= 60 / per_minute + 1e-6
    assert taken <= per_minute + at * per_minute / 60 + 1e-6


@pytest.mark.parametrize(
    "seconds, text",
    [(0, "0s"), (0.12, "120ms"), (1, "1s"), (360, "6m0s"), (3723, "1h2m3s"), (7200, "2h0m0s")],
)
def test_durations_are_spelt_as_openai_does(seconds: float, text: str) -> None:
    assert spell_seconds(seconds) == text


# -- tokens -----------------------------------------------------------------------------------


async def test_a_request_is_cut_to_what_is_left(desk: Desk) -> None:
    await desk.spend(50, 30)
    async with desk.reserved("rq_1", 30) as limit:
        assert limit == 20
        assert desk.told["x-ratelimit-remaining-tokens"] == "0"
    assert desk.told["x-ratelimit-limit-tokens"] == "100"


async def test_what_is_running_counts_until_it_ends(desk: Desk) -> None:
    async with desk.reserved("rq_1", 60) as first:
        async with desk.reserved("rq_2", 60) as second:
            assert (first, second) == (60, 40)
            with pytest.raises(RateLimitError) as caught:
                async with desk.reserved("rq_3", 1):
                    raise AssertionError
            assert (caught.value.retry_after_seconds or 0) < 60
        async with desk.reserved("rq_4", 60) as again:
            assert again == 40


async def test_a_spent_day_says_when_the_next_begins(desk: Desk) -> None:
    await desk.spend(90, 30)
    with pytest.raises(InsufficientQuotaError) as caught:
        async with desk.reserved("rq_1", 1):
            raise AssertionError
    day = timedelta(days=1).total_seconds()
    midnight = day - (3 * 3600 + 4 * 60 + 5)
    assert caught.value.retry_after_seconds == midnight
    assert desk.told["x-ratelimit-remaining-tokens"] == "0"
    assert desk.told["x-ratelimit-reset-tokens"] == "20h55m55s"
    assert desk.told["x-should-retry"] == "false"
    desk.clock.forward(midnight)
    async with desk.reserved("rq_1", 1) as limit:
        assert limit == 1


async def test_several_prompts_share_what_is_left(desk: Desk) -> None:
    async with desk.reserved("rq_1", 60, prompts=3) as limit:
        assert limit == 33
    with pytest.raises(InsufficientQuotaError):
        async with desk.reserved("rq_2", 60, prompts=101):
            raise AssertionError


async def test_many_at_once_reserve_no_more_than_there_is(desk: Desk) -> None:
    limits: list[int] = []
    everyone_in = asyncio.Event()

    async def ask(number: int) -> None:
        try:
            async with desk.reserved(f"rq_{number}", 15) as limit:
                assert limit is not None
                limits.append(limit)
                await everyone_in.wait()
        except RateLimitError:
            everyone_in.set()

    await asyncio.gather(*(ask(number) for number in range(12)))
    assert sum(limits) <= 100


async def test_a_cancelled_request_gives_back_what_it_reserved(desk: Desk) -> None:
    begun = asyncio.Event()

    async def ask() -> None:
        async with desk.reserved("rq_1", 100):
            begun.set()
            await asyncio.Event().wait()

    asking = asyncio.ensure_future(ask())
    await begun.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    async with desk.reserved("rq_2", 100) as limit:
        assert limit == 100


async def test_leaving_while_the_reservation_is_written_leaves_none(desk: Desk) -> None:
    async def ask() -> None:
        async with desk.reserved("rq_1", 100):
            raise AssertionError

    asking = asyncio.ensure_future(ask())
    await asyncio.sleep(0)  # it has begun to write
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    async with desk.reserved("rq_2", 100) as limit:
        assert limit == 100


async def test_what_a_crash_left_counts_for_an_hour(desk: Desk) -> None:
    await desk.limits.reserved(KEY, "rq_1", 100, 1, desk.told.update).__aenter__()
    with pytest.raises(RateLimitError):
        async with desk.reserved("rq_2", 1):
            raise AssertionError
    desk.clock.forward(RESERVED_SECONDS + 1)
    async with desk.reserved("rq_2", 100) as limit:
        assert limit == 100
    count = sa.select(sa.func.count(tables.reservations.c.id))
    assert await desk.database.read(lambda c: c.scalar(count)) == 0


async def test_a_key_without_a_limit_reserves_nothing(desk: Desk) -> None:
    async with desk.reserved("rq_1", 100, key=KeyHold("ak_free", "", ())) as limit:
        assert limit is None
    assert desk.told == {}
