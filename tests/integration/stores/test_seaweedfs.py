"""A real SeaweedFS as the supervisor runs it: what is published stays, whoever tries what.

Slow: the program is a wheel of 45 MB (`make store`), and a server runs for each state.
"""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from botocore.exceptions import ClientError

from adaptery.errors import UnavailableError
from adaptery.times import now
from adaptery_hub.metrics import Metrics
from adaptery_hub.objects import seaweedfs
from adaptery_hub.objects.doors import Door, knock
from adaptery_hub.objects.s3 import S3Store
from adaptery_hub.objects.s3_clients import S3Clients
from adaptery_hub.store_desk import StoreDesk
from support.service import alpaca, running_service
from support.stores import free_ports, running_seaweedfs, seaweedfs_clients, store_of, weed
from support.waiting import eventually, eventually_sync

pytestmark = pytest.mark.slow

#: Seconds; a whole publish into a server that has just started, on a busy machine.
SLOW = 120
PREFIX = "datasets/ds_1/abc"
CONTENT = b"what was published"
KEY = f"{PREFIX}/data.parquet"


@dataclass
class Server:
    """A running server with a published folder in it."""

    state: Path
    port: int
    pid: int
    clients: S3Clients
    store: S3Store

    @property
    def ports(self) -> Mapping[str, int]:
        return seaweedfs.ports(self.port)

    @property
    def named(self) -> dict[str, str]:
        """What names the published version of the object."""
        row = self.store._find(KEY)
        return {"Bucket": seaweedfs.BUCKET, "Key": KEY, "VersionId": row["version_id"]}

    def content(self) -> bytes:
        """Return what is stored now, past every cache."""
        return self.clients.of("reader").get_object(**self.named)["Body"].read()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("seaweedfs")
    port = free_ports(8)
    with running_seaweedfs(root / "state", port) as pid:
        clients = seaweedfs_clients(root / "state", port)
        with store_of(clients, root / "store") as store:
            eventually_sync(lambda: _ready(store), timeout_seconds=SLOW)
            folder = root / "new"
            folder.mkdir()
            (folder / "data.parquet").write_bytes(CONTENT)
            store.put_folder(PREFIX, folder)
            yield Server(root / "state", port, pid, clients, store)


def _ready(store: S3Store) -> bool:
    try:
        store.bucket.ensure()
    except UnavailableError:
        return False
    return True


Attack = Callable[[Any, dict[str, str], dict[str, str]], Any]

ATTACKS: dict[str, Attack] = {
    "overwrite": lambda s3, place, _: s3.put_object(**place, Body=b"changed"),
    "delete": lambda s3, place, _: s3.delete_object(**place),
    "delete version": lambda s3, _, named: s3.delete_object(**named),
    "delete past the lock": lambda s3, _, named: s3.delete_object(
        **named, BypassGovernanceRetention=True
    ),
    "multipart": lambda s3, place, _: s3.create_multipart_upload(**place),
    "copy over": lambda s3, place, _: s3.copy_object(
        **place,
        CopySource={"Bucket": place["Bucket"], "Key": place["Key"]},
        MetadataDirective="REPLACE",
    ),
    "tagging": lambda s3, place, _: s3.put_object_tagging(
        **place, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]}
    ),
    "delete tagging": lambda s3, place, _: s3.delete_object_tagging(**place),
    "policy change": lambda s3, place, _: s3.delete_bucket_policy(Bucket=place["Bucket"]),
    "lock change": lambda s3, _, named: s3.put_object_retention(
        **named,
        Retention={"Mode": "GOVERNANCE", "RetainUntilDate": now() + timedelta(seconds=5)},
        BypassGovernanceRetention=True,
    ),
    "suspend versions": lambda s3, place, _: s3.put_bucket_versioning(
        Bucket=place["Bucket"], VersioningConfiguration={"Status": "Suspended"}
    ),
    "acl": lambda s3, place, _: s3.put_object_acl(**place, ACL="public-read-write"),
    "delete bucket": lambda s3, place, _: s3.delete_bucket(Bucket=place["Bucket"]),
    "expiry": lambda s3, place, _: s3.put_bucket_lifecycle_configuration(
        Bucket=place["Bucket"],
        LifecycleConfiguration={
            "Rules": [
                {
                    "ID": "a",
                    "Status": "Enabled",
                    "Filter": {"Prefix": "datasets/"},
                    "Expiration": {"Days": 1},
                }
            ]
        },
    ),
    "cors": lambda s3, place, _: s3.put_bucket_cors(
        Bucket=place["Bucket"],
        CORSConfiguration={"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]},
    ),
    "new object": lambda s3, place, _: s3.put_object(
        Bucket=place["Bucket"], Key=f"{PREFIX}/new", Body=b"new"
    ),
}


