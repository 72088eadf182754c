from datetime import datetime, timedelta

import pytest

from adaptery.errors import RefusedError
from adaptery.sealed import Freshness, RefusalReason
from support.sealed_parties import START


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def reason(freshness: Freshness, nonce: bytes, sent: float, now: float) -> str | None:
    try:
        freshness.admit(nonce, after(sent), after(now))
    except RefusedError as error:
        return error.reason
    return None


def test_a_nonce_is_admitted_once_for_as_long_as_its_stamp_would_pass():
    freshness = Freshness(60, started_at=None)
    assert reason(freshness, b"a", sent=59, now=0) is None
    for now in (0, 60, 119):
        assert reason(freshness, b"a", sent=59, now=now) == RefusalReason.REPLAY
    assert reason(freshness, b"a", sent=59, now=120) == RefusalReason.STALE


def test_a_clock_that_is_set_back_does_not_make_a_forgotten_message_fresh():
    freshness = Freshness(60, started_at=None)
    assert reason(freshness, b"a", sent=0, now=0) is None
    assert reason(freshness, b"b", sent=100, now=100) is None  # forgets a
    assert reason(freshness, b"a", sent=0, now=0) == RefusalReason.STALE


@pytest.mark.parametrize(("sent", "admitted"), [(-60, True), (60, True), (-60.001, False)])
def test_the_window_has_its_edges_inside(sent: float, admitted: bool):
    assert (reason(Freshness(60, started_at=None), b"a", sent, 0) is None) is admitted


def test_a_full_memory_refuses_until_there_is_room():
    freshness = Freshness(60, started_at=None, limit=2)
    assert reason(freshness, b"a", 0, 0) is None
    assert reason(freshness, b"b", 0, 0) is None
    assert reason(freshness, b"c", 0, 0) == RefusalReason.OVERLOAD
    assert reason(freshness, b"c", 61, 61) is None
