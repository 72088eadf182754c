"""Versions: what is published never changes, and is checked before it is shown."""

import asyncio
import json
import stat
import threading
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from adaptery.digests import content_digest
from adaptery.schemas.datasets import PublishRequest
from adaptery_hub import audit
from adaptery_hub.database import tables
from adaptery_hub.operations import Progress
from adaptery_hub.publishing import Note, Publisher, PublishWork
from adaptery_hub.publishing.published import READ_THREADS
from support.service import Client, Service, alpaca
from support.waiting import eventually


def stored(service: Service) -> list[Path]:
    objects = service.services.settings.state_path / "objects" / "datasets"
    return sorted(path for path in objects.rglob("*") if path.is_file())


async def test_duplicates_are_dropped_and_counted(demo: Client) -> None:
    rows = json.loads(alpaca(4))
    dataset = await demo.dataset()
    await demo.upload(dataset, json.dumps([*rows, rows[0], rows[3]]).encode())
    version = (await demo.publish(dataset))["result"]["version"]
    assert (version["records"], version["duplicates_dropped"]) == (4, 2)
    items = (await demo.json("GET", f"api/versions/{version['id']}/records"))["items"]
    assert version["content_digest"] == content_digest(item["record_id"] for item in items)


async def test_a_version_reports_what_went_into_it(service: Service, demo: Client) -> None:
    rows = json.loads(alpaca(4))
    dataset = await demo.dataset()
    base = f"api/datasets/{dataset}/records"
    await demo.upload(dataset, json.dumps([*rows, rows[0]]).encode())
    await demo.upload(dataset, b"A text.\n\nAnother text.\n", "notes.txt")
    for word in ("mine", "undone"):
        made = {"record": {"kind": "text", "text": word}}
        await demo.json("POST", base, 201, json=made)
    await demo.json("POST", f"api/datasets/{dataset}/edits/undo", json={})
    version = (await demo.publish(dataset))["result"]["version"]
    items = (await demo.json("GET", base))["items"]
    lengths = sorted(item["length"] for item in [*items[:4], *items[5:]])
    assert version["report"] == {
        "draft_records": 8,
        "duplicates_dropped": 1,
        "kinds": {"chat": 4, "text": 3},
        "files": [
            {"name": None, "records": 1},
            {"name": "visits.json", "records": 5},
            {"name": "notes.txt", "records": 2},
        ],
        "files_left_out": 0,
        "edits": 1,
        "characters": {
            "min": 4,
            "median": lengths[3],
            "max": lengths[-1],
            "total": sum(lengths),
        },
        "splits": None,
        "unsplit": None,
        "languages": None,
        "review": None,
        "decided": None,
        "dropped": None,
    }
    shown = {**version, "level": "integrity checked"}
    assert await demo.json("GET", f"api/versions/{version['id']}") == shown
    await service.services.db.write(
        lambda c: c.execute(tables.versions.update().values(report=None))
    )
    old = (await demo.json("GET", f"api/datasets/{dataset}/versions"))["items"][0]
    assert old == {**shown, "report": None}


async def test_the_digest_does_not_depend_on_the_format(demo: Client) -> None:
    alpaca_rows = [{"instruction": "Say hello.", "output": "Hello."}]
    chat = [{"role": "user", "content": "Say hello."}, {"role": "assistant", "content": "Hello."}]
    digests = set()
    for name, rows in (("one", alpaca_rows), ("two", [{"messages": chat}])):
        dataset = await demo.dataset(name)
        await demo.upload(dataset, json.dumps(rows).encode())
        digests.add((await demo.publish(dataset))["result"]["version"]["content_digest"])
    assert len(digests) == 1


async def test_the_same_content_is_not_published_twice(service: Service, demo: Client) -> None:
    dataset = await demo.dataset()
    await demo.upload(dataset, alpaca(5))
    await demo.publish(dataset)
    before = stored(service)
    failed = await demo.publish(dataset, state="failed")
    assert failed["error"]["code"] == "version_exists"
    assert "@demo/visits@1" in failed["error"]["detail"]
    assert stored(service) == before
    await demo.upload(dataset, b"One more text.", "more.txt")
    assert (await demo.publish(dataset))["result"]["version"]["number"] == 2


