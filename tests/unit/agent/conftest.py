import shutil
from pathlib import Path

import pytest

from adaptery_network.agent.adapter_cache import AdapterCache
from adaptery_network.agent.attempt import AttemptTools
from adaptery_network.agent.base_models import BaseModels
from adaptery_network.agent.folders import AgentFolders
from adaptery_network.agent.lines import Backoff
from adaptery_network.agent.reporter import ReportTiming
from adaptery_network.agent.slots import WorkerSlots
from adaptery_network.agent.worker import WorkerSettings
from support.agent_side import program
from support.agent_side.desk import DeskLine, ServiceDesk
from support.agent_side.specs import BASE_DIGEST

QUICK_REPORT = ReportTiming(gather_seconds=0.01, backoff=Backoff(0.01, 0.05))


class Bench:
    """One agent's slots with the tiny worker, and a desk for each attempt."""

    def __init__(self, root: Path, **report) -> None:
        self.root = root
        self.source = root / "source"
        self.source.mkdir(exist_ok=True)
        self.folders = AgentFolders(root / "agent")
        self.folders.create()
        self.desks: dict[str, ServiceDesk] = {}
        self.cache = AdapterCache(self.folders.adapters, 10**9)
        self.base_models = BaseModels(
            {"tiny": str(self.source)}, self.folders.models, program("convert"), 1
        )
        self.report = ReportTiming(
            **{"gather_seconds": 0.01, "backoff": Backoff(0.01, 0.05), **report}
        )
        self.worker = WorkerSettings(
            command=program("worker"), grace_seconds=5, poll_seconds=0.02, limits_poll_seconds=0.05
        )
        self.slots = self.new_slots()

    def new_slots(self, count: int = 1) -> WorkerSlots:
        """Return the slots of another life of the agent."""
        tools = AttemptTools(cache=self.cache, pinned=tuple, worker=self.worker, report=self.report)
        return WorkerSlots(
            count,
            folders=self.folders,
            base_models=self.base_models,
            tools=tools,
            open_line=lambda session: DeskLine(self.desks[session.id]),
        )

    async def behave(self, behaviour: str) -> None:
        shutil.rmtree(self.folders.models)
        (self.source / "behaviour").write_text(behaviour)
        await self.base_models.prepare()

    def desk(self, spec) -> ServiceDesk:
        desk = ServiceDesk(spec.fencing_token)
        desk.offered = {"inputs/0/manifest.json": b"{}", "inputs/0/data-00000.parquet": b"records"}
        self.desks[spec.attempt] = desk
        return desk

    def left(self) -> list[str]:
        return sorted(path.name for path in self.folders.attempts.iterdir())


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@pytest.fixture
def base_digest():
    return BASE_DIGEST
