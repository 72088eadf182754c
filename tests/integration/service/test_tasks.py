"""Tasks over the API: who sees which, what is refused at submit, files that change meanwhile."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from adaptery_hub.database.statements import jobs
from adaptery_hub.tasks.catalog import LOOK_SECONDS
from support.hub_tables import BASE
from support.job_stages import JobStage, job_stage
from support.service import Client, alpaca
from support.shell import Shell
from support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

TASK = """\
title: Notes
description: Learns from notes.
stage: sft
start_from: false
base_models: ["tiny/*"]
groups: [radiology]
options:
  rank: {into: lora.rank, title: Rank, description: Size., maximum: 16}
"""
OTHER_BASE = "other/base"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tasks")
    (folder / "notes.yaml").write_text(TASK)
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> AsyncIterator[JobStage]:
    state = tmp_path_factory.mktemp("state")
    known = {"base_models": {BASE: "/models/tiny", OTHER_BASE: "/models/other"}}
    async with job_stage(state, tasks_dir=str(folder), **known) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def version(stage: JobStage) -> str:
    return await publish(stage.service.client("demo", groups=("radiology",)))


async def publish(client: Client) -> str:
    dataset = await client.dataset("visits")
    await client.upload(dataset, alpaca(3))
    await client.publish(dataset)
    return "visits"


def order(version: str, **changes: object) -> dict[str, object]:
    return {"task": "notes", "name": "soap", "dataset": version, **changes}


async def names(client: Client) -> list[str]:
    return [task["name"] for task in (await client.get("api/tasks")).json()["items"]]


async def test_a_task_of_a_group_does_not_exist_for_others(stage: JobStage, version: str) -> None:
    insider = stage.service.client("demo", groups=("radiology",))
    outsider = stage.service.client("guest", groups=("surgery",))
    assert "notes" in await names(insider)
    assert await names(outsider) == [name for name in await names(insider) if name != "notes"]
    hidden, missing = [await outsider.get(f"api/tasks/{name}") for name in ("notes", "nothing")]
    assert hidden.status_code == missing.status_code == 404
    assert without_request(hidden.json()) == without_request(missing.json())
    own = await publish(outsider)
    refused = [
        await outsider.post("api/jobs", json=order(own, task=name)) for name in ("notes", "nothing")
    ]
    assert [answer.status_code for answer in refused] == [422, 422]
    assert without_request(refused[0].json()) == without_request(refused[1].json())
    assert "notes" not in refused[0].text
    assert (await insider.post("api/jobs", json=order(version))).status_code == 201


def without_request(problem: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in problem.items() if key != "request_id"}


async def test_a_job_keeps_the_digest_of_its_task(stage: JobStage, version: str) -> None:
    demo = stage.service.client("demo", groups=("radiology",))
    task = (await demo.get("api/tasks/notes")).json()
    assert task["base_models"] == [BASE] and task["groups"] == ["radiology"]
    assert task["kinds"] == ["chat", "text"] and task["takes"]["start_from"] is False
    job = (await demo.post("api/jobs", json=order(version, name="kept"))).json()
    row = await stage.service.services.db.read(lambda c: jobs.get(c, job["id"]))
    assert row is not None and row["task_digest"] == task["digest"]


@pytest.mark.parametrize(
    "changes, where",
    [
        ({"base_model": OTHER_BASE}, "base_model"),
        ({"options": {"rank": 17}}, "options.rank"),
        ({"options": {"seed": 1}}, "options.seed"),
        ({"start_from": "@demo/soap@1"}, "start_from"),
        ({"reward": "@demo/soap@1"}, "reward"),
        ({"task": "sft", "options": {"use_dora": True}}, "options.use_dora"),
        ({"task": "sft", "options": {"early_stopping_steps": 2}}, "options.early_stopping_steps"),
        (
            {"task": "sft", "options": {"adapter_kind": "loha", "lora_rank": 64}},
            "options.lora_rank",
        ),
    ],
)
async def test_what_a_task_does_not_take_is_refused_by_its_name(
    stage: JobStage, version: str, changes: dict[str, object], where: str
) -> None:
    demo = stage.service.client("demo", groups=("radiology",))
    answer = await demo.post("api/jobs", json=order(version, **changes))
    assert answer.status_code == 422
    [problem] = answer.json()["errors"]
    assert problem["where"] == where and problem["reason"] and problem["remedy"]


async def test_files_change_while_the_service_runs_and_problems_are_for_administrators(
    stage: JobStage, folder: Path
) -> None:
    demo = stage.service.client("demo", groups=("radiology",))
    admin = stage.service.client("boss", scopes=("read", "admin"))
    (folder / "letters.yaml").write_text(TASK.replace("groups: [radiology]\n", ""))
    await eventually(lambda: has(demo, "letters"), timeout_seconds=10 * LOOK_SECONDS)
    (folder / "letters.yaml").write_text("title: [")
    await eventually(lambda: has_problems(admin), timeout_seconds=10 * LOOK_SECONDS)
    assert "letters" in await names(demo), "it goes on as it was"
    [problem] = (await admin.get("api/tasks/problems")).json()["items"]
    assert problem["where"].startswith("letters.yaml:") and problem["task"] == "letters"
    assert (await demo.get("api/tasks/problems")).status_code == 403
    (folder / "letters.yaml").unlink()
    await eventually(lambda: has(demo, "letters", False), timeout_seconds=10 * LOOK_SECONDS)


async def has(client: Client, task: str, wanted: bool = True) -> bool:
    return (task in await names(client)) is wanted


async def has_problems(admin: Client) -> bool:
    return bool((await admin.get("api/tasks/problems")).json()["items"])


async def test_the_list_pages_by_name(stage: JobStage) -> None:
    demo = stage.service.client("demo")
    whole = await names(demo)
    first = (await demo.get("api/tasks", params={"limit": 2})).json()
    rest = (await demo.get("api/tasks", params={"after": whole[1]})).json()
    assert [task["name"] for task in first["items"] + rest["items"]] == whole == sorted(whole)
    assert first["has_more"] and not rest["has_more"]


async def test_tasks_on_the_command_line(
    stage: JobStage,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stage.service.client("demo", groups=("radiology",), token="token-of-a-terminal")
    monkeypatch.setenv("ADAPTERY_URL", stage.service.url)
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "token-of-a-terminal")
    shell = Shell(capsys, "tasks")
    listed = (await shell.run("list")).splitlines()
    assert listed[0].split() == ["TASK", "STAGE", "TITLE"]
    assert "notes" in {line.split()[0] for line in listed}
    shown = await shell.run("show", "sft")
    assert "Optimisation" in shown and "learning_rate" in shown and "number 1e-08..0.1" in shown
    assert "Sound, with the shipped ones:" in await shell.run("check", folder)
    (folder / "bad.yaml").write_text(TASK.replace("maximum: 16", "maximum: 999"))
    told = await shell.run("check", folder, status=1)
    (folder / "bad.yaml").unlink()
    assert told.startswith("bad.yaml:8 options.rank.maximum: is not what lora.rank takes")
    assert "it takes 1..256" in told
    await shell.run("problems", status=1)
    assert "admin" in shell.err, "whose files they are is not for everyone"


async def test_the_schema_of_a_form_is_plain_json_schema(stage: JobStage) -> None:
    demo = stage.service.client("demo")
    for task in (await demo.get("api/tasks")).json()["items"]:
        schema = task["schema"]
        assert schema["type"] == "object" and schema["additionalProperties"] is False
        assert "$defs" not in schema and "$ref" not in json.dumps(schema)
        for name, option in schema["properties"].items():
            assert {"title", "description", "section"} <= set(option), name
            assert "type" in option and "anyOf" not in option, name
