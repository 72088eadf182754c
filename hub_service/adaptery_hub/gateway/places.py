"""The places for answers at the agents, and the line of requests when all are taken.

An engine gives so many answers at a time; what is sent to it beyond that waits there, first come,
first served, and one tenant's five hundred requests would stand before another's single one. So the
gateway holds requests back and sends the next one when an answer ends: that of the tenant who has
had the least (`fair_line`). Each set of base weights has its own line.

Invariants:
- No agent gives more answers of this service at a time than it says it can, or the settings say.
- The line is bounded, for each tenant and in all, and nobody waits longer than `wait_seconds`:
  whoever cannot be served is told so, with when to come again.
- A place is given back once, however its answer ends.
- Counts are of this process: with several replicas an agent gets as many answers from each.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Gauge, Histogram

from adaptery.errors import EngineBusyError
from adaptery_hub.fleet.live import AgentView
from adaptery_hub.gateway.fair_line import FairLine, Ticket
from adaptery_hub.gateway.routing import Need, choose, eligible

#: How often the line is looked at besides: an agent may have come, or gone.
LOOK_SECONDS = 0.5
#: When whoever was turned away may come again, at least.
RETRY_SECONDS = 2.0
_WAIT_BUCKETS = (0.05, 0.25, 1, 2.5, 5, 10, 30, 60, 120)


@dataclass(frozen=True)
class LineRules:
    """What the administrator allows."""

    answers_per_agent: int = 64
    wait_seconds: float = 60.0
    per_tenant: int = 500
    in_all: int = 2_000
    #: After a start agents are not known before their next heartbeats: so long they are waited for.
    settle_seconds: float = 0.0


class PlaceMetrics:
    """How long requests wait and how it ends; never who waits."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        registry = registry or CollectorRegistry()
        self.waiting = Gauge(
            "adaptery_answers_waiting", "Requests that wait for a place.", registry=registry
        )
        self.running = Gauge(
            "adaptery_answers_running", "Answers that agents are giving.", registry=registry
        )
        self.waits = Histogram(
            "adaptery_answer_wait_seconds",
            "How long requests waited for a place, by how it ended: served, late, left or full.",
            ("outcome",),
            buckets=_WAIT_BUCKETS,
            registry=registry,
        )


class Place:
    """A place at one agent, until it is released."""

    def __init__(self, view: AgentView, give_back: Callable[[str], None]) -> None:
        self.view = view
        self._give_back: Callable[[str], None] | None = give_back

    def release(self) -> None:
        """Give the place back; a second call does nothing."""
        give_back, self._give_back = self._give_back, None
        if give_back is not None:
            give_back(self.view.agent_id)


@dataclass(frozen=True, eq=False)
class _Waiter:
    need: Need
    tried: Collection[str]
    place: asyncio.Future[Place]


