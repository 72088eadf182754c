"""Ids, times and the table of job states."""

import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptery.errors import JobStateError
from adaptery.ids import IdMint, is_id, made_at, new_id
from adaptery.states import FINAL_STATES, TRANSITIONS, JobState, check_transition
from adaptery.times import from_text, now, to_text


def test_ids_are_prefix_and_26_characters():
    made = new_id("ds")
    assert is_id(made) and is_id(made, "ds") and not is_id(made, "jb")
    assert len(made) == 29 and made == made.lower()


@pytest.mark.parametrize("text", ["", "ds_", "ds_" + "u" * 26, "ds_" + "8" * 26, "DS_" + "0" * 26])
def test_other_texts_are_no_ids(text):
    assert not is_id(text)


def test_an_unknown_prefix_is_our_bug():
    with pytest.raises(ValueError, match="PREFIXES"):
        new_id("zz")


@given(st.lists(st.integers(0, 2**40), min_size=2, max_size=50))
def test_ids_sort_by_the_order_in_which_they_were_made_whatever_the_clock_does(moments):
    ticks = iter(moments)
    mint = IdMint(now_ms=lambda: next(ticks))
    made = [mint.new("jb") for _ in moments]
    assert made == sorted(set(made))


def test_threads_never_get_the_same_id():
    mint, made = IdMint(now_ms=lambda: 1), []
    threads = [
        threading.Thread(target=lambda: made.extend(mint.new("op") for _ in range(200)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 800


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_round_trip_to_the_millisecond(moment):
    rounded = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    assert from_text(to_text(moment)) == rounded


def test_times_are_utc_and_never_naive():
    there = datetime(2026, 1, 2, 3, 4, 5, 678_000, timezone(timedelta(hours=2)))
    assert to_text(there) == "2026-01-02T01:04:05.678Z"
    assert now().tzinfo is UTC
    with pytest.raises(ValueError, match="naive"):
        to_text(there.replace(tzinfo=None))
    with pytest.raises(ValueError, match="offset"):
        from_text("2026-01-02T03:04:05")


@pytest.mark.parametrize("old", list(JobState))
@pytest.mark.parametrize("new", list(JobState))
def test_only_changes_in_the_table_are_legal(old, new):
    if new in TRANSITIONS[old]:
        check_transition(old, new)
    else:
        with pytest.raises(JobStateError, match=old):
            check_transition(old, new)


def test_the_table_is_that_of_the_architecture():
    assert {"completed", "failed", "cancelled"} == FINAL_STATES
    assert TRANSITIONS[JobState.CREATED] == {"queued", "failed", "cancelled"}
    assert TRANSITIONS[JobState.QUEUED] == {"training", "failed", "cancelled"}
    assert TRANSITIONS[JobState.TRAINING] == {"queued", "completed", "failed", "cancelled"}


def test_an_id_says_when_it_was_made():
    assert made_at(IdMint(lambda: 86_400_000).new("jb")) == datetime(1970, 1, 2, tzinfo=UTC)
    for nothing in ("jb_7" + "z" * 25, "jb_" + "u" * 26, "", "jb"):
        assert made_at(nothing) is None
