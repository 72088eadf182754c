"""Seats for long work, shared fairly between tenants.

Invariants:

- Whoever has the fewest seats is next; among equals the one whose last turn is longest ago. So one
  tenant's hundred pieces of work are before another's first one by one turn at most.
- No tenant has all seats, so long as there are two or more.
- Within a tenant the order is that of coming.

For one event loop; counts are of this process.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

from adaptery.times import now
from adaptery_hub.queue.fairness import Limits, Share, Taken, Waiting, fair_order


@dataclass
class _Ticket:
    waiting: Waiting
    seated: asyncio.Future[None] = field(default_factory=asyncio.Future[None])


class FairSeats:
    """So many seats."""

    def __init__(self, seats: int) -> None:
        self._free = seats
        self._per_tenant = max(seats - 1, 1)
        self._numbers = itertools.count()
        self._tickets: dict[str, _Ticket] = {}
        self._taken: Counter[str] = Counter()
        self._last_turn: dict[str, datetime] = {}

    @asynccontextmanager
    async def seat(self, tenant_id: str) -> AsyncIterator[None]:
        """Wait for a seat, and have it."""
        number = f"{next(self._numbers):020}"
        ticket = self._tickets[number] = _Ticket(Waiting(number, tenant_id, tenant_id, 0, now()))
        self._call()
        try:
            await ticket.seated
            yield
        finally:
            if self._tickets.pop(number, None) is None:  # it was called
                self._free += 1
                self._taken[tenant_id] -= 1
            self._call()
            self._forget(tenant_id)

    def _call(self) -> None:
        """Give free seats to those who are next."""
        while self._free:
            shares = {
                tenant: Share(self._taken[tenant], self._last_turn.get(tenant))
                for tenant in {ticket.waiting.tenant_id for ticket in self._tickets.values()}
            }
            waiting = (ticket.waiting for ticket in self._tickets.values())
            found = next(fair_order(waiting, Taken(shares), Limits(self._per_tenant)), None)
            if found is None:
                return
            self._free -= 1
            self._taken[found.tenant_id] += 1
            self._last_turn[found.tenant_id] = now()
            ticket = self._tickets.pop(found.job_id)
            if not ticket.seated.done():  # whoever has left gives it back at once
                ticket.seated.set_result(None)

    def _forget(self, tenant_id: str) -> None:
        """Drop what is known of a tenant who has no seat and wants none."""
        wants = any(ticket.waiting.tenant_id == tenant_id for ticket in self._tickets.values())
        if not wants and not self._taken[tenant_id]:
            del self._taken[tenant_id]
            self._last_turn.pop(tenant_id, None)
