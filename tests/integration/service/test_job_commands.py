"""`adaptery jobs` against a real service, as a user runs it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.job_stages import JobStage, job_stage
from support.service import alpaca
from support.shell import Shell

TOKEN = "token-of-the-command-line"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[JobStage]:
    async with job_stage(tmp_path / "state") as running:
        yield running


@pytest.fixture
async def shell(
    stage: JobStage,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Shell:
    demo = stage.service.client("demo", token=TOKEN)
    for name in ("visits", "letters"):
        dataset = await demo.dataset(name)
        await demo.upload(dataset, alpaca(3))
        await demo.publish(dataset)
    monkeypatch.setenv("ADAPTERY_URL", stage.service.url)
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", TOKEN)
    monkeypatch.chdir(tmp_path)
    return Shell(capsys, "jobs")


async def test_a_job_from_its_submit_to_its_end(
    stage: JobStage, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = await shell.run(
        *("submit", "--name", "notes", "--dataset", "visits", "--set", "epochs=0.5"),
        *("--set", "max_steps=4", "--priority", "low"),
    )
    assert "notes is queued" in told
    first = told.partition(":")[0]
    told = await shell.run(
        "submit", "--name", "both", "--dataset", "visits", "--dataset", "letters"
    )
    both = told.partition(":")[0]
    info = json.loads(await shell.run("show", both, "--json"))
    assert info["datasets"] == ["@demo/visits@1", "@demo/letters@1"]
    assert "both is queued, at position 2; its priority is low" in await shell.run(
        "prioritise", "both", "low"
    )
    listed = (await shell.run("list", "--state", "queued")).splitlines()
    assert [line.split()[1] for line in listed[1:-1]] == ["notes", "both"]
    assert listed[-1] == "2 queued"
    assert "both is cancelled." in await shell.run("cancel", "both")
    await shell.run("watch", "both", status=4)

    watching = asyncio.create_task(shell.run("watch", first))
    claim = await stage.train(first, steps=4)
    await stage.complete(claim)
    told = await watching
    assert "training" in told and "notes made the adapter @demo/notes@1." in told
    monkeypatch.setattr("adaptery.job_commands.watching.watched", lambda: True)
    await shell.run("watch", first)
    assert "notes: 4 of 4 steps · 100%" in shell.err
    assert "notes-1.zip" in await shell.run("download", "notes")
    await shell.run("download", "notes", status=1)
    assert "notes-1.zip exists" in shell.err
    assert "2.000" not in await shell.run("log", "notes")  # numbers are for charts
    shown = await shell.run("show", "notes")
    assert "max_steps = 4" in shown and "download" in shown and "100%" in shown
    told = await shell.run("statistics", "notes")
    assert "@demo/visits@1 (3 records)" in told and "Attempt 1" in told and "on ag_" in told
    assert "Last loss" in told


async def test_a_job_that_failed_is_submitted_again_cloned_compared_and_deleted(
    stage: JobStage, shell: Shell
) -> None:
    told = await shell.run("submit", "--name", "notes", "--dataset", "visits", "--json")
    first = json.loads(told)["id"]
    await stage.fail(await stage.train(first, steps=2), "the loss is not a number")
    await shell.run("watch", "notes", status=3)
    assert "notes failed: the loss is not a number" in shell.out
    assert "the loss is not a number" in await shell.run("list")
    again = json.loads(await shell.run("resubmit", first, "--json"))
    await shell.run("statistics", "notes")
    assert f"notes is {again['id']}" in shell.err and f"by id: {first} (failed)" in shell.err
    assert (again["cloned_from"], again["datasets"]) == (first, ["@demo/visits@1"])
    cloned = json.loads(
        await shell.run("clone", first, "--name", "other", "--set", "rank=16", "--json")
    )
    assert cloned["options"]["rank"] == 16 and cloned["cloned_from"] == first
    table = (await shell.run("compare", first, "other")).splitlines()
    ranks = next(line.split() for line in table if line.startswith("rank"))
    assert ranks == ["rank", "8", "16"] and not any(line.startswith("epochs") for line in table)
    assert "\nepochs" in await shell.run("compare", first, "other", "--all")
    (one, _) = json.loads(await shell.run("compare", first, "other", "--json"))
    assert one["series"]["loss"] == [[1, 2.0], [2, 1.0]]
    await shell.run("delete", first, status=1)
    assert "add --yes" in shell.err
    assert "Deleted: notes." in await shell.run("delete", first, "--yes")
    await shell.run("show", first, status=1)


async def test_of_jobs_of_one_name_the_adapter_of_the_newest_that_has_one_is_fetched(
    stage: JobStage, shell: Shell
) -> None:
    assert await shell.run("list") == "There are no jobs yet: adaptery jobs submit hands one in.\n"
    told = await shell.run("submit", "--name", "notes", "--dataset", "visits", "--json")
    await stage.complete(await stage.train(json.loads(told)["id"], steps=2))
    await shell.run("clone", "notes", "--name", "notes")
    assert "@demo/notes@1 is in notes-1.zip" in await shell.run("download", "notes")
    assert "(position 1)" in await shell.run("list")


async def test_options_are_told_and_taken_by_their_types(shell: Shell) -> None:
    told = await shell.run("submit", "--help-task", "training-v0")
    assert "training-v0: " in told and "rank" in told and "default 8" in told
    for setting, reason in (
        ("rank=many", "options.rank"),
        ("speed=9", "has no option speed"),
        ("batch=9", "did you mean batch_size?"),
        ("rank", "is no setting"),
        ("rank=100000", "options.rank"),
    ):
        words = ("submit", "--name", "notes", "--dataset", "visits", "--set", setting)
        await shell.run(*words, status=1)
        assert reason in shell.err
    await shell.run("submit", "--name", "notes", status=1)
    assert "add --name and --dataset" in shell.err
    await shell.run("show", "nobody", status=1)
    assert "There is no job called nobody." in shell.err
