"""A running service and an agent of its network in this process, over a loop in the broker's place.

Everything that seals, signs, relays and opens is real; what an agent answers, a test says.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from adaptery import times
from adaptery.ids import new_id
from adaptery.sealed import Grant, JsonObject, RequestOpener, sign_card
from adaptery_hub.database import tables
from adaptery_hub.fleet.live import AgentView, BaseModelReport
from adaptery_hub.fleet.roster import Roster
from adaptery_hub.fleet.sealed_desk import SealedDesk
from adaptery_hub.gateway.places import LineRules, Places
from adaptery_hub.gateway.rebuild import CacheSalts
from adaptery_hub.gateway.sealed import SealedChannel
from adaptery_network import subjects
from adaptery_network.broker import NetworkIdentity
from adaptery_network.join.desk import JoinedAgent
from adaptery_network.sealed_server import Item, SealedServer
from support.broker import BrokerAgent
from support.hub_tables import BASE, WEIGHTS
from support.loop_transport import LoopBus, LoopTransport
from support.scripted_fleet import view
from support.service import Service
from support.waiting import eventually

SALTS = CacheSalts(b"\x09" * 32)


class ScriptedAgent:
    """One agent; says what it is told to, and remembers what it was asked."""

    def __init__(self, identity: NetworkIdentity, bus: LoopBus) -> None:
        self.parts = BrokerAgent(identity)
        self.id = self.parts.id
        self.transport = LoopTransport(bus, "agent")
        self.opener = RequestOpener(
            self.parts.identity, identity.signing_key.verify_key, times.now, times.now()
        )
        self.asked: list[tuple[Grant, JsonObject]] = []
        self.words: list[str] = ["He", "llo"]
        self.prompt_tokens = 3
        self.failure: Exception | None = None
        #: Waits here after its first word while it is clear.
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.freed = asyncio.Event()
        self.signer = self.parts.signing_key
        self.server: SealedServer | None = None

    async def start(self, **limits: Any) -> None:
        """Begin to answer."""
        card = self.parts.card
        subject = subjects.infer(card.owner, card.agent)
        self.server = SealedServer(
            self.transport, subject, "infer", self.opener, self.answer, signer=self.signer, **limits
        )
        await self.server.start()

    async def answer(self, grant: Grant, body: JsonObject) -> AsyncGenerator[Item, None]:
        """Answer as an engine does."""
        self.asked.append((grant, body))
        if self.failure is not None and not self.words:
            raise self.failure
        chat = body["path"] == "chat/completions"
        try:
            for number, word in enumerate(self.words):
                yield "tally", {"completion_tokens": number + 1}
                said = {"delta": {"content": word}} if chat else {"text": word}
                yield "data", {"choices": [{"index": 0, **said}]}
                await self.go_on.wait()
            if self.failure is not None:
                raise self.failure
            end = {"delta": {}} if chat else {"text": ""}
            yield "data", {"choices": [{"index": 0, **end, "finish_reason": "stop"}]}
            usage = {"prompt_tokens": self.prompt_tokens, "completion_tokens": len(self.words)}
            yield "usage", usage
        finally:
            self.freed.set()

    def view(self) -> AgentView:
        """Return it as a heartbeat shows it."""
        seen = view(self.id)
        return replace(seen, beat=replace(seen.beat, features=frozenset({"sealed"})))


class SealedStage:
    """The service's network: agents that follow a script."""

    def __init__(self, service: Service, identity: NetworkIdentity, bus: LoopBus) -> None:
        assert service.services.compute is not None
        self.compute = service.services.compute
        self.service = service
        self.identity = identity
        self.bus = bus
        self.transport = LoopTransport(bus, "service")
        self.roster = Roster(
            service.services.db, self.compute.audit, identity, "nats://127.0.0.1:1"
        )
        self.desk = SealedDesk(self.transport, identity, self.roster, frame_seconds=5)
        self.agents: list[ScriptedAgent] = []
        self.places = Places(self.views, LineRules(answers_per_agent=2, wait_seconds=1))

    def views(self) -> Iterable[AgentView]:
        """See `SealedFleet`."""
        return [agent.view() for agent in self.agents]

    def sealed_desk(self) -> SealedDesk:
        """See `SealedFleet`."""
        return self.desk

    async def add(self, **limits: Any) -> ScriptedAgent:
        """Let one more agent join."""
        agent = ScriptedAgent(self.identity, self.bus)
        card = agent.parts.card
        signed = sign_card(card, self.identity.signing_key)
        await self.roster.enrol(JoinedAgent(new_id("jt"), card, signed, agent.parts.user_key))
        await agent.start(**limits)
        self.agents.append(agent)
        return agent

    def routes(self) -> set[str]:
        """Return the routes of the service that were asked so far."""
        samples = self.service.services.metrics.requests.collect()[0].samples
        return {sample.labels["route"] for sample in samples}

    async def usage(self, count: int = 1) -> list[dict[str, Any]]:
        """Return the rows of usage, the oldest first, once there are so many."""
        rows = await eventually(lambda: self._rows(count), timeout_seconds=10)
        assert rows is not None and len(rows) == count
        return rows

    async def _rows(self, count: int) -> list[dict[str, Any]] | None:
        await self.compute.usage.flush()
        query = tables.usage.select().order_by(tables.usage.c.id)
        rows = await self.service.services.db.read(
            lambda c: [dict(row) for row in c.execute(query).mappings()]
        )
        return rows if len(rows) >= count else None


@asynccontextmanager
async def staged(service: Service, bus: LoopBus | None = None) -> AsyncIterator[SealedStage]:
    """Give a running service a network with one agent."""
    identity = NetworkIdentity.load_or_create(service.services.settings.state_path)
    stage = SealedStage(service, identity, bus or LoopBus())
    compute = stage.compute
    await compute.base_models.observe([BaseModelReport(BASE, WEIGHTS)])
    compute.sealed = SealedChannel(
        compute.gateway.resolver,
        stage,
        compute.usage,
        SALTS,
        stage.places,
        service.services.limits,
    )
    await stage.add()
    try:
        yield stage
    finally:
        for agent in stage.agents:
            if agent.server is not None:
                await agent.server.stop()
            await agent.transport.close()
        await stage.transport.close()