async def test_stored_files_are_read_only(service: Service, demo: Client) -> None:
    dataset = await demo.dataset()
    await demo.upload(dataset, alpaca(5))
    await demo.publish(dataset)
    names = {path.name for path in stored(service)}
    assert names >= {"all-00000.parquet", "manifest.json", "README.md", "record-ids.bin"}
    for path in stored(service):
        assert stat.S_IMODE(path.stat().st_mode) == 0o444
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o555


async def test_a_file_that_was_tampered_with_is_not_shown(service: Service, demo: Client) -> None:
    dataset = await demo.dataset()
    await demo.upload(dataset, alpaca(5))
    version = (await demo.publish(dataset))["result"]["version"]
    shard = next(path for path in stored(service) if path.suffix == ".parquet")
    shard.chmod(0o644)
    shard.write_bytes(shard.read_bytes()[:-8] + b"tampered")
    for route in ("manifest", "records", "download"):
        problem = await demo.json("GET", f"api/versions/{version['id']}/{route}", 502)
        assert problem["code"] == "integrity"


async def test_a_file_of_a_version_is_downloaded_as_it_is(service: Service, demo: Client) -> None:
    dataset = await demo.dataset()
    await demo.upload(dataset, alpaca(5))
    version = (await demo.publish(dataset))["result"]["version"]
    (manifest,) = (path for path in stored(service) if path.name == "manifest.json")
    for path in stored(service):
        name = path.relative_to(manifest.parent).as_posix()
        answer = await demo.get(f"api/versions/{version['id']}/download", params={"file": name})
        assert answer.content == path.read_bytes()
        assert "/" not in answer.headers["Content-Disposition"]
    for name in ("../manifest.json", "x", "", "/etc/passwd"):
        await demo.json("GET", f"api/versions/{version['id']}/download", 404, params={"file": name})


async def test_an_empty_draft_is_not_published(demo: Client) -> None:
    ended = await demo.publish(await demo.dataset(), state="failed")
    assert ended["error"]["code"] == "invalid_input" and ended["error"]["hint"]


class Waits(Publisher):
    """A publisher whose work reports once and then waits until it is cancelled or let go."""

    go_on = False

    def work(
        self, dataset: RowMapping, creator_id: str, wanted: PublishRequest, note: Note
    ) -> PublishWork:
        return _WaitingWork(self, dataset, creator_id, wanted, note)


class _WaitingWork(PublishWork):
    def run(self, progress: Progress) -> None:
        publisher = self.publisher
        assert isinstance(publisher, Waits)
        while not publisher.go_on:
            progress.report(1, 4)
        super().run(progress)


async def test_a_publish_can_be_cancelled(service: Service, demo: Client) -> None:
    service.services.publisher.__class__ = Waits
    dataset = await demo.dataset()
    await demo.upload(dataset, alpaca(5))
    operation = await demo.json("POST", f"api/datasets/{dataset}/versions", 202, json={})
    await demo.json("POST", f"api/datasets/{dataset}/versions", 409, json={})
    await demo.json("DELETE", f"api/datasets/{dataset}", 409)
    cancelled = await demo.json("DELETE", f"api/operations/{operation['id']}")
    assert (cancelled["state"], cancelled["error"]) == ("cancelled", None)
    assert stored(service) == []
    service.services.publisher.go_on = True  # type: ignore[attr-defined]
    await demo.publish(dataset)


