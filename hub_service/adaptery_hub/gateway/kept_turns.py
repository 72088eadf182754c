"""Turns: what an offer of the sealed channel keeps for its request, for a moment.

A caller waits its turn, and is counted, when it asks for an offer; it seals to the agent that it
was given, and its place there and its share of the limits wait for it. Whoever lets the moment pass
has lost its turn, and paid for it in the line like for a request, and for the time besides: a place
that is kept for nobody is one that others wait for.

Invariants:
- A turn is claimed once or ended once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from adaptery_hub.gateway.places import Place

#: A client seals and sends in milliseconds; over a slow line in a second.
HOLD_SECONDS = 5.0
#: What an answer makes meanwhile: what whoever lets the moment pass pays in the line.
HOLD_TOKENS = 250


@dataclass(frozen=True)
class Turn:
    """A place at an agent, and what the request holds of its limits."""

    place: Place
    #: gives back what is held; a second call does nothing
    leave: Callable[[], Awaitable[None]]
    #: called with tokens, if the moment passes
    charge: Callable[[float], object] = lambda tokens: None

    async def end(self) -> None:
        """Give all back."""
        self.place.release()
        await self.leave()


class KeptTurns:
    """The turns of open offers; for use on the event loop only."""

    def __init__(self, hold_seconds: float = HOLD_SECONDS) -> None:
        self.hold_seconds = hold_seconds
        self._kept: dict[str, tuple[Turn, asyncio.TimerHandle]] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def keep(self, nonce: str, turn: Turn) -> None:
        """Keep a turn for the request under the grant with this nonce."""
        loop = asyncio.get_running_loop()
        self._kept[nonce] = (turn, loop.call_later(self.hold_seconds, self._end, nonce))

    def claim(self, nonce: str) -> Turn | None:
        """Return the turn of a grant, if it is still kept here."""
        turn, timer = self._kept.pop(nonce, (None, None))
        if timer is not None:
            timer.cancel()
        return turn

    def _end(self, nonce: str) -> None:
        turn = self.claim(nonce)
        if turn is not None:
            turn.charge(HOLD_TOKENS)
            task = asyncio.create_task(turn.end(), name="an offer that was not used")
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
