"""The messages of one reply on their way to its reader, bounded.

For: whoever subscribes to a reply subject and reads at the pace of somebody else. Not for what the
messages mean.

What always holds:
- An agent that sends without end, or much faster than its answer is read, is cut off: what waits
  for a slow reader is bounded.
- A reader that waits learns at once that the connection was lost.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from adaptery.errors import (
    AdapteryError,
    DeadlineError,
    IntegrityError,
    NoAgentError,
    SlowReaderError,
    UnavailableError,
)
from adaptery_network.transport import Message

__all__ = ["REPLY_LIMIT_BYTES", "UNREAD_LIMIT_BYTES", "Arrivals"]

REPLY_LIMIT_BYTES: Final = 64 * 1024**2  # of one reply: a hundred thousand tokens with their frames
UNREAD_LIMIT_BYTES: Final = 512 * 1024  # of it, what came and was not yet read: some 2,000 tokens


class Arrivals:
    """Takes messages in, and hands them out one by one to its one reader.

    Not an `asyncio.Queue`, which costs three times as much for each token of a stream. Close it
    after use.
    """

    def __init__(self) -> None:
        self._messages: deque[Message | AdapteryError | None] = deque()
        self._reader: asyncio.Future[None] | None = None  # while it waits
        self._silence: asyncio.TimerHandle | None = None
        self._silent_at = 0.0  # on the loop's clock, if nothing comes
        self._total_bytes = 0
        self._unread_bytes = 0
        self._cut = False

    def take(self, message: Message) -> None:
        """Keep a message, unless there are too many."""
        if self._cut:
            return
        self._total_bytes += len(message.payload)
        self._unread_bytes += len(message.payload)
        if self._total_bytes > REPLY_LIMIT_BYTES:
            self._end(IntegrityError("The agent's reply is larger than any answer."))
        elif self._unread_bytes > UNREAD_LIMIT_BYTES:
            self._end(SlowReaderError("The agent's reply came much faster than it was read."))
        else:
            self._put(message)

    def lose(self) -> None:
        """Note that the connection was lost."""
        self._end(UnavailableError("The connection to the broker was lost during the reply."))

    def finish(self) -> None:
        """Note that nothing more is to come."""
        self._end(None)

    async def next(self, timeout_seconds: float) -> Message | None:
        """Return the next message; None after the last one.

        Raises:
            DeadlineError: if none came in time.
            NoAgentError: if nobody listens to what was asked.
            UnavailableError: if the connection was lost.
            IntegrityError: if there is no end of them.
            SlowReaderError: if they came much faster than they were taken.
        """
        if not self._messages:
            await self._wait(timeout_seconds)
        message = self._messages.popleft()
        if isinstance(message, AdapteryError):
            raise message
        if message is None:
            return None
        self._unread_bytes -= len(message.payload)
        if message.no_responders:
            raise NoAgentError("The agent is not connected.")
        return message

    def close(self) -> None:
        """Let go of the timer."""
        if self._silence is not None:
            self._silence.cancel()

    async def _wait(self, seconds: float) -> None:
        # Once for each token of a stream, so one timer for all of them: it looks when it is due
        # how long the silence has been.
        loop = asyncio.get_running_loop()
        self._silent_at = loop.time() + seconds
        if self._silence is None:
            self._silence = loop.call_at(self._silent_at, self._look, seconds)
        self._reader = loop.create_future()
        try:
            await self._reader
        finally:
            self._reader = None

    def _look(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._silence = None
        if self._reader is None or self._reader.done():
            return
        if loop.time() >= self._silent_at:
            self._end(DeadlineError(f"The agent sent nothing for {seconds:g} s."))
        else:
            self._silence = loop.call_at(self._silent_at, self._look, seconds)

    def _end(self, why: AdapteryError | None) -> None:
        if not self._cut:
            self._cut = True
            self._put(why)

    def _put(self, message: Message | AdapteryError | None) -> None:
        self._messages.append(message)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
