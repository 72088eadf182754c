"""Erasing a dataset: nobody reads it any more, what remains is told, and a kill changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adaptery.digests import sha256_bytes
from adaptery.manifests import Manifest
from adaptery_hub.audit import AuditLog
from adaptery_hub.compute import AUDIT_WRITER
from adaptery_hub.erasure import Eraser, Tell
from adaptery_hub.key_store import KeyStore
from adaptery_hub.services import Services
from support.service import Client, Service, alpaca, running_service
from support.waiting import eventually

WORD = "haemoptysis"


async def erased(client: Client, dataset: str, name: str = "@demo/visits") -> dict[str, Any]:
    begun = await client.json("POST", f"api/datasets/{dataset}/erase", 202, json={"name": name})
    done = await client.ended(begun["id"])
    assert done["state"] == "completed", done
    return done["result"]["erasure"]


def holds(folder: Path, word: str = WORD) -> list[str]:
    """Return the files below a folder that hold a word in clear."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return [path.name for path in files if word.encode() in path.read_bytes()]


@pytest.fixture
def state(service: Service) -> Path:
    return service.services.settings.state_path


async def restricted(demo: Client) -> tuple[str, str]:
    dataset = await demo.dataset(sensitivity="restricted")
    await demo.upload(dataset, alpaca(90, WORD))  # three shards
    version = (await demo.publish(dataset, timeout_seconds=60))["result"]["version"]
    return dataset, version["id"]


async def test_what_is_restricted_is_encrypted_read_and_erased(
    service: Service, demo: Client, state: Path
) -> None:
    dataset, version = await restricted(demo)
    await check_encrypted(demo, version, state)
    await check_originals(demo, dataset, state)
    await check_key_store(service, demo, version)
    keys = Path(service.services.settings.key_store)
    erasure = await erased(demo, dataset)
    assert erasure["key_destroyed"]
    assert (erasure["records"], erasure["files"]) == (90, 1)
    assert erasure["versions"] == ["@demo/visits@1"]
    assert [left["kind"] for left in erasure["remains"]] == ["backup"]
    assert erasure == await demo.json("GET", f"api/datasets/{dataset}/erase")
    body = {"name": "@demo/visits"}
    again = await demo.json("POST", f"api/datasets/{dataset}/erase", 409, json=body)
    assert "erased already" in again["detail"]
    assert erasure == await demo.json("GET", f"api/datasets/{dataset}/erase")
    assert list(keys.iterdir()) == []
    assert holds(state) == []
    assert not list((state / "objects" / "datasets").rglob("*.parquet"))
    for path in ("records", "manifest", "download"):
        answer = await demo.get(f"api/versions/{version}/{path}")
        assert answer.status_code == 409 and "was erased" in answer.json()["detail"]
    assert (await demo.json("GET", f"api/versions/{version}"))["state"] == "erased"
    assert (await demo.json("GET", f"api/datasets/{dataset}/records"))["items"] == []
    storage = (await demo.json("GET", "api/storage"))["items"][0]
    assert storage["parts"]["versions"] == 0
    # What comes later has another key.
    await demo.upload(dataset, alpaca(3, "another"))
    later = (await demo.publish(dataset, timeout_seconds=60))["result"]["version"]
    assert later["number"] == 2
    assert len((await demo.json("GET", f"api/versions/{later['id']}/records"))["items"]) == 3


async def check_encrypted(demo: Client, version: str, state: Path) -> None:
    shown = await demo.json("GET", f"api/versions/{version}")
    assert (shown["encrypted"], shown["level"]) == (True, "integrity checked")
    files = [path for path in (state / "objects").rglob("*") if path.is_file()]
    assert len(files) > 5
    encrypted = [path for path in files if path.name != "manifest.json"]
    assert all(path.read_bytes().startswith(b"ADPTFIL1") for path in encrypted)
    page = await demo.json("GET", f"api/versions/{version}/records?limit=3&after=88")
    assert [item["id"] for item in page["items"]] == ["89", "90"]
    assert WORD in json.dumps(page)
    manifest = Manifest.from_bytes((await demo.get(f"api/versions/{version}/manifest")).content)
    for entry in manifest.files:
        answer = await demo.get(f"api/versions/{version}/download", params={"file": entry.path})
        assert entry.plain is not None and sha256_bytes(answer.content) == entry.plain.digest
    lines = (await demo.get(f"api/versions/{version}/download")).text.splitlines()
    assert len(lines) == 90
    assert not holds(state / "objects") and not holds(state / "cache")


async def check_originals(demo: Client, dataset: str, state: Path) -> None:
    """What was uploaded is encrypted once it is imported, and had back all the same."""
    folder = state / "uploads" / dataset
    await eventually(lambda: [path.suffix for path in folder.iterdir()] == [".sealed"])
    assert not holds(folder)
    (file,) = (await demo.json("GET", f"api/datasets/{dataset}/files"))["items"]
    answer = await demo.get(f"api/datasets/{dataset}/files/{file['id']}/content")
    assert answer.content == alpaca(90, WORD)


