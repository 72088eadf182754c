"""Storage quotas: counted in rows, refused before a byte is kept, however much goes on at once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from adaptery.ids import new_id
from adaptery.times import now
from adaptery_hub.database import tables
from support.hub_tables import BASE, WEIGHTS
from support.service import Client, Service, alpaca, running_service
from support.shared_things import OPTIONS, make_adapter, make_things

QUOTA = 600_000


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    options: dict[str, Any] = {**OPTIONS, "storage_quota_bytes": QUOTA}
    async with running_service(tmp_path / "state", **options) as running:
        yield running


async def used(client: Client, tenant: str = "") -> dict[str, Any]:
    accounts = (await client.json("GET", "api/storage"))["items"]
    return next(one for one in accounts if not tenant or one["tenant"] == tenant)


async def fill(service: Service, size: int, name: str = "demo") -> None:
    """Let a tenant store so much in adapters."""
    statement = sa.select(tables.tenants.c.id).where(tables.tenants.c.hub_name == name)

    def insert(connection: sa.Connection) -> None:
        tenant = connection.execute(statement).scalar_one()
        row = {
            "id": new_id("ad"),
            "created_at": now(),
            "tenant_id": tenant,
            "creator_id": tenant,
            "name": new_id("ad").replace("_", "-"),
            "number": 1,
            "base_model": BASE,
            "base_weight_digest": WEIGHTS,
            "weight_digest": WEIGHTS,
            "sensitivity": "internal",
            "bytes": size,
            "files": [],
            "content_digests": [],
            "card": {},
            "state": "completed",
        }
        connection.execute(tables.adapters.insert().values(row))

    await service.services.db.write(insert)


def on_disk(service: Service, folder: str) -> int:
    root = service.services.settings.state_path / folder
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file())


async def test_everything_that_lies_in_a_name_counts_once(service: Service, demo: Client) -> None:
    things = await make_things(service, demo)
    account = await used(demo)
    parts = account["parts"]
    assert account["quota_bytes"] == QUOTA
    assert account["used_bytes"] == sum(parts.values())
    assert parts["uploads"] == on_disk(service, "uploads") > 0
    assert parts["checkpoints"] == 0
    assert parts["adapters"] == 2
    stored = sum(info.bytes for info in service.services.objects.list("datasets"))
    manifest = [i for i in service.services.objects.list("datasets") if "manifest" in i.path]
    assert parts["versions"] == stored - manifest[0].bytes
    assert 0 < parts["drafts"] <= on_disk(service, "drafts")
    await demo.json("DELETE", f"api/adapters/{things['adapter']}", 204)
    assert (await used(demo))["parts"]["adapters"] == 0
    path = f"api/datasets/{things['dataset']}/files/{things['file']}"
    before = (await used(demo))["parts"]["drafts"]
    await demo.json("DELETE", path, 204)
    after = (await used(demo))["parts"]
    assert after["drafts"] <= before
    assert after["uploads"] == on_disk(service, "uploads") == 0


async def test_a_groups_things_count_for_the_group(
    service: Service, demo: Client, colleague: Client
) -> None:
    dataset = await demo.dataset(tenant="radiology")
    await demo.upload(dataset, alpaca(50))
    assert (await used(demo))["used_bytes"] == 0
    for member in (demo, colleague):
        assert (await used(member, "radiology"))["parts"]["drafts"] > 0
    await fill(service, QUOTA, "radiology")
    await colleague.upload(dataset, alpaca(2), "more.json", 413)
    own = await colleague.dataset()
    await colleague.upload(own, alpaca(2))


async def test_an_upload_without_room_is_refused_before_a_byte_is_kept(
    service: Service, demo: Client
) -> None:
    dataset = await demo.dataset()
    held = (await used(demo))["used_bytes"]
    await fill(service, QUOTA - held - 100_000)
    content = alpaca(1500)
    assert len(content) > 100_000
    problem = await demo.upload(dataset, content, status=413)
    assert problem["code"] == "storage_quota_exceeded"
    assert "600.0 kB" in problem["detail"] and "adapters" in problem["detail"]
    assert problem["hint"]
    path = f"api/datasets/{dataset}/files/visits.json"
    total = len(content)
    part = {"Content-Range": f"bytes 0-9999/{total}"}
    answer = await demo.put(path, content=content[:10_000], headers=part)
    assert (answer.status_code, answer.json()["code"]) == (413, "storage_quota_exceeded")

    async def unannounced() -> AsyncIterator[bytes]:
        yield content

    answer = await demo.put(path, content=unannounced())
    assert (answer.status_code, answer.json()["code"]) == (413, "storage_quota_exceeded")
    assert on_disk(service, "uploads") == 0
    assert (await demo.json("GET", f"api/datasets/{dataset}/files"))["items"] == []
    await demo.upload(dataset, alpaca(10))


async def test_uploads_at_once_share_the_room_there_is(service: Service, demo: Client) -> None:
    content = alpaca(400)
    fits = 3
    datasets = [await demo.dataset(f"d{i}") for i in range(8)]
    held = (await used(demo))["used_bytes"]
    await fill(service, QUOTA - held - fits * len(content) - len(content) // 2)
    answers = await asyncio.gather(
        *(demo.put(f"api/datasets/{dataset}/files/a.json", content=content) for dataset in datasets)
    )
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) == {201, 413}
    assert statuses.count(201) <= fits
    assert not service.services.storage._reserved


async def test_what_was_reserved_is_given_back_whatever_happens(
    service: Service, demo: Client
) -> None:
    dataset = await demo.dataset()
    await demo.upload(dataset, b"{not json", status=422)
    await demo.upload(dataset, alpaca(3))
    await demo.upload(dataset, alpaca(4), status=409)
    part = {"Content-Range": "bytes 5-9/100"}
    await demo.put(f"api/datasets/{dataset}/files/b", content=b"12345", headers=part)
    assert not service.services.storage._reserved


async def test_without_room_nothing_new_is_begun(service: Service, demo: Client) -> None:
    things = await make_things(service, demo)
    dataset = things["dataset"]
    job = {"name": "second", "dataset": "secret", "key": "k" * 20}
    await demo.json("POST", "api/jobs", 201, json=job)
    await fill(service, QUOTA)
    record = {"record": {"kind": "text", "text": "x"}}
    for method, path, body in (
        ("POST", f"api/datasets/{dataset}/versions", {}),
        ("POST", f"api/datasets/{dataset}/records", record),
        ("PATCH", f"api/datasets/{dataset}/records/1", record),
        ("POST", "api/jobs", {"name": "third", "dataset": "secret"}),
    ):
        problem = await demo.json(method, path, 413, json=body)
        assert problem["code"] == "storage_quota_exceeded", path
    # What was begun goes on, and what was asked for before is answered as before.
    await demo.json("POST", "api/jobs", 201, json=job)
    await demo.json("DELETE", f"api/datasets/{dataset}/records/1", 204)
    await demo.json("GET", f"api/datasets/{dataset}/records")


async def test_a_version_that_turns_out_too_large_leaves_nothing(
    service: Service, demo: Client
) -> None:
    dataset = await demo.dataset()
    await demo.upload(dataset, alpaca(500))
    held = (await used(demo))["used_bytes"]
    await fill(service, QUOTA - held - 2_000)
    ended = await demo.publish(dataset, "failed")
    assert ended["error"]["code"] == "storage_quota_exceeded"
    assert list(service.services.objects.list("datasets")) == []
    assert on_disk(service, "staging") == 0
    assert not service.services.storage._reserved


async def test_drafts_of_an_earlier_release_are_counted_at_start(tmp_path: Path) -> None:
    async with running_service(tmp_path / "state", **OPTIONS) as service:
        demo = service.client("demo")
        dataset = await demo.dataset()
        await demo.upload(dataset, alpaca(20))
        counted = (await used(demo))["parts"]["drafts"]
        await service.services.db.write(
            lambda c: c.execute(tables.datasets.update().values(draft_bytes=None))
        )
        assert (await used(demo))["parts"]["drafts"] == 0
    async with running_service(tmp_path / "state", **OPTIONS) as service:
        assert (await used(service.client("demo")))["parts"]["drafts"] == counted


async def test_a_deleted_adapter_takes_no_room(service: Service, demo: Client) -> None:
    job = (await make_things(service, demo))["job"]
    adapter = await make_adapter(service, demo, job, "second")
    before = (await used(demo))["used_bytes"]
    await demo.json("DELETE", f"api/adapters/{adapter}", 204)
    assert (await used(demo))["used_bytes"] == before - 2


async def test_accounts_come_by_the_page(service: Service) -> None:
    member = service.client("member", groups=("a", "b", "c"))
    seen: list[str] = []
    while True:
        query = {"limit": 1} | ({"after": seen[-1]} if seen else {})
        page = await member.json("GET", "api/storage", params=query)
        seen += [account["tenant"] for account in page["items"]]
        if not page["has_more"]:
            break
    assert len(seen) == len(set(seen)) == 4
    assert seen[0] == "@member"
