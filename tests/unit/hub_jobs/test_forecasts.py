"""When jobs start and end: their own pace, and the queue played through."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptery_hub.queue.forecast import Slot, Turn, forecasts
from adaptery_hub.queue.pace import Mark, Standing, end_of, step_seconds

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def marks(*told: tuple[int, float]) -> list[Mark]:
    return [Mark(step, at(seconds)) for step, seconds in told]


# -- pace -------------------------------------------------------------------------------------


def test_the_pace_is_of_the_steps_that_the_attempt_did_itself() -> None:
    fresh = marks((5, 10), (10, 20), (15, 30))
    resumed = marks((105, 10), (110, 20), (115, 30))
    assert step_seconds(fresh) == step_seconds(resumed) == 2.0


@pytest.mark.parametrize("told", [(), ((1, 0),), ((1, 0), (2, 5)), ((1, 0), (2, 0), (3, 0))])
def test_what_is_not_known_is_not_guessed(told: tuple[tuple[int, float], ...]) -> None:
    assert step_seconds(marks(*told)) is None


def test_a_pause_does_not_slow_the_pace_but_an_evaluation_does() -> None:
    even = [(step, float(step)) for step in range(1, 11)]
    paused = [*even, *((step, step + 3600.0) for step in range(11, 21))]
    assert step_seconds(marks(*paused)) == pytest.approx(1.0)
    evaluated = [*even, *((step, step + 10.0) for step in range(11, 21))]
    assert step_seconds(marks(*evaluated)) == pytest.approx(29 / 19)


def test_a_step_that_is_told_again_and_a_clock_set_back_change_nothing() -> None:
    again = marks((1, 0), (2, 2), (2, 3), (3, 4))
    assert step_seconds(again) == 2.0
    assert step_seconds(marks((1, 0), (2, 2), (3, -50), (4, -48), (5, -46))) == 2.0


def test_the_end_moves_on_while_no_step_comes() -> None:
    standing = Standing(step=10, total_steps=20, stepped_at=NOW, step_seconds=3.0)
    assert end_of(standing, at(1)) == at(30)
    assert end_of(standing, at(100)) == at(127)
    endless = Standing(step=1, total_steps=2**53, stepped_at=NOW, step_seconds=1e9)
    assert end_of(endless, NOW) is None
    done = Standing(step=20, total_steps=20, stepped_at=NOW, step_seconds=3.0)
    assert end_of(done, at(5)) == at(5)


# -- the queue --------------------------------------------------------------------------------


def starts(turns: list[Turn], slots: list[Slot]) -> dict[str, float]:
    found = forecasts(turns, slots, NOW)
    return {job: (entry.starts_at - NOW).total_seconds() for job, entry in found.items()}


def slot(free_in: float | None, *digests: str) -> Slot:
    return Slot(frozenset(digests or (ONE,)), None if free_in is None else at(free_in))


def test_jobs_take_the_slot_that_is_free_first() -> None:
    turns = [Turn(name, ONE, 100) for name in "abcd"]
    assert starts(turns, [slot(0), slot(30)]) == {"a": 0, "b": 30, "c": 100, "d": 130}
    (last,) = (entry for job, entry in forecasts(turns, [slot(-9)], NOW).items() if job == "d")
    assert (last.starts_at, last.ends_at) == (at(300), at(400))


def test_a_job_waits_for_an_agent_that_has_its_base_model() -> None:
    turns = [Turn("a", ONE, 10), Turn("b", TWO, 10), Turn("c", TWO, 10)]
    assert starts(turns, [slot(0, ONE, TWO), slot(5, TWO)]) == {"a": 0, "b": 5, "c": 10}
    assert starts(turns, [slot(0, ONE)]) == {"a": 0}
    assert starts(turns, []) == {}


def test_behind_what_nobody_knows_nothing_is_known() -> None:
    turns = [Turn("a", ONE, None), Turn("b", ONE, 10)]
    assert starts(turns, [slot(4)]) == {"a": 4}
    assert starts(turns, [slot(4), slot(None)]) == {"a": 4}
    assert starts(turns, [slot(4), slot(6)]) == {"a": 4, "b": 6}
    assert forecasts(turns, [slot(4)], NOW)["a"].ends_at is None
    assert forecasts([Turn("a", ONE, 1e300)], [slot(4)], NOW)["a"].ends_at is None


@given(
    st.lists(st.tuples(st.sampled_from([ONE, TWO]), st.integers(1, 50)), max_size=30),
    st.lists(st.tuples(st.integers(0, 50), st.sampled_from([(ONE,), (TWO,), (ONE, TWO)]))),
)
def test_no_slot_holds_two_jobs_at_once(
    jobs: list[tuple[str, int]], free: list[tuple[int, tuple[str, ...]]]
) -> None:
    turns = [Turn(str(place), digest, float(length)) for place, (digest, length) in enumerate(jobs)]
    slots = [slot(seconds, *digests) for seconds, digests in free]
    found = forecasts(turns, slots, NOW)
    for moment in {entry.starts_at for entry in found.values()}:
        running = [e for e in found.values() if e.ends_at and e.starts_at <= moment < e.ends_at]
        assert len(running) <= len(slots)
    held = {digest for _, digests in free for digest in digests}
    assert set(found) == {turn.job_id for turn in turns if turn.weight_digest in held}
