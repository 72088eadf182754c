"""A real engine behind the service, with an agent's own reading of requests between them.

Broker and seal are left out: they carry what they are given.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta

from adaptery.errors import RefusedError
from adaptery.ids import new_id
from adaptery.sealed import Frame, Grant
from adaptery.signing import SigningKey
from adaptery.times import now
from adaptery_hub.fleet.live import AgentView
from adaptery_hub.gateway import InferOrder
from adaptery_network.agent.engine_client import EngineClient
from adaptery_network.agent.inference import EngineSeat, InferenceServer
from support.hub_tables import WEIGHTS
from support.scripted_fleet import view


@dataclass(frozen=True)
class _Model:
    name: str


class RunningEngine:
    """An engine that runs already, as an agent sees its own."""

    def __init__(self, client: EngineClient, name: str) -> None:
        self.model = _Model(name)
        self._client = client

    async def client(self) -> EngineClient:
        return self._client

    async def doubt(self) -> None:
        """It is as it was."""


class EngineFleet:
    """One agent with one engine; base model only."""

    def __init__(self, port: int, token: str, name: str) -> None:
        self.client = EngineClient(port, token)
        seat = EngineSeat(RunningEngine(self.client, name), None)  # type: ignore[arg-type]
        self._server = InferenceServer(lambda name, digest: seat, _no_line)

    def views(self) -> Iterable[AgentView]:
        return [view("ag_real")]

    async def infer(self, agent_id: str, order: InferOrder) -> AsyncGenerator[Frame, None]:
        base = {"name": order.target.base_model, "weight_digest": WEIGHTS}
        body = {"path": order.path, "request": dict(order.request), "base_model": base}
        grant = Grant(
            verb="infer",
            thing=order.target.base_model,
            caller=new_id("tn"),
            caller_key=SigningKey.generate().public_text,
            not_after=now() + timedelta(seconds=60),
        )
        async with aclosing(self._server.answer(grant, body)) as items:
            async for kind, value in items:
                if kind in ("data", "usage"):
                    yield Frame(kind, value)


def _no_line(session: object) -> None:
    raise RefusedError(reason="session")
