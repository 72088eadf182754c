"""The service's side of the network: connects, listens, dispatches, and knows who is there.

    health -> roster (signature) -> live view -> base model bindings, database
    report, bulk -> session desk -> queue, object store
    join -> roster
    every second: reap leases, prepare created jobs, sweep silent agents
    every second, and when a job or a slot may have come: dispatch

Invariants:
- The service starts and serves without a broker; it keeps trying, and jobs wait with a reason.
- A heartbeat counts only if the key on the agent's card signed it.
- Nothing here ends because one message was bad.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from adaptery.errors import AdapteryError, NoAgentError, NotAllowedError, UnavailableError
from adaptery.ids import is_id
from adaptery.sealed import Frame, Session, derive_session_key, open_heartbeat
from adaptery.times import Clock, now
from adaptery_hub import logs
from adaptery_hub.base_model_files import BaseModelFiles
from adaptery_hub.base_models import BaseModels
from adaptery_hub.database import Database, Lane
from adaptery_hub.database.statements import agents as statements
from adaptery_hub.database.statements import attempts
from adaptery_hub.embedding_models import EmbeddingModels
from adaptery_hub.fleet.dispatcher import Dispatcher
from adaptery_hub.fleet.heartbeats import read_heartbeat
from adaptery_hub.fleet.live import AgentView, Heartbeat, LiveView, StateChange
from adaptery_hub.fleet.orders import Orders
from adaptery_hub.fleet.roster import Roster
from adaptery_hub.fleet.sealed_desk import SealedDesk
from adaptery_hub.fleet.session_desk import SessionDesk
from adaptery_hub.gateway.embedding import EmbedOrder
from adaptery_hub.gateway.gateway import InferOrder
from adaptery_hub.queue.port import Queue
from adaptery_hub.queue.rules import REAP_SECONDS, RuleBook
from adaptery_network import subjects
from adaptery_network.broker import NetworkIdentity, push_account, revoke_user
from adaptery_network.caller import Caller
from adaptery_network.join import JoinDesk
from adaptery_network.nats_transport import NatsTransport
from adaptery_network.sessions import SessionServer
from adaptery_network.transport import Message

logger = logging.getLogger(__name__)

CONNECT_PAUSE_SECONDS = 0.5
#: How often the database hears that an agent is still there; a change of state is stored at once.
SEEN_SECONDS = 15.0
#: What an agent says of itself that can hand over the files of base models.
MODEL_FILES_FEATURE = "model-files"


@dataclass(frozen=True)
class FleetParts:
    """What a fleet works with."""

    database: Database
    queue: Queue
    base_models: BaseModels
    embedding_models: EmbeddingModels
    model_files: BaseModelFiles
    roster: Roster
    identity: NetworkIdentity
    desk: SessionDesk
    book: RuleBook
    broker_url: str


class Fleet:
    """All agents, as the service sees and orders them."""

    def __init__(self, parts: FleetParts, clock: Clock = now) -> None:
        self.live = LiveView()
        self.roster = parts.roster
        self._parts = parts
        self._clock = clock
        self._transport: NatsTransport | None = None
        self._orders: Orders | None = None
        self._sealed_desk: SealedDesk | None = None
        self._dispatcher: Dispatcher | None = None
        self._sessions: SessionServer | None = None
        self._join_desk: JoinDesk | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._errands: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._stored_seen: dict[str, datetime] = {}
        self._hearing_since: datetime | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a connection to the broker right now."""
        return self._transport is not None and self._transport.connected

    async def start(self) -> None:
        """Begins to connect and to look after jobs; returns at once."""
        await self.roster.load()
        self._tasks = [
            asyncio.create_task(self._connect(), name="fleet connect"),
            asyncio.create_task(self._tend(), name="fleet tend"),
        ]

    async def stop(self) -> None:
        """Ends everything; agents go on and report to the next start."""
        tasks = [*self._tasks, *self._errands]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._dispatcher is not None:
            await self._dispatcher.stop()
        for part in (self._join_desk, self._sessions):
            if part is not None:
                await part.stop()
        if self._transport is not None:
            await self._transport.close()
        self._parts.desk.close()

    def wake(self) -> None:
        """Looks at the queue now instead of at the next tick."""
        self._wake.set()

    def views(self) -> Iterable[AgentView]:
        """Returns every agent as it was last heard."""
        return list(self.live)

    def labels(self, agent_id: str) -> frozenset[str]:
        """Returns what the card of an agent carries."""
        known = self.roster.get(agent_id)
        return frozenset(known.card.labels) if known is not None else frozenset()

    def serves(self, agent_id: str, queue: str) -> bool:
        """Whether a queue is one for agents, and this one carries all its labels."""
        rules = self._parts.book.of(queue)
        return rules.agents and self.labels(agent_id) >= rules.labels

    def infer(self, agent_id: str, order: InferOrder) -> AsyncGenerator[Frame, None]:
        """Asks one agent and gives its frames; see `gateway.InferenceFleet`.

        Raises:
            NoAgentError: The agent is not known, or there is no network.
        """
        if self._orders is None:
            raise NoAgentError("The network is not connected.")
        return self._orders.infer(agent_id, order)

    async def embed(self, agent_id: str, order: EmbedOrder) -> AsyncGenerator[Frame, None]:
        """Asks one agent for vectors and yields its frames; see `gateway.EmbeddingFleet`.

        Raises:
            AdapteryError: The agent cannot be reached, refuses, or ends the answer with an error.
        """
        if self._orders is None:
            raise NoAgentError("The network is not connected.")
        async with aclosing(self._orders.embed(agent_id, order)) as frames:
            async for frame in frames:
                yield frame

    def sealed_desk(self) -> SealedDesk:
        """Returns the desk for callers that seal their own requests; see `gateway.sealed`.

        Raises:
            NoAgentError: The network is not connected.
        """
        if self._sealed_desk is None:
            raise NoAgentError("The network is not connected.")
        return self._sealed_desk

    def cancel_soon(self, job_id: str, tenant_id: str) -> None:
        """Tells the agent of a job to end it; if that fails, its next report tells it."""
        self._errand(self._cancel(job_id, tenant_id), f"cancel {job_id}")

    def _errand(self, work: Coroutine[object, object, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def _cancel(self, job_id: str, tenant_id: str) -> None:
        running = await self._parts.database.read(lambda c: attempts.of_job(c, job_id))
        for row in running:
            if row["outcome"] is not None or self._orders is None or row["agent_id"] is None:
                continue
            try:
                await self._orders.cancel(row["agent_id"], job_id, row["id"], tenant_id)
            except AdapteryError as error:
                logs.log(logger, logging.INFO, "cancel_not_taken", job=job_id, code=error.code)

    async def revoke(self, agent_id: str, actor_id: str) -> None:
        """Strikes an agent off, forgets what it said of base models and cuts its connection.

        Raises:
            NotFoundError: There is no such agent.
            UnavailableError: It is struck off, but the broker could not be told yet.
        """
        known = await self.roster.revoke(agent_id, actor_id)
        self.live.forget(agent_id)
        await asyncio.to_thread(self._parts.model_files.forget, agent_id)
        if known.user_key is not None:
            await revoke_user(self._parts.identity, self._parts.broker_url, known.user_key)

    # -- connecting -----------------------------------------------------------------------------

    async def _connect(self) -> None:
        parts = self._parts
        while self._transport is None:
            try:
                self._transport = await NatsTransport.connect(
                    parts.broker_url,
                    parts.identity.service_credentials(),
                    inbox_prefix=subjects.SERVICE_INBOX,
                )
            except (UnavailableError, NotAllowedError) as error:
                logs.log(logger, logging.WARNING, "broker_not_reached", code=error.code)
                await asyncio.sleep(CONNECT_PAUSE_SECONDS)
        await self._persist(lambda: push_account(parts.identity, parts.broker_url))
        await self._open(self._transport)
        logs.log(logger, logging.INFO, "fleet_connected", owner=parts.identity.owner)

    async def _open(self, transport: NatsTransport) -> None:
        parts = self._parts
        caller = Caller(transport, clock=self._clock)
        self._orders = Orders(caller, parts.identity, self.roster, self._clock, self.live.features)
        self._sealed_desk = SealedDesk(transport, parts.identity, self.roster, self._clock)
        self._dispatcher = Dispatcher(
            parts.queue,
            self.live,
            self._orders,
            parts.base_models,
            self.serves,
            self._clock,
        )
        owner = parts.identity.owner
        self._sessions = SessionServer(transport, owner, self._session, parts.desk.handle)
        self._join_desk = JoinDesk(transport, parts.identity, self.roster.redeem, self.roster.enrol)
        await self._persist(self._sessions.start)
        await self._persist(self._join_desk.start)
        await self._persist(lambda: transport.subscribe(subjects.healths(owner), self._hear))

    async def _persist(self, step: Callable[[], Awaitable[object]]) -> None:
        """Does one step of connecting, again and again while the broker is away."""
        while True:
            try:
                await step()
                return
            except AdapteryError as error:
                logs.log(logger, logging.WARNING, "broker_step_failed", code=error.code)
                await asyncio.sleep(CONNECT_PAUSE_SECONDS)

    def _session(self, session_id: str, agent_id: str) -> Session | None:
        """Finds the session that an agent names; what it may do there is the desk's business."""
        known = any(is_id(session_id, kind) for kind in ("at", "ad", "ck"))
        if not known or self.roster.get(agent_id) is None:
            return None
        master = self._parts.identity.session_master
        return Session(derive_session_key(master, session_id, agent_id), session_id)

    # -- hearing --------------------------------------------------------------------------------

    async def _hear(self, message: Message) -> None:
        try:
            agent_id = subjects.agent_of(message.subject)
            known = await self.roster.look_up(agent_id)
            if known is None:
                return
            document = open_heartbeat(message.payload, known.identity_key, self._clock())
            beat = read_heartbeat(document)
        except (AdapteryError, ValueError):
            logs.log(logger, logging.WARNING, "heartbeat_refused", subject=message.subject)
            return
        if beat.agent_id == agent_id:
            await self._take(beat)

    async def _take(self, beat: Heartbeat) -> None:
        moment = self._clock()
        had_room = _free_slots(self.live.get(beat.agent_id))
        change = self.live.observe(beat, moment)
        if change is not None:
            await self._store_change(change, moment)
        if await self._parts.base_models.observe(beat.base_models):
            await self._parts.queue.prepare()
            self.wake()
        await self._parts.embedding_models.observe(beat.embedding_models)
        self._collect_soon(beat)
        await self._store_seen(beat, moment)
        if _free_slots(self.live.get(beat.agent_id)) > had_room:
            self.wake()

    def _collect_soon(self, beat: Heartbeat) -> None:
        """Begins to fetch what describes a base model, if this agent is the first to hold it."""
        parts, orders = self._parts, self._orders
        if orders is None or MODEL_FILES_FEATURE not in beat.features:
            return
        for model in beat.base_models:
            bound = parts.base_models.digest(model.name) == model.weight_digest
            if bound and parts.model_files.wants(model.weight_digest):
                read = partial(orders.model_piece, beat.agent_id, model)
                collecting = parts.model_files.collect(model.weight_digest, beat.agent_id, read)
                self._errand(collecting, f"files of {model.weight_digest}")

    async def _store_change(self, change: StateChange, moment: datetime) -> None:
        logs.log(logger, logging.INFO, "agent_state", agent=change.agent_id, state=change.state)
        seen_at = moment if change.state == "live" else None
        await self._parts.database.write(
            lambda c: statements.set_state(c, change.agent_id, change.state, seen_at),
            lane=Lane.AGENTS,
        )

    async def _store_seen(self, beat: Heartbeat, moment: datetime) -> None:
        stored = self._stored_seen.get(beat.agent_id)
        if stored is not None and moment - stored < timedelta(seconds=SEEN_SECONDS):
            return
        self._stored_seen[beat.agent_id] = moment
        capability = {
            "version": beat.version,
            "slots": {"workers": beat.workers, "free": beat.workers_free},
            "base_models": [
                {"name": m.name, "weight_digest": m.weight_digest} for m in beat.base_models
            ],
        }
        await self._parts.database.write(
            lambda c: statements.note_seen(c, beat.agent_id, moment, capability),
            lane=Lane.AGENTS,
        )

    # -- tending --------------------------------------------------------------------------------

    async def _tend(self) -> None:
        loop = asyncio.get_running_loop()
        due_at = loop.time()
        while True:
            steps = [self._fill]
            if loop.time() >= due_at:  # what nobody wakes us for
                due_at = loop.time() + REAP_SECONDS
                steps = [self._reap, self._sweep, self._parts.queue.prepare, self._fill]
            for step in steps:
                try:
                    await step()
                except AdapteryError as error:
                    logs.log(logger, logging.WARNING, "tending_failed", code=error.code)
                except Exception as error:  # one bad row must not stop the queue for everyone
                    logs.log_exception(logger, "tending_failed", error)
            try:
                await asyncio.wait_for(self._wake.wait(), max(0.0, due_at - loop.time()))
            except TimeoutError:
                continue
            self._wake.clear()

    async def _reap(self) -> None:
        """Takes jobs back from silent agents, once they had a whole lease in which to be heard.

        After a restart of the service or of the broker an agent could not renew its lease; that
        must not cost it the attempt.
        """
        if not self.connected or self._sessions is None:
            self._hearing_since = None
            return
        moment = self._clock()
        self._hearing_since = self._hearing_since or moment
        if moment - self._hearing_since >= timedelta(
            seconds=self._parts.book.longest_lease_seconds
        ):
            await self._parts.queue.reap()

    async def _sweep(self) -> None:
        moment = self._clock()
        for change in self.live.sweep(moment):
            await self._store_change(change, moment)

    async def _fill(self) -> None:
        if self._dispatcher is not None:
            await self._dispatcher.dispatch()


def _free_slots(view: AgentView | None) -> int:
    return view.beat.workers_free if view is not None and view.state == "live" else 0
