"""What agents hand in: chunks in any order, checked whole, registered once, under the fence."""

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa

from adaptery.adapter_manifests import AdapterManifest, verify_adapter
from adaptery.digests import sha256_bytes, sha256_file
from adaptery.errors import (
    DigestMismatchError,
    InvalidInputError,
    LeaseLostError,
    TooLargeError,
)
from adaptery.manifests import MANIFEST_NAME, Manifest, ManifestFile, sign_manifest
from adaptery.schemas.jobs import JobCreate
from adaptery_hub.database import tables
from adaptery_hub.database.prepared import Row
from adaptery_hub.database.statements import adapters, checkpoints, jobs
from adaptery_hub.database.statements.job_inputs import jobs_on
from adaptery_hub.database.statements.lineage import withdrawn_jobs
from adaptery_hub.fleet.adapter_manifests import downloaded_folder
from adaptery_hub.fleet.offers import FileOffers
from adaptery_hub.fleet.registration import Registration, strictest
from adaptery_hub.fleet.session_desk import SessionDesk
from adaptery_hub.fleet.staging import AnnouncedFile, StagingArea
from adaptery_hub.full_disk import DiskFullError
from adaptery_hub.objects import FilesystemStore
from adaptery_hub.publishing import version_prefix
from adaptery_hub.queue.port import Claim
from support.agent_side.folders import make_adapter
from support.hub_tables import AGENT, WEIGHTS, HubTables
from support.published import KEY, published_in

SHARD = "data-00000.parquet"
ATTEMPT = "at_01hzzzzzzzzzzzzzzzzzzzzzzz"


def announced(path: str, data: bytes) -> AnnouncedFile:
    return AnnouncedFile(path, len(data), sha256_bytes(data))


def test_chunks_may_come_twice_and_in_any_order(tmp_path: Path) -> None:
    staging, data = StagingArea(tmp_path), b"abcdef"
    for offset in (4, 0, 2, 0):
        staging.write(ATTEMPT, "adapter/x", offset, 6, data[offset : offset + 2])
    folder = staging.check(ATTEMPT, "adapter", [announced("x", data)])
    assert (folder / "x").read_bytes() == data


@pytest.mark.parametrize(
    "path",
    ["adapter", "adapter/../x", "../x", "/etc/x", "inputs/0/x", "checkpoints/x", "adapter//x", "x"],
)
def test_an_attempt_writes_only_where_it_may(tmp_path: Path, path: str) -> None:
    with pytest.raises(InvalidInputError):
        StagingArea(tmp_path / "in").write(ATTEMPT, path, 0, 1, b"x")
    assert not (tmp_path / "x").exists()


def test_nothing_passes_that_is_not_as_announced(tmp_path: Path) -> None:
    staging = StagingArea(tmp_path)
    staging.write(ATTEMPT, "adapter/x", 0, 4, b"ab")
    for files in (
        [announced("x", b"abcd")],
        [announced("x", b"xx")],
        [announced("x", b"ab"), announced("y", b"")],
    ):
        with pytest.raises(DigestMismatchError):
            staging.check(ATTEMPT, "adapter", files)
    staging.write(ATTEMPT, "adapter/extra", 0, 1, b"x")
    with pytest.raises(DigestMismatchError):
        staging.check(ATTEMPT, "adapter", [announced("x", b"ab")])
    with pytest.raises(InvalidInputError):
        staging.write(ATTEMPT, "adapter/x", 3, 4, b"ab")
    with pytest.raises(TooLargeError):
        staging.write(ATTEMPT, "adapter/x", 0, 10**12, b"ab")


def test_what_is_made_from_several_is_as_strict_as_the_strictest() -> None:
    assert strictest(["open", "restricted", "internal"]) == "restricted"


async def running(hub: HubTables, sensitivity: str = "internal") -> Claim:
    await hub.bind()
    version = await hub.version("demo", sensitivity=sensitivity)
    demo = await hub.identity("demo")
    await hub.desk.submit(demo, JobCreate(name="notes", dataset=version))
    claim = await hub.claim()
    assert claim is not None
    return claim


