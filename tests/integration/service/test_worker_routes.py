"""Workers of ClearML at the service: what they show, what they may do, how much they may say."""

from __future__ import annotations

import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from adaptery.digests import sha256_bytes
from adaptery.ids import new_id
from adaptery.schemas.worker import MESSAGE_LIMIT_BYTES, Hold, pack, unpack
from adaptery.times import now
from adaptery_hub.clearml.carriage import WORKER_FILE
from adaptery_hub.database.statements import clearml_tasks
from support.service import Service, alpaca, running_service

WEIGHTS = "sha256:" + "b" * 64
CODE = "c" * 43
TICKETS = "api/worker/tickets"


@pytest.fixture
async def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
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
    async with running_service(tmp_path / "state", **options) as service:
        yield service


def _given(service: Service) -> dict[str, str]:
    path = service.services.settings.state_path / WORKER_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return json.loads(path.read_text())


async def _job_with_ticket(service: Service) -> str:
    compute = service.services.compute
    assert compute is not None and compute.carriage is not None
    await compute.carriage.carrier.stop()  # the test hands over instead
    demo = service.client("demo")
    dataset = await demo.dataset("visits")
    await demo.upload(dataset, alpaca(20))
    version = (await demo.publish(dataset))["result"]["version"]["id"]
    job = await demo.json("POST", "api/jobs", 201, json={"name": "notes", "dataset": version})
    assert job["state"] == "queued", job
    digest = sha256_bytes(CODE.encode())
    await service.services.db.write(
        lambda c: clearml_tasks.insert(c, new_id("ct"), job["id"], "training", digest, now())
    )
    return job["id"]


async def test_a_worker_begins_fetches_reports_and_ends(served: Service) -> None:
    job = await _job_with_ticket(served)
    given = _given(served)
    use = {"job": job, "code": CODE, "weight_digest": WEIGHTS}
    worker = served.anonymous({"Authorization": f"Bearer {given['worker_key']}"})
    for wrong in ({}, {"Authorization": "Bearer awk_x"}, {"Authorization": f"Basic {CODE}"}):
        await served.anonymous(wrong).json("POST", TICKETS, 401, json=use)
    await served.client("demo").json("POST", TICKETS, 401, json=use)
    await worker.json("POST", TICKETS, 409, json={**use, "code": "d" * 43})
    hold = Hold.model_validate(await worker.json("POST", TICKETS, json=use))
    await worker.json("POST", TICKETS, 409, json=use)
    assert (await served.client("demo").json("GET", f"api/jobs/{job}"))["state"] == "training"

    path = f"api/worker/attempts/{hold.attempt}"

    async def say(header: dict[str, Any], status: int = 200, token: str = hold.session) -> Any:
        headers = {"Authorization": f"Bearer {token}"}
        answer = await served.anonymous(headers).post(path, content=pack(header))
        assert answer.status_code == status, answer.text
        return unpack(answer.content)[0] if status == 200 else answer.json()

    files = (await say({"op": "list"}))["files"]
    assert {"inputs/0/manifest.json"} <= {file["path"] for file in files}
    await say({"op": "read", "path": "../x", "offset": 0, "length": 1}, 404)
    await say({"op": "list"}, 401, given["worker_key"])
    await say({"op": "steal"}, 422)
    fenced = {"fencing_token": hold.fencing_token}
    renewed = await say({"op": "report", "events": [], **fenced})
    assert renewed["session"].partition(".")[0] >= hold.session.partition(".")[0]
    other = f"api/worker/attempts/{new_id('at')}"
    headers = {"Authorization": f"Bearer {hold.session}"}
    assert (await served.anonymous(headers).post(other, content=b"")).status_code == 401
    big = await served.anonymous(headers).post(path, content=b"x" * (MESSAGE_LIMIT_BYTES + 1))
    assert big.status_code == 413
    for bad in (b"", b"\x00\x00\x00\xff{}"):
        assert (await served.anonymous(headers).post(path, content=bad)).status_code == 422
    await say({"op": "finish", "outcome": "failed", "reason": "No.", **fenced})
    await say({"op": "report", "events": [], **fenced}, 409)
    ended = await served.client("demo").json("GET", f"api/jobs/{job}")
    assert (ended["state"], ended["reason"]) == ("failed", "No.")


async def test_without_a_queue_of_clearml_no_worker_is_let_in(service: Service) -> None:
    for path in (TICKETS, f"api/worker/attempts/{new_id('at')}"):
        answer: httpx.Response = await service.anonymous({"Authorization": "Bearer awk_AAAA"}).post(
            path, json={}
        )
        assert answer.status_code == 401
