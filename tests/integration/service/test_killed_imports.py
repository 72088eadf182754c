"""What is killed while files are received or imported leaves a whole file, or none, and no half."""

import asyncio
import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from adaptery_hub.operations import Cancelled, Progress
from adaptery_hub.processes import Processes
from support.service import Client, Service, alpaca
from support.service_process import service_process, token_of
from support.waiting import eventually

#: Enough to be seen at work.
RECORDS = 30_000
PATIENCE_SECONDS = 120.0


class Caller(Client):
    """A caller of a service in another process."""

    def __init__(self, url: str, user: str = "demo") -> None:
        headers = {"Authorization": f"Bearer {token_of(user)}"}
        super().__init__(base_url=url, headers=headers, timeout=60)


async def begun(client: Client, operation: str) -> Any:
    """Wait until an operation has done something."""

    async def look() -> Any:
        now = await client.json("GET", f"api/operations/{operation}")
        assert now["state"] == "running", now
        return now if now["done"] else None

    return await eventually(look, timeout_seconds=PATIENCE_SECONDS)


async def imported(client: Client, path: str) -> int:
    """Wait until a file is imported; return its records."""

    async def look() -> Any:
        now = await client.json("GET", path)
        return now if now["state"] != "importing" else None

    file = await eventually(look, timeout_seconds=PATIENCE_SECONDS)
    assert file["state"] == "ready", file
    return file["records"]


@pytest.mark.slow
async def test_a_service_that_is_killed_in_an_import_has_the_file_and_no_record(
    tmp_path: Path,
) -> None:
    content = alpaca(RECORDS)
    state = tmp_path / "state"
    options = {"max_upload_bytes": 100_000_000}
    with service_process(state, **options) as service:
        async with Caller(service.url) as demo:
            dataset = await demo.dataset()
            path = f"api/datasets/{dataset}/files/x.json"
            await demo.json("PUT", path + "?import=later", 201, content=content)
            operation = await demo.json("POST", path + "/import", 202, json={})
            seen = await begun(demo, operation["id"])
            assert seen["done"] <= seen["total"] <= 2 * RECORDS
        service.kill()
    with service_process(state, **options) as service:
        async with Caller(service.url) as demo:
            assert (await demo.json("GET", path))["state"] == "received"
            ended = await demo.json("GET", f"api/operations/{operation['id']}")
            assert ended["state"] == "failed"
            assert (await demo.json("GET", f"api/datasets/{dataset}"))["records"] == 0
            assert (await demo.json("GET", f"api/datasets/{dataset}/records"))["items"] == []
            folder = state / "uploads" / dataset
            assert [item.suffix for item in folder.iterdir()] == [".original"]
            await demo.json("POST", path + "/import", 202, json={})
            assert await imported(demo, path) == RECORDS


@pytest.mark.slow
async def test_a_service_that_is_killed_while_it_receives_goes_on_where_it_was(
    tmp_path: Path,
) -> None:
    content, state = alpaca(2000), tmp_path / "state"
    half = len(content) // 2
    with service_process(state) as service:
        async with Caller(service.url) as demo:
            dataset = await demo.dataset()
            path = f"api/datasets/{dataset}/files/x.json"
            span = {"Content-Range": f"bytes 0-{half - 1}/{len(content)}"}
            await demo.json("PUT", path, 202, content=content[:half], headers=span)

            async def rest() -> Any:
                yield content[half : half + 1000]
                service.kill()
                yield content[half + 1000 :]

            span = {"Content-Range": f"bytes {half}-{len(content) - 1}/{len(content)}"}
            with pytest.raises(httpx.TransportError):
                await demo.put(path, content=rest(), headers=span)
    with service_process(state) as service:
        async with Caller(service.url) as demo:
            received = (await demo.json("GET", path))["bytes"]
            assert half <= received < len(content)
            span = {"Content-Range": f"bytes {received}-{len(content) - 1}/{len(content)}"}
            file = await demo.json("PUT", path, 201, content=content[received:], headers=span)
            assert (file["records"], file["state"]) == (2000, "ready")


@pytest.mark.slow
async def test_a_process_that_is_killed_costs_the_import_and_not_the_service(
    service: Service, demo: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adaptery_hub.imports.imports.SMALL_BYTES", 10)
    dataset = await demo.dataset()
    path = f"api/datasets/{dataset}/files/x.json"
    await demo.json("PUT", path + "?import=later", 201, content=alpaca(1500))

    async def kill() -> None:
        (child,) = await eventually(multiprocessing.active_children)
        os.kill(child.pid, signal.SIGKILL)

    killing = asyncio.create_task(kill())
    operation = await demo.json("POST", path + "/import", 202, json={})
    await killing
    ended = await demo.ended(operation["id"])
    assert (ended["state"], ended["error"]["code"]) == ("failed", "internal")
    file = await demo.json("GET", path)
    assert (file["state"], file["records"]) == ("refused", 0) and file["reason"]
    assert (await demo.json("GET", f"api/datasets/{dataset}/records"))["items"] == []
    again = await demo.json("POST", path + "/import", 202, json={})
    assert (await demo.ended(again["id"]))["state"] == "completed"


class EndsTooLate(Processes):
    """Lets a step do all of it, and is then told that it shall end."""

    def run(self, fn: Any, progress: Progress, *args: Any, **kwargs: Any) -> Any:
        super().run(fn, progress, *args, **kwargs)
        raise Cancelled


async def test_an_import_that_is_cancelled_at_its_end_leaves_no_record(
    service: Service, demo: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adaptery_hub.imports.imports.SMALL_BYTES", 10)
    dataset = await demo.dataset()
    path = f"api/datasets/{dataset}/files/x.json"
    await demo.json("PUT", path + "?import=later", 201, content=alpaca(5))
    service.services.imports._processes.__class__ = EndsTooLate
    operation = await demo.json("POST", path + "/import", 202, json={})
    assert (await demo.ended(operation["id"]))["state"] == "cancelled"
    assert (await demo.json("GET", path))["state"] == "received"
    assert (await demo.json("GET", f"api/datasets/{dataset}/records"))["items"] == []


async def test_a_disk_that_is_full_is_said_and_keeps_nothing(
    service: Service, demo: Client
) -> None:
    dataset = await demo.dataset()
    originals = service.services.uploads.originals
    originals.make_folder(dataset)
    part = originals.part(dataset, "x.json")
    part.symlink_to("/dev/full")
    problem = await demo.upload(dataset, alpaca(10), "x.json", 503)
    assert "full" in problem["detail"] and problem["hint"]
    assert not part.is_symlink()
    assert (await demo.json("GET", f"api/datasets/{dataset}/files"))["items"] == []
    await demo.upload(dataset, alpaca(10), "x.json")