class Places:
    """All places of all agents; for use on the event loop only."""

    def __init__(
        self,
        views: Callable[[], Iterable[AgentView]],
        rules: LineRules | None = None,
        metrics: PlaceMetrics | None = None,
    ) -> None:
        self._views = views
        self._rules = rules or LineRules()
        self._metrics = metrics or PlaceMetrics()
        self._running: Counter[str] = Counter()
        self._lines: dict[str, FairLine[_Waiter]] = {}
        self._waiting: Counter[str] = Counter()  # by tenant
        self._timer: asyncio.TimerHandle | None = None
        self._settled_at = time.monotonic() + self._rules.settle_seconds

    async def take(
        self, need: Need, tenant: str, cost: float, tried: Collection[str] = ()
    ) -> Place | None:
        """Return a place at the best agent for the need, when it is the tenant's turn.

        Args:
            need: what the request needs.
            tenant: who asks.
            cost: the tokens that the answer may have.
            tried: agents that are not asked again.

        Returns:
            None if there is no agent that could serve the request at all.

        Raises:
            EngineBusyError: it waited too long, or too many wait.
        """
        line = self._lines.setdefault(need.base_weight_digest, FairLine())
        if not len(line):
            view = self._free(need, tried)
            if view is not None:
                line.charge(tenant, cost)
                return self._occupy(view)
        served = self._is_served(need, tried)
        settling_seconds = 0.0 if tried else self._settled_at - time.monotonic()
        if not served and settling_seconds <= 0:
            return None
        self._check_room(tenant)
        seconds = self._rules.wait_seconds if served else settling_seconds
        return await self._wait(line, _waiter(need, tried), tenant, cost, seconds)

    def take_at(self, agent_id: str, tenant: str, cost: float, digest: str) -> Place | None:
        """Return a place at one agent now, whoever waits; None if it has none.

        For a request that waited its turn before and cannot go to another agent any more.
        """
        view = next((view for view in self._views() if view.agent_id == agent_id), None)
        if view is None or self._running[agent_id] >= self._rules.answers_per_agent:
            return None
        self.charge(tenant, cost, digest)
        return self._occupy(view)

    def charge(self, tenant: str, cost: float, digest: str) -> None:
        """Count what a tenant had of these base weights besides what it took a place for."""
        self._lines.setdefault(digest, FairLine()).charge(tenant, cost)

    async def _wait(
        self,
        line: FairLine[_Waiter],
        waiter: _Waiter,
        tenant: str,
        cost: float,
        wait_seconds: float,
    ) -> Place | None:
        loop = asyncio.get_running_loop()
        began, outcome = loop.time(), "left"
        ticket = line.enter(tenant, cost, waiter)
        self._count(tenant, 1)
        self._look_later()
        try:
            async with asyncio.timeout(wait_seconds):
                place = await waiter.place
            outcome = "served"
            return place
        except TimeoutError:
            outcome = "late"
            if not self._is_served(waiter.need, waiter.tried):
                return None
            raise _busy("No agent had a place for this request in time.") from None
        finally:
            self._metrics.waits.labels(outcome).observe(loop.time() - began)
            self._count(tenant, -1)
            self._leave(line, ticket, taken=outcome == "served")

    def _leave(self, line: FairLine[_Waiter], ticket: Ticket[_Waiter], *, taken: bool) -> None:
        line.leave(ticket)
        place = ticket.item.place
        if not taken and place.done() and not place.cancelled():
            place.result().release()  # it came in the moment in which its taker left
        place.cancel()

    def _give_back(self, agent_id: str) -> None:
        self._running[agent_id] -= 1
        self._metrics.running.dec()
        if not self._running[agent_id]:
            del self._running[agent_id]
        self._look()

    def _look(self) -> None:
        """Give the places that are free to those who are next."""
        for digest, line in list(self._lines.items()):
            while (waiter := line.first()) is not None:
                view = self._free(waiter.need, waiter.tried)
                if view is None:
                    break
                line.serve_first()
                if not waiter.place.done():
                    waiter.place.set_result(self._occupy(view))
            if not len(line) and not self._has_agent(digest):
                del self._lines[digest]

    def _look_later(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look_again)

    def _look_again(self) -> None:
        self._timer = None
        self._look()
        if any(len(line) for line in self._lines.values()):
            self._look_later()

    def _free(self, need: Need, tried: Collection[str]) -> AgentView | None:
        limit = self._rules.answers_per_agent
        free = (view for view in self._views() if self._running[view.agent_id] < limit)
        return choose(free, need, tried, self._running)

    def _is_served(self, need: Need, tried: Collection[str]) -> bool:
        return any(eligible(view, need) for view in self._views() if view.agent_id not in tried)

    def _has_agent(self, digest: str) -> bool:
        return any(view.holds(digest) for view in self._views())

    def _occupy(self, view: AgentView) -> Place:
        self._running[view.agent_id] += 1
        self._metrics.running.inc()
        return Place(view, self._give_back)

    def _check_room(self, tenant: str) -> None:
        rules = self._rules
        if self._waiting[tenant] >= rules.per_tenant or self._waiting.total() >= rules.in_all:
            self._metrics.waits.labels("full").observe(0)
            raise _busy("Too many requests wait for a place.")

    def _count(self, tenant: str, change: int) -> None:
        self._waiting[tenant] += change
        if not self._waiting[tenant]:
            del self._waiting[tenant]
        self._metrics.waiting.inc(change)


def _waiter(need: Need, tried: Collection[str]) -> _Waiter:
    return _Waiter(need, tuple(tried), asyncio.get_running_loop().create_future())


def _busy(message: str) -> EngineBusyError:
    return EngineBusyError(
        message,
        hint="try again in a moment, or ask an administrator for more agents",
        retry_after_seconds=RETRY_SECONDS,
    )
