"""Kill -9 at every step of publishing leaves no version, or a whole one."""

import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from adaptery.digests import content_digest
from support.publish_kills import STEPS, TOKEN
from support.service import Client, alpaca, running_service
from support.waiting import eventually

RECORDS = 300
#: Enough for a process of its own.
MANY_RECORDS = 6_000
SEED = 20261125
START_SECONDS = 60


@asynccontextmanager
async def service_process(
    root: Path, *step: str
) -> AsyncIterator[tuple[Client, subprocess.Popen[bytes]]]:
    """Run the service in a process of its own; it is killed at the end if it lives."""
    address = root / "address"
    address.unlink(missing_ok=True)
    command = [sys.executable, "-m", "support.publish_kills", str(root / "state"), str(address)]
    process = subprocess.Popen([*command, *step], cwd=Path(__file__).parents[2])
    try:
        await eventually(address.exists, timeout_seconds=START_SECONDS)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with Client(base_url=address.read_text(), headers=headers, timeout=30) as client:
            yield client, process
    finally:
        process.kill()
        process.wait()


async def begun(client: Client, records: int = RECORDS) -> str:
    """Begin to publish a draft; return its dataset."""
    dataset = await client.dataset()
    await client.upload(dataset, alpaca(records))
    with suppress(httpx.RemoteProtocolError):  # it may be killed before it answers
        await client.json("POST", f"api/datasets/{dataset}/versions", 202, json={})
    return dataset


async def check_after(
    state: Path, dataset: str, published: bool | None, records: int = RECORDS
) -> None:
    """Check that there is no version, or a whole one; and that publishing goes on."""
    async with running_service(state) as service:
        demo = service.client("demo", token=TOKEN)
        versions = (await demo.json("GET", f"api/datasets/{dataset}/versions"))["items"]
        assert published is None or len(versions) == published
        assert list((state / "staging").iterdir()) == []
        stored = service.services.objects.list(f"datasets/{dataset}")
        if not versions:
            assert list(stored) == []
            again = (await demo.publish(dataset, timeout_seconds=START_SECONDS))["result"][
                "version"
            ]
            assert again["number"] == 1
            versions = [again]
        (version,) = versions
        ids, after = [], "0"
        while page := await demo.json(
            "GET", f"api/versions/{version['id']}/records", params={"limit": 200, "after": after}
        ):
            ids += [item["record_id"] for item in page["items"]]
            if not page["has_more"]:
                break
            after = page["items"][-1]["id"]
        assert len(ids) == records and content_digest(ids) == version["content_digest"]


async def killed_at(root: Path, step: str) -> None:
    async with service_process(root, step) as (client, process):
        dataset = await begun(client)
        await eventually(lambda: process.poll() is not None, timeout_seconds=START_SECONDS)
        assert process.returncode == -signal.SIGKILL
    await check_after(root / "state", dataset, published=step == "committed")


async def test_a_kill_at_one_step_leaves_no_version_or_a_whole_one(tmp_path: Path) -> None:
    """The fast form; the slow ones walk all steps."""
    await killed_at(tmp_path, "inserted")


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
async def test_a_kill_at_any_step_leaves_no_version_or_a_whole_one(
    tmp_path: Path, step: str
) -> None:
    await killed_at(tmp_path, step)


@pytest.mark.slow
@pytest.mark.parametrize("files", random.Random(SEED).sample(range(1, 12), 4))
async def test_a_kill_while_files_are_written_leaves_no_version_or_a_whole_one(
    tmp_path: Path, files: int
) -> None:
    """Whatever is going on when so many files lie in the staging folder, or are gone from it."""
    state = tmp_path / "state"

    async with service_process(tmp_path) as (client, process):
        dataset = await begun(client, MANY_RECORDS)

        def far_enough() -> bool:
            written = sum(1 for _ in (state / "staging").rglob("*"))
            return written >= files or any((state / "objects").rglob("manifest.json"))

        await eventually(far_enough, timeout_seconds=START_SECONDS)
        process.kill()
    await check_after(state, dataset, None, MANY_RECORDS)
