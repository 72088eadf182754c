"""When running answers look again whether their caller is still let in.

A right that is taken away, a group that is left and a token that is revoked end what is running.
Whoever takes a right away in this process says so here, and the answers about that thing look at
once; what another process did is found within `look_again_seconds`.

One timer serves all of them: an answer that is over before its first look costs no task.

A hint, never the truth: what counts is what the database and the Hub say then. See
`handlers.admission`, which looks.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

#: How long a stream goes on before it looks again. The look at our own rights is one short query;
#: the Hub's answer about a token is believed for `identity_cache_seconds` of that.
LOOK_AGAIN_SECONDS = 5.0
#: How often the timer looks who is due, as a share of that.
_TICK_SHARE = 0.05

Look = Callable[[], Awaitable[None]]


class Watch:
    """One kind of look of one running answer; a look is over before the next one begins."""

    def __init__(self, look: Look, due_at: float, every_seconds: float) -> None:
        self._look = look
        self._due_at = due_at
        self._every_seconds = every_seconds
        self._context = contextvars.copy_context()  # of the request, for the log
        self._task: asyncio.Task[None] | None = None
        self._doubted = False

    def tick(self, at: float) -> None:
        """Look if it is time."""
        if at >= self._due_at:
            self.look_now()

    def look_now(self) -> None:
        """Look, or once more after the look that is under way: it may have been too early."""
        if self._task is not None and not self._task.done():
            self._doubted = True
            return
        self._due_at = asyncio.get_running_loop().time() + self._every_seconds
        self._task = asyncio.create_task(self._run(), name="look again", context=self._context)

    def end(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        again = True
        while again:
            self._doubted = False
            await self._look()
            again = self._doubted


class Admissions:
    """The running answers, by the thing that they are about; for use on the event loop only."""

    def __init__(self, look_again_seconds: float = LOOK_AGAIN_SECONDS) -> None:
        self.look_again_seconds = look_again_seconds
        self._watches: dict[str | None, set[Watch]] = {}
        self._timed: set[Watch] = set()
        self._timer: asyncio.TimerHandle | None = None

    def recheck(self, thing_id: str) -> None:
        """Let the answers about a thing look at once."""
        for watch in self._watches.get(thing_id, ()):
            watch.look_now()

    def recheck_all(self) -> None:
        """Let every answer look at once."""
        for watches in self._watches.values():
            for watch in watches:
                watch.look_now()

    @contextmanager
    def watch(
        self, thing_id: str | None, look: Look, look_at_token: Look, passed_seconds: float
    ) -> Iterator[None]:
        """Let an answer look again for as long as it runs.

        Args:
            thing_id: what it is about.
            look: looks at our own rights, also whenever there is doubt.
            look_at_token: asks the Hub.
            passed_seconds: since the rights were looked at.
        """
        seconds, at = self.look_again_seconds, asyncio.get_running_loop().time()
        rights = Watch(look, at + max(0.0, seconds - passed_seconds), seconds)
        token = Watch(look_at_token, at + seconds, seconds)
        self._watches.setdefault(thing_id, set()).add(rights)
        self._timed |= {rights, token}
        self._set_timer()
        try:
            yield
        finally:
            for watch in (rights, token):
                self._timed.discard(watch)
                watch.end()
            watches = self._watches[thing_id]
            watches.discard(rights)
            if not watches:
                del self._watches[thing_id]

    def _set_timer(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self.look_again_seconds * _TICK_SHARE, self._tick)

    def _tick(self) -> None:
        self._timer = None
        at = asyncio.get_running_loop().time()
        for watch in self._timed:
            watch.tick(at)
        if self._timed:
            self._set_timer()
