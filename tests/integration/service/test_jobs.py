"""Jobs over HTTP, on a service without any machine to train on."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from adaptery_hub.database.statements import job_events
from support.job_stages import JobStage, job_stage
from support.service import Client, alpaca
from support.waiting import eventually

SCOPES = ("read", "write", "infer")


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[JobStage]:
    async with job_stage(tmp_path / "state") as running:
        yield running


@pytest.fixture
def demo(stage: JobStage) -> Client:
    return stage.service.client("demo", groups=("radiology",))


@pytest.fixture
def guest(stage: JobStage) -> Client:
    return stage.service.client("guest")


async def published(client: Client, name: str = "visits", **fields: Any) -> str:
    dataset = await client.dataset(name, **fields)
    await client.upload(dataset, alpaca(3))
    return (await client.publish(dataset))["result"]["version"]["id"]


async def submitted(client: Client, name: str, dataset: str, **fields: Any) -> dict[str, Any]:
    body = {"name": name, "dataset": dataset, **fields}
    return await client.json("POST", "api/jobs", 201, json=body)


async def share(client: Client, path: str, principal: str, right: str) -> None:
    body = {"principal": principal, "right": right}
    await client.json("PUT", f"api/{path}/grants", json=body)


async def test_a_request_with_a_key_is_answered_with_one_job(demo: Client, guest: Client) -> None:
    body = {"name": "notes", "dataset": await published(demo), "key": "k-1"}
    sent = (demo.json("POST", "api/jobs", 201, json=body) for _ in range(4))
    first, *others = await asyncio.gather(*sent)
    assert {job["id"] for job in others} == {first["id"]} and "key" not in first
    problem = await demo.json("POST", "api/jobs", 409, json=body | {"name": "letters"})
    assert problem["code"] == "conflict" and problem["errors"][0]["where"] == "key"
    assert len((await demo.json("GET", "api/jobs"))["items"]) == 1
    # To somebody else it is a key like any other.
    await guest.json("POST", "api/jobs", 404, json=body)
    theirs = body | {"dataset": await published(guest)}
    assert (await guest.json("POST", "api/jobs", 201, json=theirs))["id"] != first["id"]


async def test_a_key_has_a_form(demo: Client) -> None:
    for key in ("", "a b", "k" * 65, "schlüssel", "a\n", 7):
        body = {"name": "notes", "dataset": "@demo/visits", "key": key}
        problem = await demo.json("POST", "api/jobs", 422, json=body)
        assert [entry["where"] for entry in problem["errors"]] == ["key"], key


async def test_each_state_has_its_order_and_count(
    stage: JobStage, demo: Client, guest: Client
) -> None:
    version = await published(demo)
    names = ("one", "two", "three", "four")
    made = [(await submitted(demo, name, version))["id"] for name in names]
    await stage.complete(await stage.train(made[0], steps=2))
    await demo.json("POST", f"api/jobs/{made[1]}/cancel")
    await stage.fail(await stage.train(made[2], steps=2), "no memory")

    async def listed(query: str) -> list[str]:
        items = (await demo.json("GET", f"api/jobs?{query}"))["items"]
        return [job["name"] for job in items]

    assert await listed("") == ["four", "three", "two", "one"]
    assert await listed("state=completed,failed,cancelled") == ["three", "two", "one"]
    assert await listed("sort=oldest&limit=2") == ["one", "two"]
    assert await listed(f"sort=oldest&limit=2&after={made[1]}") == ["three", "four"]
    assert await listed("sort=name&search=O") == ["four", "one", "two"]
    assert await listed("task=training-v0&state=queued") == ["four"]
    assert await listed("task=another") == []
    problem = await demo.json("GET", "api/jobs?sort=random", 422)
    assert problem["errors"][0]["where"] == "sort"
    await demo.json("POST", f"api/jobs/{made[1]}/cancel")  # again: it is so already
    admin = stage.service.client("admin", scopes=(*SCOPES, "admin"))
    (row,) = (await admin.json("GET", "api/audit?action=job.cancel"))["items"]
    assert (row["actor"], row["thing_id"]) == ("@demo", made[1])
    counts = await demo.json("GET", "api/jobs/counts")
    assert {state: count for state, count in counts.items() if count} == {
        "queued": 1,
        "completed": 1,
        "failed": 1,
        "cancelled": 1,
    }
    assert set((await guest.json("GET", "api/jobs/counts")).values()) == {0}


async def test_a_job_offers_what_its_viewer_may_do(
    stage: JobStage, demo: Client, guest: Client
) -> None:
    job = (await submitted(demo, "notes", await published(demo)))["id"]
    path = f"api/jobs/{job}"
    shown = await demo.json("GET", path)
    assert (shown["state"], shown["position"]) == ("queued", 1)
    assert shown["actions"] == ["cancel", "prioritise", "clone"]
    await share(demo, f"jobs/{job}", "@guest", "view")
    assert (await guest.json("GET", path))["actions"] == ["clone"]
    await guest.json("PATCH", path, 403, json={"priority": "low"})
    await guest.json("DELETE", path, 403)
    adapter = await stage.complete(await stage.train(job, steps=2))
    mine = {"chat", "download", "compare", "statistics", "resubmit", "clone", "delete"}
    assert set((await demo.json("GET", path))["actions"]) == mine
    theirs = mine - {"chat", "download", "delete"}
    assert set((await guest.json("GET", path))["actions"]) == theirs
    await share(demo, f"adapters/{adapter}", "@guest", "use")
    assert set((await guest.json("GET", path))["actions"]) == theirs | {"chat"}


async def test_a_job_is_submitted_again_as_it_was(
    stage: JobStage, demo: Client, guest: Client
) -> None:
    options = {"epochs": 0.5, "rank": 4}
    version = await published(demo)
    job = (await submitted(demo, "notes", version, options=options))["id"]
    path = f"api/jobs/{job}/resubmit"
    problem = await demo.json("POST", path, 409, json={})
    assert problem["code"] == "job_state" and "failed" in problem["hint"]
    await stage.fail(await stage.train(job, steps=2), "no memory")
    made = [await demo.json("POST", path, 201, json={"key": "again"}) for _ in range(2)]
    assert made[0]["id"] == made[1]["id"] != job
    first = await demo.json("GET", f"api/jobs/{job}")
    first_digest = (await stage.row(job))["task_digest"]
    kept = ("name", "task", "base_model", "datasets", "options", "priority", "stage")
    assert [made[0][field] for field in kept] == [first[field] for field in kept]
    assert made[0]["cloned_from"] == job
    specs = [(await stage.row(id))["spec"] for id in (job, made[0]["id"])]
    assert specs[0] == specs[1]

    await guest.json("POST", path, 404, json={})
    await share(demo, f"jobs/{job}", "@guest", "view")
    await guest.json("POST", path, 404, json={})  # not their dataset to use
    await stage.change(job, task_digest="sha256:" + "0" * 64)
    problem = await demo.json("POST", path, 409, json={})
    assert "was changed since" in problem["detail"]
    await stage.change(job, task_digest=first_digest)
    await demo.json("POST", f"api/versions/{version}/withdraw", json={"reason": "x"})
    problem = await demo.json("POST", path, 422, json={})
    assert "withdrawn" in problem["errors"][0]["reason"]


async def test_a_job_is_cloned_by_who_can_see_it(demo: Client, guest: Client) -> None:
    job = (await submitted(demo, "notes", await published(demo)))["id"]
    made = await submitted(demo, "more", "@demo/visits@1", cloned_from=job, options={"rank": 16})
    assert made["cloned_from"] == job
    theirs = await published(guest)
    body = {"name": "notes", "dataset": theirs, "cloned_from": job}
    await guest.json("POST", "api/jobs", 404, json=body)
    await guest.json("POST", "api/jobs", 422, json=body | {"cloned_from": "jb_1"})


async def test_a_version_that_is_not_there_is_told_by_the_field_that_names_it(
    stage: JobStage, demo: Client
) -> None:
    body = {"name": "notes", "datasets": [await published(demo), "@demo/gone@1"]}
    refused = await demo.json("POST", "api/jobs", 404, json=body)
    assert "version of a dataset" in refused["detail"] and "datasets.1" in refused["hint"]


async def has_position(demo: Client, job: str, place: int) -> bool:
    """A line that takes long to put together, as on a busy machine, is a little old."""
    return (await demo.json("GET", f"api/jobs/{job}"))["position"] == place


async def test_high_priority_is_an_administrators_to_give(stage: JobStage, demo: Client) -> None:
    admin = stage.service.client("demo", scopes=(*SCOPES, "admin"))
    version = await published(demo)
    first = (await submitted(demo, "one", version))["id"]
    second = (await submitted(demo, "two", version, priority="low"))["id"]
    body = {"name": "three", "dataset": version, "priority": "high"}
    refused = await demo.json("POST", "api/jobs", 403, json=body)
    assert "High priority is for administrators" in refused["detail"]
    await demo.json("PATCH", f"api/jobs/{second}", 403, json={"priority": "high"})
    await demo.json("PATCH", f"api/jobs/{second}", 422, json={"priority": 5})
    changed = await admin.json("PATCH", f"api/jobs/{second}", json={"priority": "high"})
    assert changed["priority"] == "high"
    await eventually(lambda: has_position(demo, second, 1))
    await eventually(lambda: has_position(demo, first, 2))
    await stage.claim()
    await demo.json("PATCH", f"api/jobs/{second}", 409, json={"priority": "low"})
    rows = (await admin.json("GET", "api/audit?action=job.prioritise"))["items"]
    assert [row["details"] for row in rows] == [{"priority": "high"}]


async def test_a_deleted_job_leaves_its_adapter_and_what_that_learnt_from(
    stage: JobStage, demo: Client
) -> None:
    version = await published(demo)
    job = (await submitted(demo, "notes", version, key="k-1"))["id"]
    path = f"api/jobs/{job}"
    await demo.json("DELETE", path, 409)
    claim = await stage.train(job, steps=3)
    folder = await stage.checkpoint(claim, step=2)
    adapter = await stage.complete(claim)
    objects = stage.service.services.objects
    assert len(objects.list(folder)) == 1
    await demo.json("DELETE", path, 204)
    assert not objects.list(folder)
    for gone in (path, f"{path}/metrics", f"{path}/log", f"{path}/statistics"):
        await demo.json("GET", gone, 404)
    await demo.json("DELETE", path, 404)
    assert (await demo.json("GET", "api/jobs"))["items"] == []
    assert sum((await demo.json("GET", "api/jobs/counts")).values()) == 0
    left = await stage.service.services.db.read(lambda c: job_events.read_on(c, job, 0, 9))
    assert left == []
    assert (await demo.get(f"api/adapters/{adapter}/download")).status_code == 200
    await demo.json("POST", f"api/versions/{version}/withdraw", json={"reason": "x"})
    assert (await demo.json("GET", f"api/adapters/{adapter}"))["withdrawn"]
    admin = stage.service.client("admin", scopes=(*SCOPES, "admin"))
    (row,) = (await admin.json("GET", "api/audit?action=job.delete"))["items"]
    assert (row["thing_id"], row["details"]) == (job, {"bytes": 2, "checkpoints": 1})
    again = await demo.json(
        *("POST", "api/jobs", 422), json={"name": "notes", "dataset": version, "key": "k-1"}
    )
    assert "withdrawn" in again["errors"][0]["reason"]  # its key went with it


async def test_charts_and_statistics(stage: JobStage, demo: Client) -> None:
    job = (await submitted(demo, "notes", await published(demo)))["id"]
    path = f"api/jobs/{job}"
    claim = await stage.train(job, steps=80, total=100)
    shown = await demo.json("GET", path)
    assert (shown["step"], shown["total_steps"], shown["progress"]) == (80, 100, 0.8)
    assert shown["ends_at"] > shown["started_at"]
    chart = await demo.json("GET", f"{path}/metrics?points=50")
    steps = [event["data"]["step"] for event in chart["items"]]
    assert len(steps) <= 50 and (steps[0], steps[-1]) == (1, 80) and not chart["has_more"]
    for query in ("points=9", "points=x", "points=50&limit=9", "points=50&after=1"):
        problem = await demo.json("GET", f"{path}/metrics?{query}", 422)
        assert problem["errors"][0]["where"] == "points"
    await stage.fail(claim, "no memory")
    told = await demo.json("GET", f"{path}/statistics")
    (attempt,) = told["attempts"]
    assert (attempt["number"], attempt["outcome"], attempt["reason"]) == (1, "failed", "no memory")
    assert (told["last_loss"], told["best_eval_loss"]) == (1.0, 1.5)
    assert (told["tokens_per_second"], told["step_seconds"]) == (100.0, 1.0)
    learnt = {"dataset": "@demo/visits@1", "split": "all", "records": 3, "held_out": False}
    assert told["inputs"] == [learnt]
