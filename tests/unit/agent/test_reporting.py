import asyncio

import pytest

from adaptery.errors import (
    DeadlineError,
    InternalError,
    LeaseLostError,
    NotFoundError,
    UnavailableError,
)
from adaptery_network.agent.guard import boot_seconds
from adaptery_network.agent.lines import Backoff
from adaptery_network.agent.load import LoadMeter
from adaptery_network.agent.reporter import EVENTS_PER_REPORT, Reporter, ReportTiming
from adaptery_network.agent.tasks import end_tasks
from support.agent_side.desk import DeskLine, ServiceDesk
from support.waiting import eventually


class Holder:
    def __init__(self):
        self.told = []
        self.until = 0.0

    def on_cancel(self):
        self.told.append("cancel")

    def on_renewed(self, until):
        self.until = until


def make(desk, lease_seconds=60.0, **timing):
    timing = {"gather_seconds": 0, "backoff": Backoff(0.005, 0.01), **timing}
    holder = Holder()
    reporter = Reporter(
        DeskLine(desk),
        holder,
        fencing_token=1,
        lease_seconds=lease_seconds,
        timing=ReportTiming(**timing),
    )
    return reporter, holder


def event(seq):
    return {"seq": seq, "kind": "metrics"}


async def test_many_events_go_in_several_reports_and_each_once(tmp_path):
    desk = ServiceDesk()
    reporter, _ = make(desk)
    for seq in range(1, EVENTS_PER_REPORT + 51):
        reporter.add(event(seq), 10)
    keeping = asyncio.create_task(reporter.keep())
    await reporter.flushed()
    assert len(desk.events) == EVENTS_PER_REPORT + 50
    assert desk.counts["report"] == 2
    await end_tasks(keeping)


async def test_big_events_do_not_share_a_report():
    desk = ServiceDesk()
    reporter, _ = make(desk)
    for seq in (1, 2, 3):
        reporter.add(event(seq), 200 * 1024)
    keeping = asyncio.create_task(reporter.keep())
    await reporter.flushed()
    assert desk.counts["report"] == 3
    await end_tasks(keeping)


async def test_without_news_the_lease_is_renewed_thrice_in_its_time():
    desk = ServiceDesk()
    reporter, holder = make(desk, lease_seconds=0.3)
    keeping = asyncio.create_task(reporter.keep())
    await eventually(lambda: desk.counts["report"] >= 5)
    assert holder.told == []
    await end_tasks(keeping)


async def test_only_an_answer_makes_the_lease_longer_and_it_counts_from_the_question():
    desk = ServiceDesk()
    desk.away = DeadlineError()
    reporter, holder = make(desk, lease_seconds=100.0)
    before = boot_seconds()
    keeping = asyncio.create_task(reporter.keep())
    await eventually(lambda: desk.counts["report"] >= 3)
    assert holder.until == 0.0
    desk.away = None
    await eventually(lambda: holder.until)
    assert before + 90.0 <= holder.until <= boot_seconds() + 90.0
    await end_tasks(keeping)


@pytest.mark.parametrize("error", [NotFoundError(), LeaseLostError(), InternalError()])
async def test_an_attempt_that_the_service_does_not_know_is_over(error):
    desk = ServiceDesk()
    desk.away = error
    reporter, _ = make(desk)
    with pytest.raises(LeaseLostError):
        await reporter.keep()


async def test_a_service_that_never_comes_back_is_given_up():
    desk = ServiceDesk()
    desk.away = UnavailableError()
    reporter, _ = make(desk, abandon_seconds=0.05)
    with pytest.raises(LeaseLostError):
        await reporter.keep()


def test_the_load_is_numbers(tmp_path):
    load = LoadMeter(tmp_path).measure()
    assert set(load) == {"cpu", "memory", "disk", "gpu"}
    assert 0 <= load["memory"]["share"] <= 1
    assert load["disk"]["free_bytes"] > 0


async def test_a_service_that_fails_for_a_moment_costs_nothing():
    desk = ServiceDesk()
    desk.away = InternalError()
    reporter, holder = make(desk)
    reporter.add(event(1))
    keeping = asyncio.create_task(reporter.keep())
    await eventually(lambda: desk.counts["report"] >= 3)
    desk.away = None
    await reporter.flushed()
    assert holder.told == []
    await end_tasks(keeping)