class FullDisk(StagingArea):
    """Takes nothing."""

    def write(self, *_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def open_desk(hub: HubTables, root: Path, staging: StagingArea | None = None) -> SessionDesk:
    objects = FilesystemStore(root / "objects")
    staging = staging or StagingArea(root / "incoming")
    registration = Registration(hub.database, objects, staging, KEY, hub.clock)
    offers = FileOffers(objects, published_in(objects, root))
    return SessionDesk(hub.database, hub.queue, offers, staging, registration)


async def test_a_full_disk_is_told_so_that_the_agent_waits(hub: HubTables, tmp_path: Path) -> None:
    claim = await running(hub)
    desk = open_desk(hub, tmp_path, FullDisk(tmp_path))
    file = {"path": "adapter/x", "offset": 0, "bytes": 1, "digest": sha256_bytes(b"x")}
    with pytest.raises(DiskFullError):
        await desk.handle(AGENT, claim.attempt_id, {"op": "write", **file}, b"x")
    desk.close()


async def send(desk: SessionDesk, claim: Claim, folder: Path, remote: str, **facts: object) -> None:
    files = []
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        entry = {"path": path.name, "bytes": len(data), "digest": sha256_file(path)}
        header = {"op": "write", "path": f"{remote}/{path.name}", "offset": 0}
        header |= {"bytes": len(data), "digest": entry["digest"]}
        await desk.handle(claim.agent_id, claim.attempt_id, header, data)
        files.append(entry)
    commit = {"op": "commit", "folder": remote, "files": files, **facts}
    await desk.handle(claim.agent_id, claim.attempt_id, commit, b"")
    await desk.handle(claim.agent_id, claim.attempt_id, commit, b"")  # the answer got lost


async def downloaded(hub: HubTables, row: Row, stored: Path, target: Path) -> AdapterManifest:
    """Put a folder together as a download has it; return what it was signed as."""
    folder = await hub.database.read(lambda c: downloaded_folder(c, row, KEY))
    target.mkdir()
    for file in folder.files or ():
        shutil.copy(stored / str(file["path"]), target)
    for name, raw in folder.made.items():
        (target / name).write_bytes(raw)
    return verify_adapter(target, KEY.verify_key)


async def make_folder(hub: HubTables, claim: Claim, folder: Path) -> str:
    digest = make_adapter(folder, 0.5)
    inputs = await hub.database.read(lambda c: jobs.inputs_of(c, [claim.job_id]))
    card = {
        "base_model": {"weight_digest": WEIGHTS},
        "adapter": {"weight_digest": digest},
        "datasets": [{"content_digest": row["content_digest"]} for row in inputs],
    }
    (folder / "card.json").write_text(json.dumps(card))
    return digest


async def store_inputs(
    hub: HubTables, claim: Claim, objects: FilesystemStore, folder: Path
) -> None:
    """Put the files of the job's version where publishing would."""
    rows = await hub.database.read(lambda c: jobs.inputs_of(c, [claim.job_id]))
    row, data = rows[0], b"records"
    manifest = Manifest(
        dataset=row["dataset_id"],
        version=row["version_id"],
        number=1,
        content_digest=row["content_digest"],
        records=1,
        files=(
            ManifestFile(path="data-00000.parquet", bytes=len(data), digest=sha256_bytes(data)),
        ),
        created_at=hub.clock(),
    )
    folder.mkdir()
    (folder / MANIFEST_NAME).write_bytes(sign_manifest(manifest, KEY).to_bytes())
    (folder / SHARD).write_bytes(data)
    objects.put_folder(version_prefix(row["dataset_id"], row["content_digest"]), folder)


async def test_an_adapter_is_checked_stored_and_staged_once(hub: HubTables, tmp_path: Path) -> None:
    claim, desk = await running(hub, "restricted"), open_desk(hub, tmp_path)
    digest = await make_folder(hub, claim, tmp_path / "made")
    await send(desk, claim, tmp_path / "made", "adapter")
    row = await hub.database.read(lambda c: adapters.staged_of_job(c, claim.job_id))
    assert row is not None and (row["weight_digest"], row["rank"]) == (digest, 2)
    assert row["sensitivity"] == "restricted" and row["id"] == f"ad_{claim.attempt_id[3:]}"
    stored = tmp_path / "objects" / "adapters" / row["id"]
    assert (stored / "card.json").exists()
    # It is signed as it was registered, and the folder that is downloaded proves it.
    manifest = AdapterManifest.from_bytes(row["manifest"].encode())
    assert (manifest.adapter, manifest.name) == (row["id"], "@demo/notes@1")
    assert (manifest.job, manifest.base_model.weight_digest) == (claim.job_id, WEIGHTS)
    assert manifest.inputs == claim.spec.inputs
    assert manifest.created_at == row["created_at"]
    assert await downloaded(hub, row, stored, tmp_path / "saved") == manifest
    # One that an earlier release registered is signed when it is needed, always alike.
    old = {**row, "manifest": None}
    assert await downloaded(hub, old, stored, tmp_path / "old") == manifest
    desk.close()


async def test_a_manifest_that_an_agent_makes_is_refused(hub: HubTables, tmp_path: Path) -> None:
    claim, desk = await running(hub), open_desk(hub, tmp_path)
    await make_folder(hub, claim, tmp_path / "made")
    (tmp_path / "made" / MANIFEST_NAME).write_bytes(b"{}")
    with pytest.raises(InvalidInputError, match="only the service"):
        await send(desk, claim, tmp_path / "made", "adapter")
    assert await hub.database.read(lambda c: adapters.staged_of_job(c, claim.job_id)) is None
    desk.close()


@pytest.mark.parametrize("part", ["base_model", "adapter", "datasets"])
async def test_an_adapter_whose_card_names_something_else_is_refused(
    hub: HubTables, tmp_path: Path, part: str
) -> None:
    claim, desk = await running(hub), open_desk(hub, tmp_path)
    await make_folder(hub, claim, tmp_path / "made")
    path = tmp_path / "made" / "card.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {part: []}))
    with pytest.raises(InvalidInputError, match="card"):
        await send(desk, claim, tmp_path / "made", "adapter")
    count = sa.select(sa.func.count()).select_from(tables.adapters)
    assert await hub.database.read(lambda c: c.scalar(count)) == 0
    desk.close()


async def test_checkpoints_are_kept_few_and_offered_to_the_next_attempt(
    hub: HubTables, tmp_path: Path
) -> None:
    first, desk = await running(hub), open_desk(hub, tmp_path)
    for step in (10, 20, 30):
        folder = tmp_path / f"step-{step}"
        folder.mkdir()
        (folder / "state.bin").write_bytes(bytes([step]))
        facts = {"step": step, "digest": WEIGHTS, "metrics": {"loss": 1.5, "epoch": None}}
        await send(desk, first, folder, f"checkpoints/{step}", **facts)
    kept = await hub.database.read(lambda c: checkpoints.of_job(c, first.job_id))
    assert [row["step"] for row in kept] == [20, 30]
    hub.clock.forward(61)
    await hub.queue.reap()
    second = await hub.claim()
    assert second is not None and second.spec.resume_from is not None
    await store_inputs(hub, first, FilesystemStore(tmp_path / "objects"), tmp_path / "version")
    listed, _ = await desk.handle(AGENT, second.attempt_id, {"op": "list"}, b"")
    paths = [file["path"] for file in listed["files"]]
    shard = f"inputs/0/{SHARD}"
    assert paths == ["inputs/0/manifest.json", shard, "checkpoint/state.bin"]
    read = {"op": "read", "path": "checkpoint/state.bin", "offset": 0, "length": 9}
    assert await desk.handle(AGENT, second.attempt_id, read, b"") == ({}, bytes([30]))
    desk.close()


async def test_of_old_checkpoints_the_adapters_stay_to_be_served(
    hub: HubTables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adaptery_hub.fleet.registration.LIGHT_CHECKPOINTS_KEPT", 2)
    claim, desk = await running(hub), open_desk(hub, tmp_path)
    digests = []
    for number in range(1, 8):
        folder = tmp_path / f"step-{number}"
        digests.append(make_adapter(folder, number))
        (folder / "optimizer.pt").write_bytes(b"moments")
        facts = {"step": number, "digest": WEIGHTS}
        await send(desk, claim, folder, f"checkpoints/{number}", **facts)
    kept = await hub.database.read(lambda c: checkpoints.of_job(c, claim.job_id))
    assert [(row["step"], row["light"]) for row in kept] == [
        *((step, True) for step in (4, 5)),
        *((step, False) for step in (6, 7)),
    ]
    row = kept[0]
    assert row["weight_digest"] == digests[3]
    listed, _ = await desk.handle(AGENT, row["id"], {"op": "list"}, b"")
    assert len(listed["files"]) == 3
    for file in listed["files"]:
        read = {"op": "read", "path": file["path"], "offset": 0, "length": file["bytes"]}
        _, data = await desk.handle(AGENT, row["id"], read, b"")
        assert sha256_bytes(data) == file["digest"]
    places = {path.name for path in (tmp_path / "objects" / "checkpoints").glob("*/*/*")}
    assert places == {"4-light", "5-light", "6", "7"}
    desk.close()


async def test_a_lost_lease_ends_every_operation(hub: HubTables, tmp_path: Path) -> None:
    claim, desk = await running(hub), open_desk(hub, tmp_path)
    hub.clock.forward(61)
    await hub.queue.reap()
    digest = "sha256:" + "0" * 64
    for header in (
        {"op": "list"},
        {"op": "read", "path": "inputs/0/manifest.json", "offset": 0, "length": 1},
        {"op": "write", "path": "adapter/x", "offset": 0, "bytes": 1, "digest": digest},
        {"op": "commit", "folder": "adapter", "files": []},
        {"op": "report", "fencing_token": claim.fencing_token, "events": []},
        {"op": "finish", "fencing_token": claim.fencing_token, "outcome": "completed"},
    ):
        with pytest.raises(LeaseLostError):
            await desk.handle(claim.agent_id, claim.attempt_id, header, b"x")
    desk.close()


@pytest.mark.parametrize("header", [{}, {"op": "shell"}, {"op": "list", "path": "/"}])
async def test_unknown_operations_and_fields_are_refused(
    hub: HubTables, tmp_path: Path, header: dict
) -> None:
    claim, desk = await running(hub), open_desk(hub, tmp_path)
    with pytest.raises(InvalidInputError):
        await desk.handle(claim.agent_id, claim.attempt_id, header, b"")
    desk.close()


async def test_a_checkpoint_that_holds_an_adapter_can_be_served_and_gone_on_from(
    hub: HubTables, tmp_path: Path
) -> None:
    claim, desk = await running(hub, "restricted"), open_desk(hub, tmp_path)
    digest = make_adapter(tmp_path / "made", 0.5)
    (tmp_path / "made" / "optimizer.pt").write_bytes(b"moments")
    facts = {"step": 10, "digest": WEIGHTS}
    await send(desk, claim, tmp_path / "made", "checkpoints/10", **facts)
    (row,) = await hub.database.read(lambda c: checkpoints.of_job(c, claim.job_id))
    assert (row["weight_digest"], row["kind"], row["rank"]) == (digest, "chat", 2)
    assert row["sensitivity"] == "restricted" and row["content_digests"]
    # An engine gets the adapter and no states of the trainer.
    listed, _ = await desk.handle(AGENT, row["id"], {"op": "list"}, b"")
    paths = [file["path"] for file in listed["files"]]
    wanted = ["adapter_config.json", "adapter_model.safetensors", "card.json"]
    assert paths == [f"adapter/{name}" for name in wanted]
    read = {"op": "read", "path": "adapter/card.json", "offset": 0, "length": 100_000}
    _, card = await desk.handle(AGENT, row["id"], read, b"")
    assert json.loads(card)["base_model"]["weight_digest"] == WEIGHTS
    assert json.loads(card)["spec"]["template"] and "limits" not in json.loads(card)["spec"]

    plain = await hub.version("demo", "plain", sensitivity="open")
    start = f"{claim.job_id}-step10"
    body = JobCreate(name="more", dataset=plain, start_from=start)
    await hub.desk.submit(await hub.identity("demo"), body)
    second = await hub.claim()
    assert second is not None and second.spec.start_from is not None
    assert second.spec.start_from.model_dump() == {"weight_digest": digest, "name": start}
    objects = FilesystemStore(tmp_path / "objects")
    await store_inputs(hub, second, objects, tmp_path / "version")
    listed, _ = await desk.handle(AGENT, second.attempt_id, {"op": "list"}, b"")
    paths = [file["path"] for file in listed["files"]]
    assert paths[2:] == [f"start/{name}" for name in wanted]
    # What comes of it is as sensitive as what it came from, and names all that it learnt from.
    await make_folder(hub, second, tmp_path / "second")
    await send(desk, second, tmp_path / "second", "adapter")
    made = await hub.database.read(lambda c: adapters.staged_of_job(c, second.job_id))
    assert made is not None and made["sensitivity"] == "restricted"
    assert set(row["content_digests"]) <= set(made["content_digests"])
    manifest = AdapterManifest.from_bytes(made["manifest"].encode())
    assert manifest.start_from == second.spec.start_from
    assert list(manifest.content_digests) == made["content_digests"]
    # Who withdraws the first version hears of both, and both say so.
    (first,) = await hub.database.read(lambda c: jobs.inputs_of(c, [claim.job_id]))
    heirs = [claim.job_id, second.job_id]
    learnt = lambda c: set(c.scalars(jobs_on([first["version_id"]])))  # noqa: E731
    assert await hub.database.read(learnt) == set(heirs)
    assert await hub.database.read(lambda c: withdrawn_jobs(c, heirs)) == set()
    withdrawn = tables.versions.update().where(tables.versions.c.id == first["version_id"])
    await hub.database.write(lambda c: c.execute(withdrawn.values(state="withdrawn")))
    assert await hub.database.read(lambda c: withdrawn_jobs(c, heirs)) == set(heirs)
    desk.close()
