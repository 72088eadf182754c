"""Places at agents that were taken for an offer and wait for its request.

A caller of the sealed channel waits its turn when it asks for an offer, and seals to the agent that
it was given. Its place is kept for a moment; whoever lets that pass has lost the turn, and paid for
it in the line like for a request.

Invariants:
- A place is claimed once or given back once.
"""

from __future__ import annotations

import asyncio

from adaptery_hub.gateway.places import Place

#: A client seals and sends in milliseconds; over a slow line in a second.
HOLD_SECONDS = 5.0


class HeldPlaces:
    """The places of open offers; for use on the event loop only."""

    def __init__(self, hold_seconds: float = HOLD_SECONDS) -> None:
        self._hold_seconds = hold_seconds
        self._held: dict[str, tuple[Place, asyncio.TimerHandle]] = {}

    def hold(self, nonce: str, place: Place) -> None:
        """Keep a place for the request under the grant with this nonce."""
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._hold_seconds, self._give_back, nonce)
        self._held[nonce] = (place, timer)

    def claim(self, nonce: str) -> Place | None:
        """Return the place of a grant, if it is still kept here."""
        place, timer = self._held.pop(nonce, (None, None))
        if timer is not None:
            timer.cancel()
        return place

    def _give_back(self, nonce: str) -> None:
        place = self.claim(nonce)
        if place is not None:
            place.release()
