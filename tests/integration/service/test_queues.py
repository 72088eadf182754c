"""Queues over HTTP and on the command line."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from adaptery_hub.database import tables
from support.job_stages import JobStage, job_stage
from support.service import Client, alpaca
from support.shell import Shell

TOKEN = "token-of-the-administrator"
EVERYTHING = ("read", "write", "infer", "admin")
NIGHT = """
title: At night
description: For people of the night.
stage: sft
queue: night
groups: [radiology]
options: {}
"""


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[JobStage]:
    tasks = tmp_path / "tasks"
    tasks.mkdir()
    (tasks / "night.yaml").write_text(NIGHT)
    large = {"labels": ["gpu"], "max_running_jobs": 2}
    options: dict[str, Any] = {"tasks_dir": str(tasks), "queues": {"large": large}}
    async with job_stage(tmp_path / "state", **options) as running:
        yield running


def boss(stage: JobStage) -> Client:
    return stage.service.client("boss", scopes=EVERYTHING)


async def names(client: Client) -> list[str]:
    return [one["name"] for one in (await client.json("GET", "api/queues"))["items"]]


async def test_users_see_the_queues_of_their_tasks_and_administrators_all(stage: JobStage) -> None:
    demo = stage.service.client("demo")
    member = stage.service.client("rose", groups=("radiology",))
    admin = boss(stage)
    assert await names(demo) == ["training"]
    assert await names(member) == ["night", "training"]
    assert await names(admin) == ["large", "night", "training"]
    page = await admin.json("GET", "api/queues?after=large&limit=1")
    assert [one["name"] for one in page["items"]] == ["night"] and page["has_more"]
    (large, *_) = (await admin.json("GET", "api/queues"))["items"]
    assert (large["labels"], large["state"], large["agents"]) == (["gpu"], "open", 0)
    (training,) = (await demo.json("GET", "api/queues"))["items"]
    assert training["labels"] is None and training["changed_by"] is None


async def test_an_administrator_pauses_and_opens_a_queue(stage: JobStage) -> None:
    demo, admin = stage.service.client("demo"), boss(stage)
    dataset = await demo.dataset("visits")
    await demo.upload(dataset, alpaca(3))
    await demo.publish(dataset)
    body = {"name": "notes", "dataset": "@demo/visits@1"}
    job = await demo.json("POST", "api/jobs", 201, json=body)
    refused = await demo.patch("api/queues/training", json={"state": "paused"})
    assert refused.status_code == 403
    change = {"state": "paused", "reason": "new disks"}
    paused = await admin.json("PATCH", "api/queues/training", json=change)
    assert (paused["state"], paused["reason"], paused["queued"]) == ("paused", "new disks", 1)
    assert paused["changed_by"] == "@boss" and paused["waits_since"] == job["queued_at"]
    shown = await demo.json("GET", f"api/jobs/{job['id']}")
    assert shown["reason"] == "the queue training is paused: new disks"
    await admin.json("PATCH", "api/queues/training", json={"state": "open"})
    assert (await stage.claim()).job_id == job["id"]
    by_seq = tables.audit.select().order_by(tables.audit.c.seq)
    rows = await stage.service.services.db.read(lambda c: list(c.execute(by_seq).mappings()))
    told = [row["details"] for row in rows if row["action"] == "queue.change"]
    assert told == [{"name": "training", "state": state} for state in ("paused", "open")]


async def test_what_is_no_change_of_a_queue_is_refused(stage: JobStage) -> None:
    for change in (
        {},
        {"state": "closed"},
        {"state": "open", "reason": "no"},
        {"state": "paused", "reason": "two\nlines"},
        {"state": "paused", "reason": "x" * 201},
        {"state": "paused", "more": 1},
    ):
        answer = await boss(stage).patch("api/queues/training", json=change)
        assert answer.status_code == 422, change
    absent = await boss(stage).patch("api/queues/none", json={"state": "paused"})
    assert absent.status_code == 404


async def test_queues_on_the_command_line(
    stage: JobStage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.service.client("boss", scopes=EVERYTHING, token=TOKEN)
    monkeypatch.setenv("ADAPTERY_URL", stage.service.url)
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", TOKEN)
    shell = Shell(capsys, "queues")
    assert "new disks" in await shell.run("pause", "training", "--reason", "new disks")
    listed = (await shell.run("list")).splitlines()
    assert [line.split()[:2] for line in listed[1:]] == [
        ["large", "open"],
        ["night", "open"],
        ["training", "paused"],
    ]
    assert "draining" in await shell.run("drain", "training")
    assert "open" in await shell.run("open", "training")
    await shell.run("pause", "none", status=1)
    assert "no such queue" in shell.err
