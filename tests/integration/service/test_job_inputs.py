"""What jobs learn from over HTTP: translations that come to an end, however they are disturbed."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import Connection

from adaptery_hub.database import tables
from adaptery_hub.fleet.live import BaseModelReport
from adaptery_hub.identity import HubModel
from adaptery_hub.operations import Progress
from support.hub_tables import BASE, WEIGHTS
from support.service import CREATED_AT, Client, Service, alpaca, running_service
from support.waiting import eventually

BASE_MODELS = {BASE: "/models/tiny"}


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with running_service(tmp_path / "state", base_models=BASE_MODELS) as running:
        await report_base(running)
        yield running


async def report_base(service: Service) -> None:
    compute = service.services.compute
    assert compute is not None
    await compute.base_models.observe([BaseModelReport(BASE, WEIGHTS)])


def preferences(count: int, word: str = "good") -> bytes:
    rows = [
        {
            "conversations": [{"from": "human", "value": f"Question {i}?"}],
            "chosen": {"from": "gpt", "value": f"A {word} answer {i}."},
            "rejected": {"from": "gpt", "value": f"A poor answer {i}."},
        }
        for i in range(count)
    ]
    return json.dumps(rows).encode()


async def published(
    client: Client, content: bytes, name: str = "visits", **fields: Any
) -> tuple[str, str]:
    """Return the ids of a dataset and its version."""
    dataset = await client.dataset(name, **fields)
    await client.upload(dataset, content)
    return dataset, (await client.publish(dataset))["result"]["version"]["id"]


async def job_in(client: Client, job: str, *states: str) -> Any:
    async def there() -> Any:
        now = await client.json("GET", f"api/jobs/{job}")
        return now if now["state"] in states else None

    return await eventually(there)


async def merged_versions(client: Client) -> list[Any]:
    found = []
    for dataset in (await client.json("GET", "api/datasets"))["items"]:
        versions = await client.json("GET", f"api/datasets/{dataset['id']}/versions")
        found += [version for version in versions["items"] if version["sources"]]
    return found


async def test_preferences_are_translated_once_and_their_jobs_go_on(demo: Client) -> None:
    _, first = await published(demo, preferences(3), "first")
    _, second = await published(demo, preferences(2, "fine"), "second", sensitivity="restricted")
    _, chats = await published(demo, alpaca(2), "chats")
    body = {"name": "notes", "datasets": [first, chats, second]}
    made = await demo.json("POST", "api/jobs", 201, json=body)
    assert made["state"] == "created"
    assert made["reason"] == "translating 2 datasets to chat; left out: rejected answers"
    job = await job_in(demo, made["id"], "queued")
    (merged,) = await merged_versions(demo)
    assert merged["name"].startswith("@demo/translated-to-chat-") and merged["records"] == 5
    assert set(merged["sources"]) == {first, second}
    log = (await demo.json("GET", f"api/jobs/{job['id']}/log"))["items"]
    assert log[0]["data"]["message"] == (
        f"2 datasets translated to chat in {merged['name']}: 5 records; "
        "left out: 5 x rejected answers"
    )
    again = await demo.json("POST", "api/jobs", 201, json=body)
    await job_in(demo, again["id"], "queued")
    assert len(await merged_versions(demo)) == 1
    graph = await demo.json("GET", f"api/versions/{first}/provenance")
    assert {made["id"], again["id"]} <= {node["id"] for node in graph["nodes"]}
    datasets = (await demo.json("GET", "api/datasets"))["items"]
    (of_merged,) = [d for d in datasets if d["full_name"] == merged["name"].removesuffix("@1")]
    assert of_merged["sensitivity"] == "restricted"
    assert not any(name in json.dumps(of_merged) for name in ("first", "second"))


async def test_a_translation_outlives_the_service_and_ends_with_its_job(tmp_path: Path) -> None:
    async with running_service(tmp_path / "state", base_models=BASE_MODELS) as service:
        await report_base(service)
        demo = service.client("demo")
        _, version = await published(demo, preferences(3))
        assert service.services.compute is not None
        await service.services.compute.translations.stop()
        body = {"name": "notes", "dataset": version}
        left = (await demo.json("POST", "api/jobs", 201, json=body))["id"]
        cancelled = (await demo.json("POST", "api/jobs", 201, json=body))["id"]
        gone = await demo.json("POST", f"api/jobs/{cancelled}/cancel")
        assert gone["state"] == "cancelled"
        assert not await merged_versions(demo)
    async with running_service(tmp_path / "state", base_models=BASE_MODELS) as service:
        demo = service.client("demo")
        assert (await job_in(demo, left, "queued"))["dataset"].startswith(
            "@demo/translated-to-chat-"
        )
        assert len(await merged_versions(demo)) == 1


class Waiting:
    """Work that keeps a seat until it is let go."""

    def __init__(self) -> None:
        self.free = threading.Event()

    def run(self, progress: Progress) -> None:
        while not self.free.wait(0.01):
            progress.check()

    def commit(self, connection: Connection) -> Mapping[str, object]:
        return {}

    def abandon(self) -> None:
        pass


async def test_a_translation_that_runs_ends_when_its_job_is_cancelled(
    demo: Client, service: Service
) -> None:
    _, version = await published(demo, preferences(3))
    services, blocker = service.services, Waiting()
    me = await services.tenants.identity_of(
        HubModel("demo", "user", (), frozenset(), created_at=CREATED_AT)
    )
    for seat in range(2):  # all that one tenant has at once
        await services.operations.start(me, "wait", f"ds_{seat}", blocker)
    body = {"name": "notes", "dataset": version}
    job = (await demo.json("POST", "api/jobs", 201, json=body))["id"]
    operations = tables.operations
    merges = operations.select().where(operations.c.kind == "merge")

    async def merge(state: str) -> bool:
        rows = await services.db.read(lambda c: c.execute(merges).mappings().all())
        return [row["state"] for row in rows] == [state]

    await eventually(lambda: merge("running"))
    await demo.json("POST", f"api/jobs/{job}/cancel")
    await eventually(lambda: merge("cancelled"))
    blocker.free.set()
    assert not await merged_versions(demo)


async def test_a_translation_that_cannot_be_made_fails_its_job_and_says_why(
    demo: Client, service: Service
) -> None:
    assert service.services.compute is not None
    await service.services.compute.translations.stop()
    _, version = await published(demo, preferences(3))
    body = {"name": "notes", "dataset": version}
    job = (await demo.json("POST", "api/jobs", 201, json=body))["id"]
    path = f"api/versions/{version}/withdraw"
    await demo.json("POST", path, json={"reason": "Consent was taken back."})
    service.services.compute.translations.start()
    failed = await job_in(demo, job, "failed")
    assert "withdrawn" in failed["reason"]


async def test_whoever_lost_the_right_meanwhile_gets_no_translation(
    demo: Client, service: Service
) -> None:
    guest = service.client("guest")
    assert service.services.compute is not None
    await service.services.compute.translations.stop()
    dataset, version = await published(demo, preferences(3))
    grants = f"api/datasets/{dataset}/grants"
    body = {"name": "notes", "dataset": version}
    await guest.json("POST", "api/jobs", 404, json=body)
    await demo.json("PUT", grants, json={"principal": "@guest", "right": "use"})
    problem = await guest.json("POST", "api/jobs", 403, json=body)
    assert "right to view" in problem["detail"]
    await demo.json("PUT", grants, json={"principal": "@guest", "right": "view"})
    job = (await guest.json("POST", "api/jobs", 201, json=body))["id"]
    await demo.json("PUT", grants, json={"principal": "@guest", "right": "use"})
    service.services.compute.translations.start()
    failed = await job_in(guest, job, "failed")
    assert "view" in failed["reason"] and not await merged_versions(guest)
