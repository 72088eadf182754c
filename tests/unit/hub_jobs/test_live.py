"""Who is there: heartbeats, grace and the sticky return."""

from datetime import UTC, datetime, timedelta

import pytest

from adaptery.errors import IntegrityError
from adaptery.times import to_text
from adaptery_hub.fleet.heartbeats import read_heartbeat
from adaptery_hub.fleet.live import GRACE_SECONDS, Heartbeat, LiveView, StateChange

START = datetime(2026, 1, 1, tzinfo=UTC)


def beat(seq: int, free: int = 1) -> Heartbeat:
    return Heartbeat("ag_a", seq, START + timedelta(seconds=seq), workers=1, workers_free=free)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_an_agent_comes_goes_after_the_grace_and_needs_two_beats_to_return() -> None:
    live = LiveView()
    assert live.observe(beat(1), at(1)) == StateChange("ag_a", "live")
    assert live.observe(beat(2), at(2)) is None
    assert live.sweep(at(2 + GRACE_SECONDS)) == []
    assert live.sweep(at(3 + GRACE_SECONDS)) == [StateChange("ag_a", "gone")]
    assert live.sweep(at(4 + GRACE_SECONDS)) == [] and live.live() == []
    assert live.observe(beat(20), at(20)) is None
    assert live.observe(beat(22), at(22)) == StateChange("ag_a", "live")


def test_old_and_repeated_beats_change_nothing() -> None:
    live = LiveView()
    live.observe(beat(5, free=0), at(5))
    for seq in (5, 4):
        live.observe(beat(seq), at(9))
    view = live.get("ag_a")
    assert view is not None and view.beat.workers_free == 0 and view.last_seen_at == at(5)


def test_a_taken_slot_counts_until_the_next_beat() -> None:
    live = LiveView()
    live.observe(beat(1), at(1))
    live.take_slot("ag_a")
    assert [v.beat.workers_free for v in live] == [0]
    live.observe(beat(2), at(2))
    assert [v.beat.workers_free for v in live] == [1]


def test_a_heartbeat_is_read_leniently_and_a_draining_agent_has_no_room() -> None:
    said = {
        "agent": "ag_a",
        "seq": 3,
        "at": to_text(START),
        "draining": True,
        "slots": {"workers": 2, "free": 2, "new": 1},
        "base_models": [{"name": "tiny", "weight_digest": "sha256:" + "b" * 64}],
        "preparing": ["org/other"],
        "failed_base_models": ["org/bad"],
        "unknown": {},
    }
    read = read_heartbeat(said)
    assert (read.workers, read.workers_free) == (2, 0)
    assert read.base_models[0].name == "tiny"
    assert read.preparing == {"org/other"}
    assert read.failed_base_models == {"org/bad"}


@pytest.mark.parametrize("change", [{"seq": -1}, {"at": "x"}, {"base_models": [{"name": "t"}]}])
def test_what_is_no_heartbeat_is_refused(change: dict) -> None:
    with pytest.raises(IntegrityError):
        read_heartbeat({"agent": "ag_a", "seq": 1, "at": to_text(START), **change})
