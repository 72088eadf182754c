"""A running service with adapters in its database and agents that follow a script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import sqlalchemy as sa

from adaptery.ids import new_id
from adaptery.sealed import Frame
from adaptery.times import now
from adaptery_hub.database import tables
from adaptery_hub.fleet.live import BaseModelReport
from adaptery_hub.gateway import Gateway, InferOrder
from adaptery_hub.usage import UsageLog
from support.hub_tables import BASE, OTHER_WEIGHTS, WEIGHTS
from support.scripted_answers import frames_for
from support.scripted_fleet import Script, ScriptedFleet
from support.service import Client, Service

#: The option of `running_service` that these adapters need.
BASE_MODELS = {BASE: "/models/tiny"}
AGENT = "ag_a"


@dataclass
class Fleet(ScriptedFleet):
    """Answers chats and texts; a stream stops after its first frame while `held` is set.

    `says` is what it does instead of answering what it is asked.
    """

    held: bool = False
    says: Script = field(default_factory=list)
    freed: asyncio.Event = field(default_factory=asyncio.Event)

    async def infer(self, agent_id: str, order: InferOrder) -> AsyncGenerator[Frame, None]:
        self.scripts[agent_id] = self.says or list(frames_for(order.path, order.request))
        try:
            async for frame in super().infer(agent_id, order):
                yield frame
                if self.held:
                    await asyncio.Event().wait()
        finally:
            self.freed.set()

    def request(self) -> dict[str, object]:
        """Return what the agent was asked last."""
        return dict(self.asked[-1][1].request)

    def adapter(self) -> str | None:
        """Return the adapter that answered last."""
        target = self.asked[-1][1].target
        return target.adapter.id if target.adapter else None


async def serve(service: Service) -> Fleet:
    """Let agents that follow a script answer."""
    compute = service.services.compute
    assert compute is not None
    await compute.base_models.observe([BaseModelReport(BASE, WEIGHTS)])
    fleet = Fleet({AGENT: []})
    usage = UsageLog(service.services.db, compute.audit)
    compute.gateway = Gateway(compute.gateway.resolver, fleet, usage)
    return fleet


async def add_adapter(
    service: Service,
    owner: Client,
    name: str = "soap",
    group: str | None = None,
    sensitivity: str = "internal",
) -> str:
    """Put the next version of an adapter into the database; return its id."""
    me = (await owner.json("GET", "api/whoami"))["id"]
    adapters = tables.adapters

    def insert(connection: sa.Connection) -> str:
        tenant, columns = me, tables.tenants.c
        if group is not None:
            found = sa.select(columns.id).where(columns.kind == "group", columns.hub_name == group)
            tenant = connection.execute(found).scalar_one()
        same = sa.select(sa.func.count(adapters.c.id)).where(
            adapters.c.tenant_id == tenant, adapters.c.name == name
        )
        row = {
            "id": new_id("ad"),
            "created_at": now(),
            "tenant_id": tenant,
            "creator_id": me,
            "name": name,
            "number": connection.execute(same).scalar_one() + 1,
            "base_model": BASE,
            "base_weight_digest": WEIGHTS,
            "weight_digest": OTHER_WEIGHTS,
            "sensitivity": sensitivity,
            "files": [],
            "content_digests": [],
            "card": {},
            "state": "completed",
        }
        connection.execute(adapters.insert().values(row))
        return row["id"]

    return await service.services.db.write(insert)
