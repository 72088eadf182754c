"""A job through ClearML from submit to adapter: real SDK, real `clearml-agent`, real training.

Slow: both have an environment of their own (`build/clients`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from adaptery.base_models import BaseModelInfo, weight_digest, write_base_model
from adaptery_hub.clearml.carriage import WORKER_FILE
from adaptery_hub.clearml.links import Waits
from support.clearml_calls import Calls
from support.clearml_machine import ClearmlMachine
from support.clearml_stage import SDK, ClearmlServer
from support.queue_ways import CLEARML_QUEUE
from support.service import Client, Service, running_service
from support.waiting import eventually
from tiny import build_tiny_model, tiny_records

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

BASE = "tests/tiny"
PATIENCE = 300


@asynccontextmanager
async def served(
    folder: Path, server: ClearmlServer, base: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Service]:
    """Run a service whose queue leads to the server."""
    monkeypatch.setenv("ADAPTERY_CLEARML_ACCESS_KEY", server.key.access_key)
    monkeypatch.setenv("ADAPTERY_CLEARML_SECRET_KEY", server.key.secret_key)
    options: dict[str, Any] = {
        "broker_url": "nats://127.0.0.1:9",
        "clearml_api_url": server.api_url,
        "clearml_files_url": server.files_url,
        "clearml_python": str(SDK.python()),
        "clearml_project": "Adaptery tests",
        "clearml_service_url": "http://127.0.0.1/",
        "queues": {"training": {"clearml_queue": CLEARML_QUEUE}},
        "base_models": {BASE: str(base)},
        "default_base_model": BASE,
        "pinned_digests": {BASE: weight_digest(base)},
    }
    await asyncio.to_thread(Calls(server).queue, CLEARML_QUEUE)
    async with running_service(folder, **options) as service:
        compute = service.services.compute
        assert compute is not None and compute.carriage is not None
        compute.carriage.carrier._waits = Waits(look=0.2, first=0.2, last=1.0)
        yield service


async def submit(client: Client, **options: Any) -> str:
    dataset = await client.dataset("visits")
    lines = "\n".join(json.dumps(record) for record in tiny_records())
    await client.upload(dataset, lines.encode(), "visits.jsonl")
    version = (await client.publish(dataset, timeout_seconds=PATIENCE))["result"]["version"]["id"]
    wanted = {"name": "notes", "dataset": version, "options": options}
    return (await client.json("POST", "api/jobs", 201, json=wanted))["id"]


async def in_state(client: Client, job: str, state: str) -> Any:
    async def shown() -> Any:
        found = await client.json("GET", f"api/jobs/{job}")
        return found if found["state"] == state and found["clearml"] else None

    return await eventually(shown, timeout_seconds=PATIENCE, every_seconds=0.2)


def machine_of(folder: Path, server: ClearmlServer, service: Service, base: Path) -> ClearmlMachine:
    given = json.loads((service.services.settings.state_path / WORKER_FILE).read_text())
    own = {"service_url": service.url, "base_models": {BASE: str(base)}}
    return ClearmlMachine(folder, server, {**given, **own, "work_folder": str(folder)})


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = build_tiny_model(tmp_path_factory.mktemp("base"))
    info = BaseModelInfo(name=BASE, weight_digest=weight_digest(folder), source="tests")
    write_base_model(folder, info)
    return folder


async def test_a_job_is_trained_by_clearml_agent(
    tmp_path: Path, server: ClearmlServer, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(tmp_path / "state", server, base, monkeypatch) as service:
        demo = service.client("demo")
        job = await submit(demo, max_steps=3)
        task = (await in_state(demo, job, "queued"))["clearml"]["task"]
        machine = machine_of(tmp_path / "machine", server, service, base)
        agent = await machine.start(task)
        async with asyncio.timeout(PATIENCE):
            code = await agent.wait()
        found = await demo.json("GET", f"api/jobs/{job}")
        assert found["state"] == "completed", (code, found["reason"], machine.said[-4000:])
        assert found["step"] == 3 and found["adapter"].startswith("@demo/notes@")
        if server.double is not None:
            shown = {(e["metric"], e["variant"]) for e in server.double.events if "variant" in e}
            assert {("train", "loss"), ("train", "learning_rate"), ("train", "epoch")} <= shown
            assert server.double.unknown == []
        assert machine.settings["worker_key"] not in machine.said
        assert not list(machine.folder.glob("adaptery-*"))  # nothing of the job stays there
