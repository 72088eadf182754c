"""What a kill leaves is cleaned at the next start, and never looks like a version."""

import asyncio
import os
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery.records import Record
from adaptery.schemas.datasets import PublishRequest
from adaptery_hub.database import tables
from adaptery_hub.database.statements import files
from adaptery_hub.publishing import Note, Publisher, PublishWork
from adaptery_hub.services import Services
from support.service import alpaca, running_service


class DiesAtAStep(Publisher):
    """A publisher whose work ends its thread at a step, as a kill would: nothing is undone."""

    step = ""

    def work(
        self, dataset: RowMapping, creator_id: str, wanted: PublishRequest, note: Note
    ) -> PublishWork:
        work = _DyingWork(self, dataset, creator_id, wanted, note)
        work.step = self.step
        return work


class _DyingWork(PublishWork):
    step = ""

    def sign(self, *args):  # type: ignore[no-untyped-def]
        if self.step == "before the manifest":
            raise RuntimeError
        return super().sign(*args)

    def store(self, prefix: str) -> None:
        if self.step == "before the store":
            raise RuntimeError
        super().store(prefix)

    def commit(self, connection):  # type: ignore[no-untyped-def]
        if self.step == "before the row":
            raise RuntimeError
        return super().commit(connection)

    def abandon(self) -> None:
        """Do nothing: the process is dead."""


@pytest.mark.parametrize("step", ["before the manifest", "before the store", "before the row"])
async def test_a_publish_that_died_leaves_no_version(tmp_path: Path, step: str) -> None:
    def let_it_die(services: Services) -> None:
        services.publisher.__class__ = DiesAtAStep
        services.publisher.step = step  # type: ignore[attr-defined]

    async with running_service(tmp_path / "state", let_it_die) as service:
        demo = service.client("demo")
        dataset = await demo.dataset()
        await demo.upload(dataset, alpaca(5))
        ended = await demo.publish(dataset, state="failed")
        assert ended["error"]["code"] == "internal"
        assert (await demo.json("GET", f"api/datasets/{dataset}/versions"))["items"] == []
        # As after a kill, the operation is still running for the database.
        await service.services.db.write(
            lambda c: c.exec_driver_sql("UPDATE operations SET state = 'running'")
        )
    async with running_service(tmp_path / "state") as service:
        demo = service.client("demo")
        state = await demo.json("GET", f"api/operations/{ended['id']}")
        assert (state["state"], state["error"]["code"]) == ("failed", "unavailable")
        assert service.services.objects.list(f"datasets/{dataset}") == []
        assert list((tmp_path / "state" / "staging").iterdir()) == []
        version = (await demo.publish(dataset))["result"]["version"]
        assert version["number"] == 1
        await demo.json("GET", f"api/versions/{version['id']}/records")


async def test_an_import_that_died_leaves_the_file_and_no_record(tmp_path: Path) -> None:
    async with running_service(tmp_path / "state") as service:
        demo = service.client("demo")
        dataset = await demo.dataset()
        path = f"api/datasets/{dataset}/files/x.json"
        file = await demo.json("PUT", path + "?import=later", 201, content=alpaca(3))
        await service.services.db.write(lambda c: files.importing(c, file["id"]))
        records = [Record.of_text("half an import")]
        await service.services.drafts.write(
            dataset, lambda d: d.import_records(records, file["id"])
        )
    async with running_service(tmp_path / "state") as service:
        demo = service.client("demo")
        assert (await demo.json("GET", path))["state"] == "received"
        assert (await demo.json("GET", f"api/datasets/{dataset}/records"))["items"] == []
        assert (await demo.json("GET", f"api/datasets/{dataset}"))["records"] == 0
        assert (await demo.upload(dataset, alpaca(3), "x.json"))["records"] == 3


@pytest.mark.parametrize("step", ["before its place", "after its place", "without a row"])
async def test_a_file_is_whole_or_not_there_wherever_its_service_died(
    tmp_path: Path, step: str
) -> None:
    content = alpaca(3)
    async with running_service(tmp_path / "state") as service:
        demo, originals = service.client("demo"), service.services.uploads.originals
        dataset = await demo.dataset()
        path = f"api/datasets/{dataset}/files/x.json"
        file = await demo.json("PUT", path + "?import=later", 201, content=content)
        original = originals.original(dataset, file["digest"])
        if step == "before its place":
            original.rename(originals.part(dataset, "x.json"))
        if step == "without a row":
            await service.services.db.write(lambda c: files.remove(c, file["id"]))
    async with running_service(tmp_path / "state") as service:
        demo = service.client("demo")
        if step == "without a row":
            await demo.json("GET", path, 404)
            assert not original.exists()
            return
        assert (await demo.json("GET", path))["state"] == "received"
        kept = await asyncio.to_thread(service.services.uploads.original, dataset, file["id"])
        assert kept.read_bytes() == content


async def test_an_unfinished_upload_is_kept_for_its_time(tmp_path: Path) -> None:
    content = alpaca(5)
    headers = {"Content-Range": f"bytes 0-9/{len(content)}"}
    async with running_service(tmp_path / "state") as service:
        demo = service.client("demo")
        dataset = await demo.dataset()
        path = f"api/datasets/{dataset}/files/x.json"
        await demo.json("PUT", path, 202, content=content[:10], headers=headers)
    async with running_service(tmp_path / "state") as service:
        demo = service.client("demo")
        assert (await demo.json("GET", path))["bytes"] == 10
        for part in (tmp_path / "state" / "uploads").rglob("*.part"):
            os.utime(part, (0, 0))
    async with running_service(tmp_path / "state") as service:
        demo = service.client("demo")
        await demo.json("GET", path, 404)


async def test_a_draft_without_a_dataset_is_removed(tmp_path: Path) -> None:
    async with running_service(tmp_path / "state") as service:
        await service.services.drafts.create("ds_01hzzzzzzzzzzzzzzzzzzzzzzz")
    async with running_service(tmp_path / "state") as service:
        assert service.services.drafts.dataset_ids() == []


async def test_a_collation_that_was_never_written_down_leaves_no_record(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with running_service(state) as service:
        demo = service.client("demo")
        dataset, source = await demo.dataset("all"), await demo.dataset("one")
        for each, name in ((dataset, "own.json"), (source, "one.json")):
            await demo.upload(each, alpaca(3, name), name)
        body = {"sources": [{"dataset": source}]}
        begun = await demo.json("POST", f"api/datasets/{dataset}/collate", 202, json=body)
        assert (await demo.ended(begun["id"]))["state"] == "completed"

        def forget(connection: Connection) -> None:  # what the database is after a kill
            connection.execute(
                sa.update(tables.operations)
                .where(tables.operations.c.id == begun["id"])
                .values(state="running")
            )
            connection.execute(sa.update(tables.datasets).values(records=3))
            connection.execute(sa.delete(tables.dataset_sources))

        await service.services.db.write(forget)
    async with running_service(state) as service:
        demo = service.client("demo")
        assert (await demo.json("GET", f"api/operations/{begun['id']}"))["state"] == "failed"
        assert (await demo.json("GET", f"api/datasets/{dataset}/records"))["total"] == 3
        assert (await demo.json("GET", f"api/datasets/{dataset}/sources"))["items"] == []
        assert (await demo.json("GET", f"api/datasets/{dataset}"))["records"] == 3
