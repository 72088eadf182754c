"""The service with a real broker and a real agent process, whose worker and engine are tiny."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.agent_side import program
from support.broker import BrokerProcess
from support.service import Client, Service, alpaca, running_service
from support.waiting import eventually

WORKER = program("carded_worker")
LONG_SECONDS = 60


class AgentProcess:
    """`adaptery agent run` as an operator starts it; a token waits in its folder."""

    def __init__(self, root: Path) -> None:
        self.state = root / "agent"
        self.source = root / "source"
        self.state.mkdir(mode=0o700)
        self.source.mkdir()
        config = {
            "base_models": {"tiny": str(self.source)},
            "worker_command": WORKER,
            "engine_command": program("engine"),
            "convert_command": program("convert"),
            "heartbeat_seconds": 0.2,
            "worker_grace_seconds": 5,
            "drain_seconds": 8,
        }
        (self.state / "agent.json").write_text(json.dumps(config))
        self.token_file = self.state / "join.token"
        self.log = root / "agent.log"
        self.process: asyncio.subprocess.Process | None = None

    def behave(self, behaviour: str) -> None:
        """Say what the next worker does; see `support/agent_side/programs/worker.py`."""
        for folder in (self.source, self.state / "models" / "tiny"):
            if folder.is_dir():
                (folder / "behaviour").write_text(behaviour)

    def go(self) -> None:
        """Let a gated worker go on."""
        (self.state / "models" / "tiny" / "go").touch()

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "adaptery.commands", "agent", "run"),
                *("--state", str(self.state)),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(self.process.wait(), 20)


@dataclass
class Spine:
    """Broker, service and agent."""

    state: Path
    broker: BrokerProcess
    agent: AgentProcess
    service: Service

    @property
    def demo(self) -> Client:
        return self.service.client("demo")

    @property
    def admin(self) -> Client:
        return self.service.client("admin", scopes=("read", "write", "infer", "admin"))


def serve(
    state: Path, broker: BrokerProcess, agent: AgentProcess
) -> AbstractAsyncContextManager[Service]:
    """Run the service on a state folder; may be called again on the same one."""
    return running_service(
        state,
        broker_url=broker.url,
        base_models={"tiny": str(agent.source)},
        local_agent_token_file=str(agent.token_file),
        lease_seconds=6.0,
    )


@pytest.fixture
async def spine(tmp_path: Path) -> AsyncIterator[Spine]:
    os.umask(0o077)
    state = tmp_path / "state"
    state.mkdir()
    agent = AgentProcess(tmp_path)
    agent.behave("finish")
    async with BrokerProcess(state) as broker, serve(state, broker, agent) as service:
        opened = Spine(state, broker, agent, service)
        await agent.start()
        await live(opened)
        try:
            yield opened
        finally:
            await agent.stop()


async def live(spine: Spine, service: Service | None = None) -> dict[str, Any]:
    """Wait until the agent is live with a ready engine; return it as the admin sees it."""
    admin = (service or spine.service).client("admin", scopes=("read", "write", "infer", "admin"))

    async def ready() -> dict[str, Any] | None:
        agents = (await admin.json("GET", "api/agents"))["items"]
        up = [a for a in agents if a["state"] == "live" and a["base_models"]]
        return up[0] if up and up[0]["load"]["engine"]["state"] == "ready" else None

    found = await eventually(ready, timeout_seconds=LONG_SECONDS, every_seconds=0.1)
    assert found is not None
    return found


async def published(client: Client, name: str = "visits", word: str = "cough") -> dict[str, Any]:
    """Upload and publish a dataset; return the version."""
    dataset = await client.dataset(name)
    await client.upload(dataset, alpaca(8, word))
    await client.publish(dataset)
    return (await client.json("GET", f"api/datasets/{dataset}/versions"))["items"][0]


async def submit(client: Client, version: str, name: str = "notes", **options: Any) -> str:
    """Submit a job; return its id."""
    body = {"name": name, "dataset": version, "options": options}
    return (await client.json("POST", "api/jobs", 201, json=body))["id"]


async def in_state(client: Client, job: str, *states: str) -> dict[str, Any]:
    """Wait until a job is in one of the states."""

    async def reached() -> dict[str, Any] | None:
        now = await client.json("GET", f"api/jobs/{job}")
        return now if now["state"] in states else None

    found = await eventually(reached, timeout_seconds=LONG_SECONDS, every_seconds=0.1)
    assert found is not None
    return found


async def at_step(client: Client, job: str, step: int) -> None:
    """Wait until a worker has told of a step."""

    async def told() -> bool:
        points = (await client.json("GET", f"api/jobs/{job}/metrics"))["items"]
        return any(point["data"]["step"] >= step for point in points)

    await eventually(told, timeout_seconds=LONG_SECONDS, every_seconds=0.1)


async def checkpointed(client: Client, job: str) -> None:
    """Wait until a checkpoint has arrived."""

    async def arrived() -> bool:
        return bool((await client.json("GET", f"api/jobs/{job}/checkpoints"))["items"])

    await eventually(arrived, timeout_seconds=LONG_SECONDS, every_seconds=0.1)


@asynccontextmanager
async def restarted(spine: Spine) -> AsyncIterator[Service]:
    """Run a second life of the service on the same state."""
    async with serve(spine.state, spine.broker, spine.agent) as service:
        yield service
