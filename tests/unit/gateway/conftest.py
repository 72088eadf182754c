"""A database, a gateway, and agents that behave as the test says."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from adaptery_hub.gateway import Gateway, Resolver
from adaptery_hub.usage import UsageLog
from support.hub_tables import HubTables, open_tables
from support.scripted_fleet import ScriptedFleet


@dataclass
class Bench:
    """What a gateway test works with."""

    hub: HubTables
    fleet: ScriptedFleet
    gateway: Gateway


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    hub = open_tables(tmp_path)
    fleet = ScriptedFleet()
    usage = UsageLog(hub.database, hub.audit, hub.clock)
    resolver = Resolver(hub.database, hub.base_models)
    yield Bench(hub, fleet, Gateway(resolver, fleet, usage, hub.clock))
    hub.database.close()
