"""The ways of a job from a queue to a machine and back, each as the same few steps."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from adaptery.errors import ConflictError
from adaptery.schemas.queues import QueueOptions
from adaptery.schemas.worker import TicketUse
from adaptery.sealed import open_ticket
from adaptery_hub.clearml.carrier import ClearmlCarrier
from adaptery_hub.clearml.links import Program
from adaptery_hub.clearml.workers import AGENT as CLEARML
from adaptery_hub.clearml.workers import WorkerDesk
from adaptery_hub.database.statements import turns
from adaptery_hub.fleet.offers import FileOffers
from adaptery_hub.fleet.registration import Registration
from adaptery_hub.fleet.session_desk import SessionDesk
from adaptery_hub.fleet.staging import StagingArea
from adaptery_hub.objects import FilesystemStore
from adaptery_hub.queue import Offer
from support.clearml_calls import Calls
from support.hub_tables import AGENT, WEIGHTS, HubTables
from support.published import KEY, published_in

QUEUE = "training"
CLEARML_QUEUE = "adaptery-tests"
WORKER_KEY = b"k" * 32


@dataclass(frozen=True)
class Held:
    """An attempt, as the machine knows it; with what `HubTables` asks of a claim."""

    attempt_id: str
    job_id: str
    tenant_id: str
    fencing_token: int


class Way(Protocol):
    """How jobs come to a machine."""

    hub: HubTables

    async def offered(self) -> str | None:
        """Do what happens by itself; return the job that a machine would begin next."""
        ...

    async def begin(self) -> Held | None:
        """Begin the next job."""
        ...

    async def say(self, held: Held, op: str, **fields: Any) -> Any:
        """Do an operation of an attempt."""
        ...


def session_desk(hub: HubTables, root: Path) -> SessionDesk:
    """Return the desk of sessions on tables."""
    objects, staging = FilesystemStore(root / "objects"), StagingArea(root / "incoming")
    registration = Registration(hub.database, objects, staging, KEY, hub.clock)
    offers = FileOffers(objects, published_in(objects, root))
    return SessionDesk(hub.database, hub.queue, offers, staging, registration)


class AgentWay:
    """Agents claim jobs."""

    def __init__(self, hub: HubTables, root: Path) -> None:
        self.hub = hub
        self._desk = session_desk(hub, root)

    async def offered(self) -> str | None:
        """See `Way`."""
        rows = await self.hub.database.read(lambda c: turns.waiting(c, QUEUE))
        return rows[0]["id"] if rows else None

    async def begin(self) -> Held | None:
        """See `Way`."""
        claim = await self.hub.queue.claim(Offer(AGENT, QUEUE, frozenset({WEIGHTS})))
        if claim is None:
            return None
        return Held(claim.attempt_id, claim.job_id, claim.tenant_id, claim.fencing_token)

    async def say(self, held: Held, op: str, **fields: Any) -> Any:
        """See `Way`."""
        header = {"op": op, "fencing_token": held.fencing_token, **fields}
        return (await self._desk.handle(AGENT, held.attempt_id, header, b""))[0]


class ClearmlWay:
    """Jobs go through a ClearML."""

    def __init__(self, hub: HubTables, root: Path, calls: Calls, program: Program) -> None:
        self.hub = hub
        self.calls = calls
        desk = session_desk(hub, root)
        self.workers = WorkerDesk(
            hub.database, hub.queue, desk, b"m" * 32, WORKER_KEY, clock=hub.clock
        )
        self.carrier = ClearmlCarrier(
            hub.database,
            hub.queue,
            program,
            hub.audit,
            KEY,
            "Adaptery tests/jobs",
            {QUEUE: QueueOptions(clearml_queue=CLEARML_QUEUE)},
            clock=hub.clock,
        )
        self.ticket: str | None = None

    async def offered(self) -> str | None:
        """See `Way`."""
        await self.carrier.step()
        if self.ticket is None:
            self.ticket = await asyncio.to_thread(self.calls.pull, CLEARML_QUEUE)
        return self.ticket and open_ticket(self.ticket, KEY.verify_key).job

    async def begin(self) -> Held | None:
        """See `Way`."""
        job_id = await self.offered()
        if job_id is None or self.ticket is None:
            return None
        ticket, self.ticket = open_ticket(self.ticket, KEY.verify_key), None
        use = TicketUse(job=ticket.job, code=ticket.code, weight_digest=WEIGHTS)
        try:
            hold = await self.workers.begin(use)
        except ConflictError:
            return None  # the worker ends; the job comes again if it still waits
        spec = ticket.spec_of(hold.attempt, hold.fencing_token, hold.resume_from)
        self.workers.check_session(spec.attempt, hold.session)
        tenant = (await self.hub.row(job_id))["tenant_id"]
        return Held(spec.attempt, job_id, tenant, spec.fencing_token)

    async def say(self, held: Held, op: str, **fields: Any) -> Any:
        """See `Way`."""
        header = {"op": op, "fencing_token": held.fencing_token, **fields}
        return (await self.workers.handle(held.attempt_id, header, b""))[0]


__all__ = ["CLEARML", "AgentWay", "ClearmlWay", "Held", "Way", "session_desk"]
