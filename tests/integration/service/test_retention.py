"""Retention: what goes when, what never goes, and a sweep that was killed."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from adaptery.ids import new_id
from adaptery.times import now
from adaptery_hub import retention
from adaptery_hub.database import tables
from adaptery_hub.fleet.offers import checkpoint_prefix
from support.hub_tables import WEIGHTS
from support.service import Client, Service, alpaca, running_service
from support.shared_things import OPTIONS, make_adapter, make_things

KEEP = {
    "keep_checkpoints_days": 30,
    "keep_job_events_days": 100,
    "keep_usage_days": 200,
    "keep_idle_drafts_days": 300,
}


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with running_service(tmp_path / "state", **OPTIONS, **KEEP) as running:
        yield running


@pytest.fixture
def admin(service: Service) -> Client:
    return service.client("boss", scopes=("read", "write", "infer", "admin"))


async def write(service: Service, statement: sa.Executable) -> None:
    await service.services.db.write(lambda c: c.execute(statement))


async def count(service: Service, table: sa.Table) -> int:
    statement = sa.select(sa.func.count()).select_from(table)
    return await service.services.db.read(lambda c: c.execute(statement).scalar_one())


async def job_that_ended(service: Service, owner: Client, days: int, state: str) -> str:
    """Submit a job and let it have ended so long ago, with a checkpoint and some events."""
    body = {"name": "notes", "dataset": "secret"}
    job = (await owner.json("POST", "api/jobs", 201, json=body))["id"]
    ended = now() - timedelta(days=days)
    over = state in ("completed", "failed", "cancelled")
    values = {"state": state, "state_at": ended, "updated_at": ended}
    values |= {"finished_at": ended if over else None}
    await write(service, tables.jobs.update().where(tables.jobs.c.id == job).values(values))
    await add_checkpoint(service, job)
    for seq, kind in enumerate(("metrics", "log", "summary", "error"), start=100):
        event = {"id": new_id("ev"), "created_at": ended, "seq": seq, "kind": kind, "data": {}}
        await write(service, tables.job_events.insert().values(job_id=job, **event))
    return job


async def add_checkpoint(service: Service, job: str, step: int = 10) -> str:
    attempt = new_id("at")
    prefix = checkpoint_prefix(job, attempt, step)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "weights").write_bytes(b"x" * 1000)
        service.services.objects.put_folder(prefix, Path(folder))
    row = {
        "id": new_id("ck"),
        "created_at": now(),
        "job_id": job,
        "attempt_id": attempt,
        "step": step,
        "digest": WEIGHTS,
        "files": [{"path": "weights", "bytes": 1000, "digest": WEIGHTS}],
        "bytes": 1000,
    }
    await write(service, tables.checkpoints.insert().values(row))
    return prefix


async def due(admin: Client) -> dict[str, tuple[int, int]]:
    answer = await admin.json("GET", "api/retention")
    assert answer["dry_run"] is True
    return {kind["kind"]: (kind["count"], kind["bytes"]) for kind in answer["kinds"]}


async def sweep(admin: Client) -> dict[str, tuple[int, int]]:
    answer = await admin.json("POST", "api/retention")
    assert answer["dry_run"] is False
    return {kind["kind"]: (kind["count"], kind["bytes"]) for kind in answer["kinds"]}


async def checkpoints(service: Service) -> set[str]:
    statement = sa.select(tables.checkpoints.c.job_id)
    return set(await service.services.db.read(lambda c: c.scalars(statement).all()))


def stored(service: Service) -> int:
    return len(list(service.services.objects.list("checkpoints")))


async def test_checkpoints_of_jobs_that_are_long_over_go(
    service: Service, admin: Client, demo: Client
) -> None:
    things = await make_things(service, demo)
    ended = [await job_that_ended(service, demo, 31, s) for s in ("completed", "failed")]
    recent = await job_that_ended(service, demo, 29, "completed")
    open_jobs = [await job_that_ended(service, demo, 999, s) for s in ("created", "training")]
    kept = await make_adapter(service, demo, ended[0], "kept")
    assert (await due(admin))["checkpoints"] == (2, 2000)
    assert stored(service) == 5  # a look removes nothing
    assert (await sweep(admin))["checkpoints"] == (2, 2000)
    assert await checkpoints(service) == {recent, *open_jobs}
    assert stored(service) == 3
    assert (await due(admin))["checkpoints"] == (0, 0)
    # What is kept for good is there.
    await demo.json("GET", f"api/adapters/{kept}")
    answer = await demo.get(f"api/versions/{things['version']}/download")
    assert len(answer.text.splitlines()) == 3
    for job in ended:
        assert (await demo.json("GET", f"api/jobs/{job}/checkpoints"))["items"] == []


async def test_a_tenants_own_days_count_for_its_jobs_only(
    service: Service, admin: Client, demo: Client, guest: Client
) -> None:
    await make_things(service, demo)
    await make_things(service, guest)
    mine = await job_that_ended(service, demo, 31, "completed")
    theirs = await job_that_ended(service, guest, 31, "completed")
    await admin.json("PATCH", "api/tenants/@demo", json={"retention_days": 40})
    assert (await due(admin))["checkpoints"] == (1, 1000)
    await admin.json("PATCH", "api/tenants/@demo", json={"retention_days": 0})  # for ever
    assert (await due(admin))["checkpoints"] == (1, 1000)
    await admin.json("PATCH", "api/tenants/@demo", json={"retention_days": 5})
    assert (await due(admin))["checkpoints"] == (2, 2000)
    assert (await due(admin))["job_events"][0] == 2  # demo's numbers and log, too
    await admin.json("PATCH", "api/tenants/@demo", json={"retention_days": 40})
    await sweep(admin)
    assert mine in await checkpoints(service) and theirs not in await checkpoints(service)


async def test_numbers_and_logs_go_and_how_it_ended_stays(
    service: Service, admin: Client, demo: Client
) -> None:
    await make_things(service, demo)
    job = await job_that_ended(service, demo, 101, "completed")
    assert (await sweep(admin))["job_events"] == (2, 0)
    assert (await demo.json("GET", f"api/jobs/{job}/metrics"))["items"] == []
    async with demo.stream("GET", f"api/jobs/{job}/events") as answer:
        lines = [line async for line in answer.aiter_lines()]
    kinds = {line.removeprefix("event: ") for line in lines if line.startswith("event: ")}
    assert kinds == {"state", "summary", "error"}


async def test_what_was_left_of_a_deleted_job_goes_at_once(
    service: Service, admin: Client, demo: Client
) -> None:
    await make_things(service, demo)
    job = await job_that_ended(service, demo, 1, "completed")
    gone = tables.jobs.update().where(tables.jobs.c.id == job).values(deleted_at=now())
    await write(service, gone)  # and the service was killed before it removed the rest
    events = sa.select(sa.func.count()).where(tables.job_events.c.job_id == job)
    assert await service.services.db.read(lambda c: c.scalar(events)) > 4
    await admin.json("POST", "api/retention", json={})
    assert await service.services.db.read(lambda c: c.scalar(events)) == 0
    assert await count(service, tables.checkpoints) == 0


async def test_a_dataset_that_nobody_touched_goes_unless_it_was_published(
    service: Service, admin: Client, demo: Client
) -> None:
    things = await make_things(service, demo)
    idle, fresh = await demo.dataset("idle"), await demo.dataset("fresh")
    await demo.upload(idle, alpaca(5))
    begun = await demo.dataset("begun")
    part = {"Content-Range": "bytes 0-4/100"}
    await demo.put(f"api/datasets/{begun}/files/b", content=b"12345", headers=part)
    old = now() - timedelta(days=301)
    touched = tables.datasets.update().where(tables.datasets.c.id != fresh)
    await write(service, touched.values(updated_at=old))
    found = await due(admin)
    assert found["drafts"][0] == 1 and found["drafts"][1] > 0
    assert (await sweep(admin))["drafts"] == found["drafts"]
    await demo.json("GET", f"api/datasets/{idle}", 404)
    assert idle not in service.services.drafts.dataset_ids()
    for dataset in (fresh, begun, things["dataset"]):
        await demo.json("GET", f"api/datasets/{dataset}/records")


async def test_old_usage_goes(service: Service, admin: Client, demo: Client) -> None:
    tenant = (await demo.json("GET", "api/whoami"))["id"]
    for days in (201, 199):
        row: dict[str, Any] = {"id": new_id("us"), "tenant_id": tenant, "request_id": "rq_1"}
        row |= {"channel": "open", "outcome": "completed", "prompt_tokens": 1}
        row |= {"created_at": now() - timedelta(days=days)}
        await write(service, tables.usage.insert().values(row))
    assert (await sweep(admin))["usage"] == (1, 0)
    assert await count(service, tables.usage) == 1


async def test_by_default_nothing_of_a_users_goes_but_checkpoints_and_logs(tmp_path: Path) -> None:
    async with running_service(tmp_path / "state", **OPTIONS) as service:
        admin = service.client("boss", scopes=("read", "admin"))
        answer = await admin.json("GET", "api/retention")
        days = {kind["kind"]: kind["days"] for kind in answer["kinds"]}
        assert days == {
            "checkpoints": 30,
            "job_events": 365,
            "usage": 0,
            "drafts": 0,
            "files": 0,
        }


async def test_each_removal_is_written_down_with_counts(
    service: Service, admin: Client, demo: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    await make_things(service, demo)
    for _ in range(3):
        await job_that_ended(service, demo, 31, "completed")
    await sweep(admin)
    await service.services.retention.sweep()  # as every hour: nothing is left
    statement = sa.select(tables.audit).where(tables.audit.c.action.startswith("retention."))
    rows = await service.services.db.read(lambda c: list(c.execute(statement).mappings()))
    boss = (await admin.json("GET", "api/whoami"))["id"]
    assert [row["details"] for row in rows] == [
        {"count": 2, "bytes": 2000},
        {"count": 1, "bytes": 1000},
    ]
    assert {row["tenant_id"] for row in rows} == {boss}


async def test_a_sweep_that_was_killed_is_taken_up_again(
    service: Service, admin: Client, demo: Client
) -> None:
    await make_things(service, demo)
    await job_that_ended(service, demo, 31, "completed")

    class Killed(BaseException):
        pass

    desk = service.services.retention
    write_now = desk._database.write

    async def die(*args: Any, **kwargs: Any) -> None:
        raise Killed

    desk._database.write = die  # type: ignore[method-assign]
    with pytest.raises(Killed):
        await desk.sweep()
    desk._database.write = write_now  # type: ignore[method-assign]
    assert stored(service) == 0 and await count(service, tables.checkpoints) == 1
    assert (await sweep(admin))["checkpoints"] == (1, 1000)
    assert await count(service, tables.checkpoints) == 0


async def test_sweeps_at_once_remove_each_thing_once(
    service: Service, admin: Client, demo: Client
) -> None:
    await make_things(service, demo)
    for _ in range(4):
        await job_that_ended(service, demo, 31, "completed")
    found = await asyncio.gather(*(sweep(admin) for _ in range(4)))
    assert sum(one["checkpoints"][0] for one in found) == 4


async def test_who_has_no_room_for_checkpoints_is_told_when_they_go(
    service: Service, admin: Client, demo: Client
) -> None:
    await make_things(service, demo)
    await job_that_ended(service, demo, 10, "completed")
    await job_that_ended(service, demo, 3, "completed")
    await job_that_ended(service, demo, 99, "training")
    await write(service, tables.tenants.update().values(storage_quota_bytes=1))
    body = {"name": "notes", "dataset": "secret"}

    async def hint() -> str:
        return (await demo.json("POST", "api/jobs", 413, json=body))["hint"]

    day = now() + timedelta(days=20)
    assert f"the next on {day:%Y-%m-%d} (UTC)" in await hint()
    await write(service, tables.tenants.update().values(retention_days=14))
    day = now() + timedelta(days=4)
    assert f"the next on {day:%Y-%m-%d} (UTC)" in await hint()
    await write(service, tables.tenants.update().values(retention_days=0))
    assert "do not go by themselves" in await hint()