async def check_key_store(service: Service, demo: Client, version: str) -> None:
    """A key store that was lost, or is another, is named in the error."""
    keys = Path(service.services.settings.key_store)
    hidden = keys.with_name("elsewhere")
    keys.rename(hidden)
    answer = await demo.get(f"api/versions/{version}/records")
    assert answer.status_code == 409 and "key_store" in answer.json()["hint"]
    hidden.rename(keys)
    await demo.json("GET", f"api/versions/{version}/records")


async def test_the_name_is_typed_and_only_who_manages_erases(
    demo: Client, colleague: Client, guest: Client
) -> None:
    dataset = await demo.dataset(tenant="radiology")
    path = f"api/datasets/{dataset}/erase"
    await demo.json("POST", path, 422, json={"name": "visits"})
    await colleague.json("POST", path, 403, json={"name": "radiology/visits"})
    await guest.json("POST", path, 404, json={"name": "radiology/visits"})
    await demo.json("GET", path, 409)
    await demo.json("POST", path, 422, json={"name": "radiology/visits", "force": True})
    await erased(demo, dataset, "radiology/visits")


async def test_nothing_is_erased_that_a_job_learns_from(demo: Client) -> None:
    dataset, version = await restricted(demo)
    job = {"name": "notes", "dataset": version}
    made = await demo.json("POST", "api/jobs", 201, json=job)
    path = f"api/datasets/{dataset}/erase"
    refused = await demo.json("POST", path, 409, json={"name": "@demo/visits"})
    assert "1 jobs" in refused["detail"]
    await demo.json("POST", f"api/jobs/{made['id']}/cancel", 200, json={})
    await erased(demo, dataset)
    again = await demo.json("POST", "api/jobs", 422, json=job)
    assert "is erased" in json.dumps(again)


class DyingEraser(Eraser):
    """Dies after one of its steps."""

    step = 0

    def destroy(self, row: Any, loop: Any, tell: Tell) -> Any:
        def die(done: int) -> None:
            if done == self.step:
                raise RuntimeError("dies here")

        return super().destroy(row, loop, die)


async def test_what_was_broken_off_goes_on_when_it_is_asked_for_again_and_at_the_start(
    tmp_path: Path,
) -> None:
    state = tmp_path / "state"

    def dies(services: Services) -> None:
        services.eraser = DyingEraser(
            services.db,
            services.drafts,
            services.uploads,
            services.objects,
            KeyStore(Path(services.settings.key_store)),
            services.published,
            AuditLog(AUDIT_WRITER),
        )

    async with running_service(state, dies, shard_records=40) as service:
        demo = service.client("demo")
        dataset, version = await restricted(demo)
        path = f"api/datasets/{dataset}/erase"
        for step in (1, 2, 3, 4):
            DyingEraser.step = step
            begun = await demo.json("POST", path, 202, json={"name": "@demo/visits"})
            assert (await demo.ended(begun["id"]))["state"] == "failed"
            assert (await demo.json("GET", path))["state"] == "running"
            await demo.json("GET", f"api/versions/{version}/records", 409)
    async with running_service(state, shard_records=40) as service:
        demo = service.client("demo")
        erasure = await demo.json("GET", path)
        assert erasure["state"] == "completed" and erasure["key_destroyed"]
        assert (erasure["records"], erasure["versions"]) == (90, ["@demo/visits@1"])
        assert erasure["objects"] > 5 and holds(state) == []


@pytest.mark.slow  # two publishes and a merge
async def test_what_was_merged_from_it_is_encrypted_too_and_cannot_be_read_afterwards(
    service: Service, demo: Client, state: Path
) -> None:
    dataset, version = await restricted(demo)
    other = await demo.dataset("merged", sensitivity="restricted")
    begun = await demo.json(
        "POST", f"api/datasets/{other}/merges", 202, json={"sources": [{"version": version}]}
    )
    merged = (await demo.ended(begun["id"], 60))["result"]["version"]["id"]
    page = await demo.json("GET", f"api/versions/{merged}/records?limit=100")
    assert len(page["items"]) == 90 and WORD in json.dumps(page)
    assert list((state / "cache" / "merged").rglob("*.parquet"))
    assert not holds(state / "cache") and not holds(state / "objects")
    erasure = await erased(demo, dataset)
    left = {entry["kind"]: entry["name"] for entry in erasure["remains"]}
    assert left["merged_version"] == "@demo/merged@1"
    assert not list((state / "cache" / "merged").rglob("*.parquet"))
    answer = await demo.get(f"api/versions/{merged}/records")
    assert answer.status_code == 409 and WORD not in answer.text
