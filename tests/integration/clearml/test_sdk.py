"""The real SDK against ClearML: link, list, resolve; and a ClearML that is ill, late or cut off.

Slow: the SDK has an environment of its own (`build/clients/clearml`). With CLEARML_API_HOST,
CLEARML_FILES_HOST and keys in the environment the tests that break nothing run against that server.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.clearml_double import ClearmlDouble
from support.clearml_double.server import Fault
from support.clearml_stage import ClearmlServer, ClearmlStage, clearml_server, clearml_stage
from support.service import Client, alpaca
from support.stores import running_moto
from support.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

#: Seconds; a child with the SDK takes ten on a quiet machine.
PATIENCE = 300


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with running_moto() as url:
        yield url


@pytest.fixture
async def server() -> AsyncIterator[ClearmlServer]:
    async with clearml_server() as found:
        yield found


@pytest.fixture
def double(server: ClearmlServer) -> ClearmlDouble:
    if server.double is None:
        pytest.skip("a real server is not broken by tests")
    return server.double


async def _published(client: Client, name: str) -> tuple[str, str]:
    dataset = await client.dataset(name, sensitivity="open")
    await client.upload(dataset, alpaca(90, name))
    operation = await client.publish(dataset, timeout_seconds=PATIENCE)
    return dataset, operation["result"]["version"]["id"]


async def _link(client: Client, version: str, state: str, word: str = "") -> Any:
    async def shown() -> Any:
        link = (await client.json("GET", f"api/versions/{version}"))["clearml"]
        tried = state == "linked" or link["next_try_at"]
        return link if link["state"] == state and tried and word in str(link["reason"]) else None

    return await eventually(shown, timeout_seconds=PATIENCE, every_seconds=0.2)


async def test_versions_are_linked_listed_and_resolved(
    tmp_path: Path, moto: str, server: ClearmlServer
) -> None:
    async with clearml_stage(tmp_path / "stage", moto, server) as stage:
        demo = stage.service.client("demo")
        _, one = await _published(demo, "one")
        linked = await _link(demo, one, "linked")
        both = await demo.dataset("both", sensitivity="open")
        sources = {"sources": [{"version": one}]}
        begun = await demo.json("POST", f"api/datasets/{both}/merges", 202, json=sources)
        merged = (await demo.ended(begun["id"], PATIENCE))["result"]["version"]["id"]
        child = await _link(demo, merged, "linked")
        found = await stage.resolve(f"adaptery:{one}", f"adaptery:{merged}")
        [mine], [heir] = found.values()
        assert (mine["id"], mine["name"], mine["version"]) == (linked["dataset"], "one", "1")
        assert {f"adaptery:{one}", "owner:@demo", "version:1"} <= set(mine["tags"])
        await _check_files(stage, demo, one, mine)
        assert (heir["id"], heir["parents"]) == (child["dataset"], [mine["id"]])
        assert set(mine["files"]) < set(heir["files"])
        reason = {"reason": "Consent was withdrawn."}
        await demo.json("POST", f"api/versions/{one}/withdraw", json=reason)

        async def marked() -> bool:
            [shown] = (await stage.resolve(f"adaptery:{one}"))[f"adaptery:{one}"]
            return "withdrawn" in shown["tags"]

        await eventually(marked, timeout_seconds=PATIENCE)
        if server.double is not None:
            assert server.double.unknown == []


async def _check_files(stage: ClearmlStage, demo: Client, version: str, found: Any) -> None:
    manifest = await demo.json("GET", f"api/versions/{version}/manifest")
    sizes = {
        f"{version}/{file['path']}": file["bytes"]
        for file in manifest["files"]
        if not file["path"].startswith("originals/")
    }
    fetched = {path: size for path, size in found["sizes"].items() if path in sizes}
    assert fetched == sizes  # the bytes, by the links
    assert set(found["links"]) == {*sizes, f"{version}/manifest.json"}
    assert all(link.startswith("s3://127.0.0.1:") for link in found["links"].values())
    for data in stage.server.double.files.values() if stage.server.double else ():
        assert b"PAR1" not in data  # nothing was copied


@pytest.mark.parametrize(
    ("fault", "at", "word"),
    [
        ("503", None, "503"),
        ("html", None, "not ClearML"),
        ("reset", None, "cannot be reached"),
        ("503", "tasks.create", "ClearML"),
        ("html", "tasks.edit", "ClearML"),
        ("503", "files", "ClearML"),
    ],
)
async def test_what_is_ill_leaves_a_row_and_is_told_later(
    tmp_path: Path, moto: str, double: ClearmlDouble, server: ClearmlServer, fault: Fault,
    at: str | None, word: str,
) -> None:  # fmt: skip
    async with clearml_stage(tmp_path / "stage", moto, server, 90) as stage:
        demo = stage.service.client("demo")
        double.fault, double.fault_at = fault, at
        _, version = await _published(demo, "visits")
        await _link(demo, version, "pending", word)
        double.fault = None
        await _link(demo, version, "linked")
        await _check_one(stage, version)


@pytest.mark.parametrize("at", ["auth.login", "tasks.add_or_update_artifacts", "tasks.completed"])
async def test_who_was_killed_halfway_leaves_no_second_dataset(
    tmp_path: Path, moto: str, double: ClearmlDouble, server: ClearmlServer, at: str
) -> None:
    """A server that hangs there: the child is killed at its deadline."""
    async with clearml_stage(tmp_path / "stage", moto, server, 12) as stage:
        demo = stage.service.client("demo")
        double.fault, double.fault_at = "hang", at
        _, version = await _published(demo, "visits")
        await _link(demo, version, "pending", "ClearML")
        assert await demo.json("GET", "api/datasets")  # the service answers meanwhile
    async with clearml_stage(tmp_path / "stage", moto, server) as stage:
        demo = stage.service.client("demo")
        double.fault, double.fault_at = None, None
        double.held.set()
        await _link(demo, version, "linked")
        await _check_one(stage, version)


async def test_who_was_killed_after_the_end_finds_what_it_made(
    tmp_path: Path, moto: str, server: ClearmlServer
) -> None:
    async with clearml_stage(tmp_path / "stage", moto, server) as stage:
        demo = stage.service.client("demo")
        _, version = await _published(demo, "visits")
        made = (await _link(demo, version, "linked"))["dataset"]
        await stage.service.services.db.write(
            lambda c: c.exec_driver_sql("DELETE FROM clearml_links")  # as if it died before
        )
        assert (await _link(demo, version, "linked"))["dataset"] == made
        await _check_one(stage, version)


async def _check_one(stage: ClearmlStage, version: str) -> None:
    found = (await stage.resolve(f"adaptery:{version}"))[f"adaptery:{version}"]
    assert [one["status"] for one in found] == ["completed"]
    if stage.server.double is not None:
        assert len(stage.server.double.datasets()) == 1
