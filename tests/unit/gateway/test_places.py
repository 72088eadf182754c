"""Places at the agents, and whose turn it is when all are taken."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from adaptery.errors import EngineBusyError
from adaptery_hub.gateway.fair_line import FairLine
from adaptery_hub.gateway.places import LineRules, PlaceMetrics, Places
from adaptery_hub.gateway.routing import Need
from support.hub_tables import WEIGHTS
from support.scripted_fleet import view
from support.waiting import eventually

NEED = Need(WEIGHTS)


def places(agents=("ag_a",), **rules):
    here = {agent: view(agent) for agent in agents}
    made = Places(lambda: list(here.values()), LineRules(**rules))
    made.here = here  # type: ignore[attr-defined]
    return made


async def waiting(made, count):
    await eventually(lambda: made._waiting.total() == count)


async def queue_up(made, tenant, count, cost=10):
    """Let so many requests wait; return their tasks, in their order."""
    before = made._waiting.total()
    tasks = [asyncio.create_task(made.take(NEED, tenant, cost)) for _ in range(count)]
    await waiting(made, before + count)
    return tasks


async def test_one_request_is_behind_one_answer_of_a_tenant_that_has_five_hundred():
    made = places(answers_per_agent=1)
    place = await made.take(NEED, "many", 10)
    crowd = await queue_up(made, "many", 499)
    (single,) = await queue_up(made, "one", 1)
    place.release()
    place = await asyncio.wait_for(asyncio.shield(single), 5)
    assert not any(task.done() for task in crowd), "the single request was next"
    for task in crowd:
        place.release()
        place = await task
    place.release()
    assert not made._running
    assert not made._waiting


async def test_long_answers_count_for_more_turns():
    made = places(answers_per_agent=1)
    place = await made.take(NEED, "other", 1)
    long = await queue_up(made, "long", 5, cost=100)
    short = await queue_up(made, "short", 10, cost=10)
    served = []
    for task in (*long, *short):
        task.add_done_callback(lambda _, t=task: served.append("long" if t in long else "short"))
    while any(not task.done() for task in (*long, *short)):
        place.release()
        done, _ = await asyncio.wait(
            {t for t in (*long, *short) if t.get_name() not in served and not t.done()},
            return_when=asyncio.FIRST_COMPLETED,
        )
        (place,) = (task.result() for task in done)
    assert served[:12].count("short") == 10


async def test_places_are_shared_out_over_the_agents_before_anyone_waits():
    made = places(("ag_a", "ag_b"), answers_per_agent=2)
    taken = [await made.take(NEED, "one", 1) for _ in range(4)]
    assert Counter(place.view.agent_id for place in taken) == {"ag_a": 2, "ag_b": 2}
    (task,) = await queue_up(made, "one", 1)
    taken[0].release()
    taken[0].release()
    assert (await task).view.agent_id == taken[0].view.agent_id
    assert made._running.total() == 4, "a place is given back once"


async def test_without_an_agent_nobody_waits():
    assert await places(()).take(NEED, "one", 1) is None
    assert await places(answers_per_agent=1).take(NEED, "one", 1, tried={"ag_a"}) is None


async def test_after_a_start_the_first_heartbeats_are_waited_for():
    made = places((), settle_seconds=5.0)
    (task,) = await queue_up(made, "one", 1)
    made.here["ag_b"] = view("ag_b")
    assert (await asyncio.wait_for(task, 5)).view.agent_id == "ag_b"
    assert await places((), settle_seconds=0.01).take(NEED, "one", 1) is None


async def test_who_waits_too_long_is_told_when_to_come_again():
    made = places(answers_per_agent=1, wait_seconds=0.01)
    place = await made.take(NEED, "one", 1)
    with pytest.raises(EngineBusyError) as refused:
        await made.take(NEED, "one", 1)
    assert refused.value.retry_after_seconds
    assert not made._waiting
    place.release()
    assert not made._running, "the place did not go to one who had left"


async def test_the_line_is_bounded_for_each_tenant_and_in_all():
    made = places(answers_per_agent=1, per_tenant=2, in_all=3)
    place = await made.take(NEED, "one", 1)
    tasks = await queue_up(made, "one", 2)
    with pytest.raises(EngineBusyError, match="Too many"):
        await made.take(NEED, "one", 1)
    tasks += await queue_up(made, "two", 1)
    with pytest.raises(EngineBusyError, match="Too many"):
        await made.take(NEED, "three", 1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    place.release()
    assert not made._waiting
    assert not made._running


async def test_a_place_that_comes_in_the_moment_of_leaving_is_not_lost():
    made = places(answers_per_agent=1)
    place = await made.take(NEED, "one", 1)
    (leaving,) = await queue_up(made, "one", 1)
    (staying,) = await queue_up(made, "two", 1)
    place.release()
    leaving.cancel()
    (await asyncio.wait_for(staying, 5)).release()
    await asyncio.gather(leaving, return_exceptions=True)
    assert not made._running


async def test_an_agent_that_comes_serves_those_who_wait():
    made = places(answers_per_agent=1)
    await made.take(NEED, "one", 1)
    (task,) = await queue_up(made, "two", 1)
    made.here["ag_b"] = view("ag_b")
    assert (await asyncio.wait_for(task, 5)).view.agent_id == "ag_b"


async def test_metrics_tell_how_many_wait_and_how_it_ended_and_no_names():
    registry = CollectorRegistry()
    made = Places(
        lambda: [view("ag_a")],
        LineRules(answers_per_agent=1, wait_seconds=0.01),
        PlaceMetrics(registry),
    )
    place = await made.take(NEED, "tenant-name", 1)
    assert registry.get_sample_value("adaptery_answers_running") == 1
    with pytest.raises(EngineBusyError):
        await made.take(NEED, "tenant-name", 1)
    place.release()
    late = registry.get_sample_value("adaptery_answer_wait_seconds_count", {"outcome": "late"})
    assert late == 1
    assert registry.get_sample_value("adaptery_answers_waiting") == 0
    from prometheus_client.exposition import generate_latest

    assert b"tenant-name" not in generate_latest(registry)


tenants = st.sampled_from(["a", "b", "c"])


@given(st.lists(st.tuples(tenants, st.integers(1, 50)), max_size=60))
def test_each_tenant_keeps_its_order_and_nobody_is_lost(requests):
    line = FairLine()
    for number, (tenant, cost) in enumerate(requests):
        line.enter(tenant, cost, (tenant, number))
    served = []
    while (item := line.first()) is not None:
        line.serve_first()
        served.append(item)
    assert len(line) == 0
    assert len(served) == len(requests)
    for tenant in "abc":
        numbers = [number for name, number in served if name == tenant]
        assert numbers == sorted(numbers)


@given(st.lists(st.tuples(tenants, st.integers(1, 50)), min_size=1, max_size=60))
def test_tenants_who_wait_get_the_same_within_their_largest_request(requests):
    line = FairLine()
    for tenant, cost in requests:
        line.enter(tenant, cost, (tenant, cost))
    left, got = Counter(tenant for tenant, _ in requests), Counter()
    largest = max(cost for _, cost in requests)
    while line.first() is not None:
        tenant, cost = line.first()
        line.serve_first()
        got[tenant] += cost
        left[tenant] -= 1
        backlogged = [name for name in left if left[name]]
        if len(backlogged) == len(left):  # all waited until now
            assert max(got[n] for n in left) - min(got[n] for n in left) <= 2 * largest


def test_who_comes_and_leaves_leaves_nothing_behind():
    line = FairLine()
    line.enter("patient", 1, "patient")
    for _ in range(10_000):
        line.leave(line.enter("restless", 1000, "restless"))
    assert len(line._tickets) < 200 and len(line) == 1
    assert line.first() == "patient"


def test_who_left_is_skipped_and_tags_are_forgotten():
    line = FairLine()
    first = line.enter("a", 1, "first")
    line.enter("a", 1, "second")
    line.leave(first)
    line.leave(first)
    assert len(line) == 1
    assert line.first() == "second"
