"""Brings waiting jobs to free slots.

For each live agent with a free slot: claim the next job it can take, then order it to start. Not
here: who is next in a queue (`queue`), how an order travels (`orders`).

Invariants:
- An agent gets jobs of a queue only if its card carries all labels of that queue, and of those
  only what its workers can.
- Queues that an agent serves take turns: the one that gave out a job longest ago goes first.
- An order that was surely not taken gives the job back at once. If nobody knows, the lease decides:
  either the agent reports within it, or it runs out. So no job runs twice at the same time.
- An agent that refuses orders is left alone for a while, so that a job never spins between
  refusals.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from adaptery.errors import (
    AdapteryError,
    DeadlineError,
    IntegrityError,
    RefusedError,
    UnavailableError,
)
from adaptery.times import Clock, now
from adaptery_hub import logs
from adaptery_hub.base_models import BaseModels
from adaptery_hub.database.statements.jobs import Offer
from adaptery_hub.fleet.live import AgentView, LiveView
from adaptery_hub.fleet.orders import Orders
from adaptery_hub.queue.port import Claim, Queue

logger = logging.getLogger(__name__)

#: How long an agent that did not take an order gets no other.
PAUSE_SECONDS = 5.0


class Dispatcher:
    """Matches jobs and slots."""

    def __init__(
        self,
        queue: Queue,
        live: LiveView,
        orders: Orders,
        base_models: BaseModels,
        serves: Callable[[str, str], bool],
        clock: Clock = now,
    ) -> None:
        self._queue = queue
        self._live = live
        self._orders = orders
        self._base_models = base_models
        self._serves = serves
        self._clock = clock
        self._paused_until: dict[str, datetime] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns: dict[str, int] = {}  # of each queue: when it gave out a job last

    async def dispatch(self) -> int:
        """Fills every free slot that some job fits; returns how many jobs were claimed."""
        if not self._live.live(self._has_room):
            return 0
        giving = await self._queue.giving()
        if not giving:
            return 0
        return sum([await self._fill(view, giving) for view in self._live.live(self._has_room)])

    async def stop(self) -> None:
        """Waits for nothing: orders under way are dropped, and their leases decide."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _has_room(self, view: AgentView) -> bool:
        paused_until = self._paused_until.get(view.agent_id)
        return view.beat.workers_free > 0 and (
            paused_until is None or paused_until <= self._clock()
        )

    async def _fill(self, view: AgentView, giving: Sequence[str]) -> int:
        served = [queue for queue in giving if self._serves(view.agent_id, queue)]
        for claimed in range(view.beat.workers_free):
            claim = await self._claim(view, served)
            if claim is None:
                return claimed
            self._live.take_slot(view.agent_id)
            task = asyncio.create_task(self._order(claim), name=f"order {claim.attempt_id}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return view.beat.workers_free

    async def _claim(self, view: AgentView, served: list[str]) -> Claim | None:
        """Claims a job of one of the queues; those that have none for the agent are taken out."""
        served.sort(key=lambda queue: self._turns.get(queue, 0))
        while served:
            queue = served[0]
            claim = await self._queue.claim(self._offer(view, queue))
            if claim is not None:
                self._turns[queue] = 1 + max(self._turns.values(), default=0)
                return claim
            del served[0]
        return None

    def _offer(self, view: AgentView, queue: str) -> Offer:
        others = [
            self._digests(other)
            for other in self._live.live(self._has_room)
            if other.agent_id != view.agent_id
            and self._serves(other.agent_id, queue)
            and other.abilities >= view.abilities  # what this one may take, that one may too
        ]
        elsewhere = frozenset[str]().union(*others)
        return Offer(view.agent_id, queue, self._digests(view), elsewhere, view.abilities)

    def _digests(self, view: AgentView) -> frozenset[str]:
        """The base weights that the agent holds under the name that is bound to them."""
        return frozenset(
            model.weight_digest
            for model in view.beat.base_models
            if self._base_models.digest(model.name) == model.weight_digest
        )

    async def _order(self, claim: Claim) -> None:
        try:
            await self._orders.start(claim)
        except AdapteryError as error:
            self._pause(claim.agent_id)
            logs.log(
                logger,
                logging.WARNING,
                "order_not_taken",
                job=claim.job_id,
                agent=claim.agent_id,
                code=error.code,
            )
            if surely_not_taken(error):
                await self._queue.release(claim, f"an agent did not take it ({error.code})")
        else:
            await self._queue.confirm(claim)

    def _pause(self, agent_id: str) -> None:
        self._paused_until[agent_id] = self._clock() + timedelta(seconds=PAUSE_SECONDS)


def surely_not_taken(error: AdapteryError) -> bool:
    """Whether an order that ended with this error cannot have been carried out.

    Silence, a lost connection and an answer that cannot be trusted leave it open; so does a
    refusal, which anyone on the way could have sent.
    """
    if isinstance(error, DeadlineError | IntegrityError | RefusedError):
        return False
    return type(error) is not UnavailableError
