"""Who waits for a write stands behind those of the same lane, and lanes take turns."""

import threading
from concurrent.futures import CancelledError

import pytest

from adaptery_hub.database.lanes import Lane, Lanes


@pytest.fixture
def held():
    """Lanes whose only thread is busy until the event is set."""
    lanes, event = Lanes(1, "test"), threading.Event()
    lanes.submit(Lane.AGENTS, event.wait)
    yield lanes, event
    event.set()
    lanes.shutdown()


def test_a_burst_in_one_lane_holds_up_the_other_by_every_second_call_only(held):
    lanes, event = held
    order: list[str] = []
    for lane, names in ((Lane.AGENTS, ("a1", "a2", "a3", "a4")), (Lane.SERVICE, ("s1", "s2"))):
        for name in names:
            lanes.submit(lane, lambda name=name: order.append(name))
    event.set()
    lanes.shutdown()
    assert order == ["s1", "a1", "s2", "a2", "a3", "a4"]


def test_results_and_errors_are_those_of_the_call(held):
    lanes, event = held
    event.set()
    assert lanes.submit(Lane.SERVICE, lambda: 7).result(5) == 7
    with pytest.raises(ZeroDivisionError):
        lanes.submit(Lane.AGENTS, lambda: 1 / 0).result(5)


def test_what_is_cancelled_before_its_turn_does_not_run(held):
    lanes, event = held
    ran: list[str] = []
    cancelled = lanes.submit(Lane.SERVICE, lambda: ran.append("cancelled"))
    kept = lanes.submit(Lane.SERVICE, lambda: ran.append("kept"))
    assert cancelled.cancel()
    event.set()
    kept.result(5)
    assert ran == ["kept"]
    with pytest.raises(CancelledError):
        cancelled.result(5)


def test_who_hands_in_after_the_end_is_told():
    lanes = Lanes(1, "test")
    lanes.shutdown()
    with pytest.raises(RuntimeError):
        lanes.submit(Lane.SERVICE, lambda: None)
