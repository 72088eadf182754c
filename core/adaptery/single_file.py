"""Lets tasks that are ready at the same moment go one by one, a round of the event loop apart.

Fifty requests that come together would otherwise all be begun before the first of them leaves the
process, because what is written goes out after everything that is ready: each would wait for all.
One by one, half of them have their answer when half of the work is done.

It holds nobody back who is alone, and nobody waits for what another waits for.
"""

from __future__ import annotations

import asyncio
from collections import deque

__all__ = ["SingleFile"]


class SingleFile:
    """A line in which nobody stands for longer than those before take to go on."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._gone = False  # whether somebody has, in this round

    async def go(self) -> None:
        """Go on, at once or in a later round; those who come first go first."""
        if not self._gone:
            self._gone = True
            asyncio.get_running_loop().call_soon(self._next)
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        await turn

    def _next(self) -> None:
        while self._waiting and self._waiting[0].done():  # who has left meanwhile
            self._waiting.popleft()
        self._gone = bool(self._waiting)
        if self._waiting:
            self._waiting.popleft().set_result(None)
            asyncio.get_running_loop().call_soon(self._next)