async def test_a_dataset_that_became_more_sensitive_meanwhile_is_not_published(
    service: Service, demo: Client
) -> None:
    service.services.publisher.__class__ = Waits
    dataset = await demo.dataset(sensitivity="internal")
    await demo.upload(dataset, alpaca(5))
    begun = await demo.json("POST", f"api/datasets/{dataset}/versions", 202, json={})
    await demo.json("PATCH", f"api/datasets/{dataset}", json={"sensitivity": "restricted"})
    service.services.publisher.go_on = True  # type: ignore[attr-defined]
    ended = await demo.ended(begun["id"])
    assert (ended["state"], ended["error"]["status"]) == ("failed", 409)
    assert stored(service) == []  # nothing of it lies there in plain
    version = (await demo.publish(dataset))["result"]["version"]
    assert version["encrypted"]


async def test_who_reads_very_much_keeps_no_other_reader_waiting(
    service: Service, demo: Client
) -> None:
    dataset = await demo.dataset()
    await demo.upload(dataset, alpaca(2))
    version = (await demo.publish(dataset))["result"]["version"]["id"]
    go_on, published = threading.Event(), service.services.published
    others = [
        asyncio.create_task(published.in_thread("tn_other", go_on.wait))
        for _ in range(2 * READ_THREADS)
    ]
    try:
        page = await demo.json("GET", f"api/versions/{version}/records")
        assert len(page["items"]) == 2
        for other in others[:READ_THREADS]:  # who has left has not left the threads
            other.cancel()
        await asyncio.gather(*others[:READ_THREADS], return_exceptions=True)
        page = await demo.json("GET", f"api/versions/{version}/records")
        assert len(page["items"]) == 2
    finally:
        go_on.set()
        await asyncio.gather(*others, return_exceptions=True)


async def test_progress_comes_as_events(service: Service, demo: Client) -> None:
    service.services.publisher.__class__ = Waits
    dataset = await demo.dataset()
    await demo.upload(dataset, alpaca(5))
    operation = await demo.json("POST", f"api/datasets/{dataset}/versions", 202, json={})
    seen: list[dict] = []
    async with demo.stream("GET", f"api/operations/{operation['id']}/events") as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                seen.append(json.loads(line.removeprefix("data: ")))
                if seen[-1]["done"] == 1:  # it is running; the end must arrive by itself
                    service.services.publisher.go_on = True  # type: ignore[attr-defined]
    assert any(state["progress"] == 0.25 for state in seen)
    assert (seen[0]["state"], seen[-1]["state"]) == ("running", "completed")


async def test_a_reader_of_events_that_leaves_is_forgotten(service: Service, demo: Client) -> None:
    service.services.publisher.__class__ = Waits
    dataset = await demo.dataset()
    await demo.upload(dataset, alpaca(5))
    operation = await demo.json("POST", f"api/datasets/{dataset}/versions", 202, json={})
    async with demo.stream("GET", f"api/operations/{operation['id']}/events"):
        pass
    service.services.publisher.go_on = True  # type: ignore[attr-defined]
    assert (await demo.ended(operation["id"]))["state"] == "completed"
    await eventually(lambda: not service.services.open_requests)


async def test_the_loop_answers_while_a_large_file_is_imported(
    service: Service, demo: Client, guest: Client
) -> None:
    dataset = await demo.dataset()
    upload = asyncio.create_task(demo.upload(dataset, alpaca(1500)))
    answered = 0
    while not upload.done():
        assert (await guest.get("health")).status_code == 200
        answered += 1
    await upload
    assert answered > 3


async def test_what_is_done_with_a_dataset_is_audited(service: Service, demo: Client) -> None:
    dataset = await demo.dataset()
    await demo.upload(dataset, alpaca(5, "canary"))
    await demo.publish(dataset)
    await demo.json("DELETE", f"api/datasets/{await demo.dataset('other')}", 204)
    statement = sa.select(tables.audit).order_by(tables.audit.c.seq)
    rows = await service.services.db.read(lambda c: c.execute(statement).mappings().all())
    audit.verify(rows)
    actions = [row["action"] for row in rows]
    assert actions == [
        "dataset.create",
        "file.import",
        "version.publish",
        "dataset.create",
        "dataset.delete",
    ]
    assert all(row["tenant_id"] and row["request_id"].startswith("rq_") for row in rows)
    assert "canary" not in str(rows)
