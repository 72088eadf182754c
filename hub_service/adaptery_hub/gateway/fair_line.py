"""Who is next: start-time fair queueing between tenants, by the tokens that they ask for.

Pure: no clock, no tasks. Each tenant has a tag, the virtual time at which its next request may
start; serving one moves it on by the request's cost. Whoever waits with the smallest tag is next. A
tenant that comes after a pause starts at the present virtual time, so it is before everyone who has
asked for more than their share, and gains nothing from having been away.

Invariants:
- A tenant's single request is behind at most one request of each other tenant, however many those
  have waiting.
- The requests of one tenant keep their order.
- What is served without waiting counts as what has waited.

Source: Goyal, Vin, Chen: Start-time Fair Queuing, SIGCOMM 1996, section 2.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

#: Tenants whose tags are kept; those behind the present are forgotten first, which forgets nothing.
TAGS_LIMIT = 10_000
#: Tickets that are kept of who has left, besides as many as wait: who comes and leaves, and is
#: never next, would otherwise leave one each time.
GONE_LIMIT = 100


@dataclass(order=True)
class Ticket(Generic[T]):
    """One waiting request."""

    start: float
    number: int
    item: T = field(compare=False)
    gone: bool = field(default=False, compare=False)


class FairLine(Generic[T]):
    """The line before one kind of place."""

    def __init__(self) -> None:
        self._tickets: list[Ticket[T]] = []
        self._finish: dict[str, float] = {}
        self._virtual = 0.0
        self._numbers = itertools.count()
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def charge(self, tenant: str, cost: float) -> float:
        """Count a request and return its tag: what is served at once needs no ticket."""
        if len(self._finish) >= TAGS_LIMIT:
            self._forget()
        start = max(self._virtual, self._finish.get(tenant, 0.0))
        self._finish[tenant] = start + cost
        return start

    def enter(self, tenant: str, cost: float, item: T) -> Ticket[T]:
        """Put a request at the end of its tenant's."""
        ticket = Ticket(self.charge(tenant, cost), next(self._numbers), item)
        heapq.heappush(self._tickets, ticket)
        self._waiting += 1
        return ticket

    def leave(self, ticket: Ticket[T]) -> None:
        """Take a request out that waits no more."""
        if not ticket.gone:
            ticket.gone = True
            self._waiting -= 1
            if len(self._tickets) > 2 * self._waiting + GONE_LIMIT:
                self._tickets = [kept for kept in self._tickets if not kept.gone]
                heapq.heapify(self._tickets)

    def first(self) -> T | None:
        """Return who is next, who stays in the line; None if nobody waits."""
        while self._tickets and self._tickets[0].gone:
            heapq.heappop(self._tickets)
        return self._tickets[0].item if self._tickets else None

    def serve_first(self) -> None:
        """Take out who is next."""
        ticket = heapq.heappop(self._tickets)
        self._virtual = max(self._virtual, ticket.start)
        self.leave(ticket)

    def _forget(self) -> None:
        self._finish = {t: tag for t, tag in self._finish.items() if tag > self._virtual}