@pytest.mark.parametrize("attack", list(ATTACKS))
def test_a_reader_changes_nothing(server: Server, attack: str) -> None:
    place = {"Bucket": seaweedfs.BUCKET, "Key": KEY}
    with pytest.raises(ClientError) as caught:
        ATTACKS[attack](server.clients.of("reader"), place, server.named)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert server.content() == CONTENT


@pytest.mark.parametrize(
    "attack", ["delete", "delete version", "policy change", "delete bucket", "expiry", "cors"]
)
def test_a_publisher_removes_nothing(server: Server, attack: str) -> None:
    place = {"Bucket": seaweedfs.BUCKET, "Key": KEY}
    with pytest.raises(ClientError):
        ATTACKS[attack](server.clients.of("publisher"), place, server.named)
    assert server.content() == CONTENT


def test_the_http_back_doors_are_shut(server: Server) -> None:
    ports = server.ports
    folder = f"/buckets/{seaweedfs.BUCKET}/{PREFIX}"
    doors = [
        ("DELETE", ports["filer"], f"{folder}/data.parquet.versions?recursive=true"),
        ("DELETE", ports["filer"], f"{folder}?recursive=true&ignoreRecursiveError=true"),
        ("PUT", ports["filer"], f"{folder}/data.parquet"),
        ("POST", ports["filer"], f"{folder}/data.parquet?op=append"),
        ("POST", ports["filer"], f"/stolen?mv.from={folder}"),
        ("GET", ports["filer"], f"{folder}/"),
        ("GET", ports["filer"], "/etc/iam/identity.json"),
    ]
    for method, port, path in doors:
        assert knock(Door("", method, f"127.0.0.1:{port}{path}")).held, (method, path)
    _attack_volumes(server)
    for door in seaweedfs.doors(server.port):
        assert knock(door).held, door
    assert server.content() == CONTENT


def test_who_has_the_certificate_is_let_in_and_others_are_not(server: Server) -> None:
    """The doors refuse for want of a certificate, and not for another reason."""
    url = f"https://127.0.0.1:{server.ports['master']}/dir/assign"
    tls = server.state / "seaweedfs" / "tls"
    context = ssl.create_default_context(cafile=str(tls / "ca.pem"))
    with pytest.raises(httpx.TransportError):
        httpx.get(url, verify=context)
    context.load_cert_chain(tls / "node.pem", tls / "node.key")
    assert httpx.get(url, verify=context).status_code == 200


def _attack_volumes(server: Server) -> None:
    """Ask the volume server for, and to remove, whatever it may hold."""
    base = f"127.0.0.1:{server.ports['volume']}"
    for volume in range(1, 8):
        for needle in range(1, 8):
            for method in ("GET", "DELETE"):
                assert knock(Door("", method, f"{base}/{volume},{needle:02x}00000000")).held
    assert knock(Door("", "POST", f"{base}/1,0100000001")).held


def test_the_grpc_back_door_is_shut(server: Server, tmp_path: Path) -> None:
    """`weed shell` without our certificates, as in seaweedfs#8393."""
    commands = f"""
    lock
    fs.ls /buckets/{seaweedfs.BUCKET}/datasets
    fs.rm -r -f /buckets/{seaweedfs.BUCKET}/datasets
    s3.bucket.delete -name {seaweedfs.BUCKET}
    exit
    """
    shell = [str(weed()), f"-config_dir={tmp_path}", "shell"]
    masters = f"127.0.0.1:{server.ports['master']}.{server.ports['master.grpc']}"
    filer = f"127.0.0.1:{server.ports['filer']}.{server.ports['filer.grpc']}"
    try:
        done = subprocess.run(
            [*shell, f"-master={masters}", f"-filer={filer}"],
            input=commands.encode(),
            capture_output=True,
            timeout=20,
            cwd=tmp_path,
            check=False,
        )
        said = done.stdout + done.stderr
    except subprocess.TimeoutExpired as error:
        said = (error.stdout or b"") + (error.stderr or b"")
    assert b"ds_1" not in said
    assert server.content() == CONTENT


