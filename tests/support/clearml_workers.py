"""A service with a queue that leads to ClearML, and what a worker of it is given."""

from __future__ import annotations

import json
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from adaptery.digests import sha256_bytes
from adaptery.ids import new_id
from adaptery.schemas.worker import Hold
from adaptery.times import now
from adaptery_hub.clearml.carriage import WORKER_FILE
from adaptery_hub.database.statements import clearml_tasks
from support.hub_tables import WEIGHTS
from support.service import Client, Service, alpaca, running_service

TICKETS = "api/worker/tickets"
CODE = "c" * 43


@asynccontextmanager
async def worker_service(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    """Run it; no server of ClearML is there."""
    monkeypatch.setenv("ADAPTERY_CLEARML_ACCESS_KEY", "access")
    monkeypatch.setenv("ADAPTERY_CLEARML_SECRET_KEY", "secret")
    nobody = "http://127.0.0.1:9"
    options: dict[str, Any] = {
        "broker_url": "nats://127.0.0.1:9",
        "clearml_api_url": nobody,
        "clearml_files_url": nobody,
        "clearml_service_url": "https://hub.example.org/services/adaptery/",
        "queues": {"training": {"clearml_queue": "gpu"}},
        "base_models": {"tiny": "/models/tiny"},
        "default_base_model": "tiny",
        "pinned_digests": {"tiny": WEIGHTS},
    }
    async with running_service(folder, **options) as service:
        yield service


def given(service: Service) -> dict[str, str]:
    """Return what an administrator gives to workers."""
    path = service.services.settings.state_path / WORKER_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return json.loads(path.read_text())


async def job_with_ticket(service: Service, code: str = CODE) -> str:
    """Submit a job and hand it over to ClearML; return its id."""
    compute = service.services.compute
    assert compute is not None and compute.carriage is not None
    await compute.carriage.carrier.stop()  # the test hands over instead
    demo = service.client("demo")
    dataset = await demo.dataset(f"visits-{code[0]}")
    await demo.upload(dataset, alpaca(20))
    version = (await demo.publish(dataset))["result"]["version"]["id"]
    job = await demo.json("POST", "api/jobs", 201, json={"name": "notes", "dataset": version})
    assert job["state"] == "queued", job
    digest = sha256_bytes(code.encode())
    await service.services.db.write(
        lambda c: clearml_tasks.insert(c, new_id("ct"), job["id"], "training", digest, now())
    )
    return job["id"]


def worker_of(service: Service) -> Client:
    """Return a client with the key of workers."""
    return service.anonymous({"Authorization": f"Bearer {given(service)['worker_key']}"})


async def begun(service: Service) -> tuple[str, Hold]:
    """Let a worker begin a job; return its key and what it holds."""
    use = {"job": await job_with_ticket(service), "code": CODE, "weight_digest": WEIGHTS}
    hold = Hold.model_validate(await worker_of(service).json("POST", TICKETS, json=use))
    return given(service)["worker_key"], hold
