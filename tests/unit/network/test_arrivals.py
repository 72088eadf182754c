"""The messages of a reply on their way to its reader."""

import asyncio
from contextlib import closing

import pytest

from adaptery.errors import DeadlineError
from adaptery_network.arrivals import Arrivals
from adaptery_network.transport import Message

SILENCE_SECONDS = 60.0


class HandClock:
    """A loop's clock that the test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._loop = asyncio.get_running_loop()
        self._at = self._loop.time()
        monkeypatch.setattr(self._loop, "time", lambda: self._at)

    async def pass_by(self, seconds: float) -> None:
        """Let what is ready begin, then time pass, then what is due happen."""
        for step in (0.0, seconds):
            self._at += step
            for _ in range(3):
                await asyncio.sleep(0)


async def test_silence_is_counted_from_the_last_message(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = HandClock(monkeypatch)
    with closing(Arrivals()) as arrivals:
        for _ in range(4):  # longer than the limit in all
            reading = asyncio.create_task(arrivals.next(SILENCE_SECONDS))
            await clock.pass_by(0.9 * SILENCE_SECONDS)
            arrivals.take(Message("reply", b"piece"))
            assert (await reading) == Message("reply", b"piece")
        reading = asyncio.create_task(arrivals.next(SILENCE_SECONDS))
        await clock.pass_by(0.9 * SILENCE_SECONDS)
        assert not reading.done()
        await clock.pass_by(0.2 * SILENCE_SECONDS)
        with pytest.raises(DeadlineError, match="60 s"):
            await reading


async def test_a_reader_that_takes_its_time_is_no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = HandClock(monkeypatch)
    with closing(Arrivals()) as arrivals:
        reading = asyncio.create_task(arrivals.next(SILENCE_SECONDS))
        await clock.pass_by(0.9 * SILENCE_SECONDS)
        arrivals.take(Message("reply", b"first"))
        await reading
        await clock.pass_by(3 * SILENCE_SECONDS)  # nobody waits
        arrivals.take(Message("reply", b"second"))
        assert (await arrivals.next(SILENCE_SECONDS)) == Message("reply", b"second")
        reading = asyncio.create_task(arrivals.next(SILENCE_SECONDS))
        await clock.pass_by(0.9 * SILENCE_SECONDS)
        assert not reading.done()
        arrivals.lose()
        await asyncio.wait([reading])
        assert reading.exception() is not None


def test_a_message_shows_nothing_of_what_it_carries() -> None:
    assert repr(Message("ad.owner.infer", b"secret")) == "Message('ad.owner.infer', 6 bytes)"