def test_everything_listens_on_loopback_and_no_secret_is_shown(server: Server) -> None:
    process = psutil.Process(server.pid)
    listening = [c for c in process.net_connections() if c.status == psutil.CONN_LISTEN]
    assert {c.laddr.ip for c in listening} == {"127.0.0.1"}
    assert {c.laddr.port for c in listening} <= set(server.ports.values())
    secrets = (server.state / "seaweedfs" / "credentials.ini").read_text().split()
    command = " ".join(process.cmdline())
    assert not any(word in command for word in secrets if len(word) > 12)
    folder = server.state / "seaweedfs"
    ours = [folder / name for name in ("credentials.ini", "s3.json", "security.toml")]
    assert {path.stat().st_mode & 0o777 for path in [*ours, *(folder / "tls").iterdir()]} == {0o600}
    assert "-master.telemetry=false" in process.cmdline()


def test_what_is_removed_leaves_the_files_of_the_store(server: Server, tmp_path: Path) -> None:
    canary = b"haemoptysis-canary"
    data = server.state / "seaweedfs" / "data"

    def lies_there() -> bool:
        return any(canary in path.read_bytes() for path in data.glob("*.dat"))

    folder = tmp_path / "new"
    folder.mkdir()
    (folder / "data.parquet").write_bytes(canary + os.urandom(5000))  # not compressed
    server.store.put_folder("datasets/ds_2/abc", folder)
    assert lies_there()
    server.store.remove_folder("datasets/ds_2")
    eventually_sync(lambda: not lies_there(), timeout_seconds=SLOW)
    assert server.content() == CONTENT


def test_the_self_test_finds_it_enforced_and_sees_when_it_is_not(server: Server) -> None:
    metrics = Metrics()
    desk = StoreDesk(server.store, metrics)
    desk.check_now()
    shown = desk.describe()
    assert [check for check in shown.checks if check.needed and not check.held] == []
    assert (shown.level, shown.short_lived_access) == ("enforced", True)
    assert b"adaptery_store_enforced 1.0" in metrics.render()
    admin = server.clients.of("admin")
    policy = admin.get_bucket_policy(Bucket=seaweedfs.BUCKET)["Policy"]
    admin.delete_bucket_policy(Bucket=seaweedfs.BUCKET)
    try:
        eventually_sync(lambda: desk.check_now() or desk.level == "integrity checked")
    finally:
        admin.put_bucket_policy(Bucket=seaweedfs.BUCKET, Policy=policy)
    passed = {c.name for c in desk.describe().checks if c.needed and not c.held}
    assert {
        "publisher: delete",
        "publisher: let objects expire",
        "publisher: let other sites read",
    } <= passed


def test_a_stranger_on_its_port_is_sent_nothing(tmp_path: Path) -> None:
    port = free_ports(8)
    with running_seaweedfs(tmp_path / "state", port):
        clients = seaweedfs_clients(tmp_path / "state", port)
        with store_of(clients, tmp_path / "store") as store:
            eventually_sync(lambda: _ready(store), timeout_seconds=SLOW)
    with socket.create_server(("127.0.0.1", port)) as stranger:
        stranger.setblocking(False)
        with pytest.raises(UnavailableError, match=f"port {port} is taken"):
            clients.of("publisher").put_object(Bucket=seaweedfs.BUCKET, Key=KEY, Body=b"secret")
        with pytest.raises(BlockingIOError):
            stranger.accept()


async def test_a_service_publishes_reads_lends_and_erases(tmp_path: Path) -> None:
    state, port = tmp_path / "state", free_ports(8)
    options = {"object_store": "seaweedfs", "seaweedfs_port": port, "shard_records": 40}
    with running_seaweedfs(state, port):
        async with running_service(state, **options) as service:
            demo = service.client("demo")

            async def enforced() -> bool:
                return (await demo.json("GET", "api/stores"))["level"] == "enforced"

            await eventually(enforced, timeout_seconds=SLOW)
            dataset = await demo.dataset(sensitivity="internal")
            await demo.upload(dataset, alpaca(90))
            version = (await demo.publish(dataset, timeout_seconds=SLOW))["result"]["version"]["id"]
            shown = await demo.json("GET", f"api/versions/{version}")
            assert (shown["level"], shown["encrypted"]) == ("enforced", False)
            items = (await demo.json("GET", f"api/versions/{version}/records?limit=100"))["items"]
            assert len(items) == 90
            access = await demo.json("GET", f"api/versions/{version}/access")
            for file in access["files"]:
                assert len(httpx.get(file["url"]).content) == file["bytes"]
            paths = {file["path"] for file in access["files"]}
            assert any(path.startswith("originals/") for path in paths)
            # Originals hold what was left out of the version: they are for who may edit.
            grant = {"principal": "@guest", "right": "view"}
            guest = service.client("guest")
            await demo.json("PUT", f"api/datasets/{dataset}/grants", json=grant)
            shown = await guest.json("GET", f"api/versions/{version}/access")
            seen = {file["path"] for file in shown["files"]}
            assert seen == {path for path in paths if not path.startswith("originals/")}
            secret = await demo.dataset("secret", sensitivity="restricted")
            await demo.upload(secret, alpaca(3))
            sealed = (await demo.publish(secret, timeout_seconds=SLOW))["result"]["version"]["id"]
            await demo.json("GET", f"api/versions/{sealed}/access", 409)
        async with running_service(state, **options) as service:  # caches of files stay
            demo = service.client("demo")
            for name, dataset_id in (("visits", dataset), ("secret", secret)):
                begun = await demo.json(
                    "POST", f"api/datasets/{dataset_id}/erase", 202, json={"name": f"@demo/{name}"}
                )
                erasure = (await demo.ended(begun["id"], SLOW))["result"]["erasure"]
                assert [left["kind"] for left in erasure["remains"]] == ["backup"]
                assert erasure["objects"] > 5
            store = service.services.objects
            assert isinstance(store, S3Store)
            assert list(store.bucket.versions(f"datasets/{dataset}")) == []


