import io
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from adaptery.schemas.events import parse_event
from adaptery_training.events import EventLog
from adaptery_training.failures import DivergedError

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.jsonl"


def lines(path):
    return [parse_event(line) for line in path.read_bytes().splitlines()]


def test_events_are_numbered_from_1_and_echoed(path):
    echo = io.BytesIO()
    log = EventLog(path, echo=echo, clock=lambda: NOON)
    log.state("training", total_steps=10)
    log.metrics(
        step=5, epoch=2.5, loss=1.0, learning_rate=0.1, grad_norm=0.2, tokens_per_second=3.0
    )
    log.error(DivergedError("The loss is not a number at step 6."))
    log.close()
    events = lines(path)
    assert [event.seq for event in events] == [1, 2, 3]
    assert (events[1].step_epoch, events[1].at) == (2, NOON)
    assert (events[2].code, "learning rate" in events[2].remedy) == ("diverged", True)
    assert echo.getvalue() == path.read_bytes()


def test_a_worker_started_again_goes_on_after_the_last_whole_line(path):
    first = EventLog(path)
    first.log("one")
    first.log("two")
    first.close()
    with path.open("ab") as file:
        file.write(b'{"seq":3,"at":"20')  # killed while writing
    again = EventLog(path)
    assert again.last_seq == 2
    again.log("three")
    again.close()
    assert [(e.seq, e.message) for e in lines(path)] == [(1, "one"), (2, "two"), (3, "three")]


def test_what_is_no_event_is_not_written(path):
    log = EventLog(path)
    with pytest.raises(ValidationError):
        log.metrics(
            step=1,
            epoch=1,
            loss=float("nan"),
            learning_rate=1,
            grad_norm=None,
            tokens_per_second=1,
        )
    log.close()
    assert path.read_bytes() == b""


def test_a_reader_that_went_away_does_not_end_the_attempt(path, tmp_path):
    class Gone(io.BytesIO):
        def write(self, _data):
            raise BrokenPipeError

    log = EventLog(path, echo=Gone())
    log.log("still here")
    log.close()
    assert lines(path)[0].message == "still here"
