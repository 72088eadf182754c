"""Workers of ClearML at the service: what they show, what they may do, how much they may say."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from adaptery.ids import new_id
from adaptery.schemas.worker import MESSAGE_LIMIT_BYTES, Hold, pack, unpack
from adaptery_hub.routes import all_routes
from support.clearml_workers import (
    CODE,
    TICKETS,
    begun,
    given,
    job_with_ticket,
    worker_of,
    worker_service,
)
from support.hub_tables import WEIGHTS
from support.service import Service


@pytest.fixture
async def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    async with worker_service(tmp_path / "state", monkeypatch) as service:
        yield service


async def test_a_worker_begins_fetches_reports_and_ends(served: Service) -> None:
    job, other_job = await job_with_ticket(served), await job_with_ticket(served, "o" * 43)
    use = {"job": job, "code": CODE, "weight_digest": WEIGHTS}
    worker = worker_of(served)
    for wrong in ({}, {"Authorization": "Bearer awk_x"}, {"Authorization": f"Basic {CODE}"}):
        await served.anonymous(wrong).json("POST", TICKETS, 401, json=use)
    await served.client("demo").json("POST", TICKETS, 401, json=use)
    await worker.json("POST", TICKETS, 409, json={**use, "code": "d" * 43})
    await worker.json("POST", TICKETS, 409, json={**use, "job": other_job})
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
    await say({"op": "list"}, 401, given(served)["worker_key"])
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


async def test_what_a_worker_holds_opens_nothing_else(served: Service) -> None:
    key, hold = await begun(served)
    opened = []
    for route in all_routes():
        for method, operation in route.methods.items():
            if operation.scope in ("open", "session", "worker"):
                continue
            path = re.sub(r"\{\w+(:path)?\}", "x", route.template)
            for secret in (key, hold.session):
                client = served.anonymous({"Authorization": f"Bearer {secret}"})
                if (answer := await client.request(method, path, json={})).status_code != 401:
                    opened.append((method, path, answer.status_code))
    assert opened == []


async def test_without_a_queue_of_clearml_no_worker_is_let_in(service: Service) -> None:
    for path in (TICKETS, f"api/worker/attempts/{new_id('at')}"):
        answer: httpx.Response = await service.anonymous({"Authorization": "Bearer awk_AAAA"}).post(
            path, json={}
        )
        assert answer.status_code == 401
