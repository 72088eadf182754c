"""The same cases for every way from a queue to a machine.

`agents`: ours. `clearml`: the stand-in of `support.clearml_double`, or the server that
CLEARML_API_HOST, CLEARML_FILES_HOST, CLEARML_API_ACCESS_KEY and CLEARML_API_SECRET_KEY name.
`sdk` (slow): the same, by the real SDK in a child.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from adaptery_hub.clearml.choosing import sdk_configuration
from adaptery_hub.clearml.links import Program
from adaptery_hub.clearml.program import RegisterProgram
from adaptery_hub.settings import ServiceSettings
from support.clearml_calls import Calls, ProgramHere
from support.clearml_double import ClearmlDouble
from support.clearml_stage import SDK, ClearmlServer, clearml_server
from support.hub_tables import HubTables, open_tables
from support.queue_ways import CLEARML_QUEUE, AgentWay, ClearmlWay, Way

#: A child with the SDK takes ten seconds on a busy machine.
ROUND_SECONDS = 120.0


def _by_sdk(server: ClearmlServer, folder: Path) -> Program:
    settings = ServiceSettings(clearml_api_url=server.api_url, clearml_files_url=server.files_url)
    made = sdk_configuration(settings, server.key, None)
    return RegisterProgram(str(SDK.python()), folder, made, ROUND_SECONDS)


@asynccontextmanager
async def _tables(root: Path) -> AsyncIterator[HubTables]:
    hub = open_tables(root)
    try:
        await hub.bind()
        yield hub
    finally:
        hub.database.close()


@asynccontextmanager
async def _clearml(root: Path, server: ClearmlServer, by_sdk: bool) -> AsyncIterator[ClearmlWay]:
    calls = Calls(server)
    program = _by_sdk(server, root / "children") if by_sdk else ProgramHere(calls)
    await asyncio.to_thread(calls.queue, CLEARML_QUEUE)
    async with _tables(root) as hub:
        yield ClearmlWay(hub, root, calls, program)


@pytest.fixture(params=["agents", "clearml", pytest.param("sdk", marks=pytest.mark.slow)])
async def way(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Way]:
    if request.param == "agents":
        async with _tables(tmp_path) as hub:
            yield AgentWay(hub, tmp_path)
        return
    by_sdk = request.param == "sdk"
    async with clearml_server() as server, _clearml(tmp_path, server, by_sdk) as way:
        yield way


@pytest.fixture
async def server() -> AsyncIterator[ClearmlServer]:
    async with clearml_server() as found:
        yield found


@pytest.fixture
def double(server: ClearmlServer) -> ClearmlDouble:
    if server.double is None:
        pytest.skip("a real server is not broken by tests")
    return server.double


@pytest.fixture
async def clearml(tmp_path: Path, server: ClearmlServer) -> AsyncIterator[ClearmlWay]:
    async with _clearml(tmp_path, server, by_sdk=False) as way:
        yield way


@pytest.fixture
async def by_sdk(tmp_path: Path, server: ClearmlServer) -> AsyncIterator[ClearmlWay]:
    async with _clearml(tmp_path, server, by_sdk=True) as way:
        yield way