async def test_what_nobody_can_remove_is_told_and_unreadable(tmp_path: Path) -> None:
    state, port = tmp_path / "state", free_ports(8)
    options = {
        "object_store": "seaweedfs",
        "seaweedfs_port": port,
        "object_lock": "compliance",
        "object_lock_days": 2,
    }
    with running_seaweedfs(state, port):
        async with running_service(state, **options) as service:
            demo = service.client("demo")
            dataset = await demo.dataset(sensitivity="restricted")
            await demo.upload(dataset, alpaca(3, "haemoptysis"))

            async def published() -> bool:
                operation = await demo.json(
                    "POST", f"api/datasets/{dataset}/versions", 202, json={}
                )
                return (await demo.ended(operation["id"], SLOW))["state"] == "completed"

            await eventually(published, timeout_seconds=SLOW)
            begun = await demo.json(
                "POST", f"api/datasets/{dataset}/erase", 202, json={"name": "@demo/visits"}
            )
            erasure = (await demo.ended(begun["id"], SLOW))["result"]["erasure"]
            locked = [left for left in erasure["remains"] if left["kind"] == "locked_object"]
            assert locked and all(
                left["until"] and "key is destroyed" in left["why"] for left in locked
            )
            assert erasure["objects"] == 0
            store = service.services.objects
            assert isinstance(store, S3Store)
            admin = store.clients.of("admin")
            for found in store.bucket.versions(f"datasets/{dataset}"):
                body = admin.get_object(
                    Bucket=seaweedfs.BUCKET, Key=found.key, VersionId=found.version_id
                )["Body"].read()
                assert body.startswith(b"ADPTFIL1") or found.key.endswith("manifest.json")


async def test_a_store_that_dies_is_named_and_loses_nothing(tmp_path: Path) -> None:
    state, port = tmp_path / "state", free_ports(8)
    with running_seaweedfs(state, port):
        pass  # its credentials are made, and it is killed
    options = {"object_store": "seaweedfs", "seaweedfs_port": port}
    async with running_service(state, **options) as service:
        demo = service.client("demo")
        shown = await demo.json("GET", "api/stores")
        assert (shown["level"], shown["checked_at"]) == ("integrity checked", None)
        dataset = await demo.dataset()
        await demo.upload(dataset, alpaca(3))
        failed = await demo.publish(dataset, "failed", SLOW)
        assert failed["error"]["code"] == "unavailable"
        assert "object store (seaweedfs)" in failed["error"]["detail"] and failed["error"]["hint"]
        with running_seaweedfs(state, port):

            async def enforced() -> bool:
                return (await demo.json("GET", "api/stores"))["level"] == "enforced"

            await eventually(enforced, timeout_seconds=SLOW)  # it is tried again by itself
            version = (await demo.publish(dataset, timeout_seconds=SLOW))["result"]["version"]
            assert version["number"] == 1
            store = service.services.objects
            assert isinstance(store, S3Store)
            objects = list(store.bucket.versions(f"datasets/{dataset}"))
            assert len(objects) == len(store.list(f"datasets/{dataset}"))
        # What nobody has read yet cannot be read without the store, and the reason is told.
        answer = await demo.json("GET", f"api/versions/{version['id']}/records", 503)
        assert "object store (seaweedfs)" in answer["detail"]
