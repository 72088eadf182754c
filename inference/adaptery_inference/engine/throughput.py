"""How many tokens per second were generated of late."""

from collections import deque
from collections.abc import Callable

WINDOW_SECONDS = 10.0  # long enough to smooth a step, short enough for a live chart


class ThroughputMeter:
    """A sliding window over (time, tokens)."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._events: deque[tuple[float, int]] = deque()
        self._tokens = 0

    def add(self, tokens: int) -> None:
        """Note that ``tokens`` were generated now."""
        self._events.append((self._clock(), tokens))
        self._tokens += tokens
        self._forget_old()

    def per_second(self) -> float:
        """The mean over the window."""
        self._forget_old()
        return self._tokens / WINDOW_SECONDS

    def _forget_old(self) -> None:
        oldest = self._clock() - WINDOW_SECONDS
        while self._events and self._events[0][0] < oldest:
            self._tokens -= self._events.popleft()[1]
