"""S3 stores, each in a process of its own."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from adaptery_hub.objects.s3 import S3Store
from adaptery_hub.objects.s3_clients import S3Clients
from support.stores import moto_config, moto_credentials, running_moto, store_of


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """The address of a store that enforces next to nothing."""
    with running_moto() as url:
        yield url


@pytest.fixture
def clients(moto: str) -> S3Clients:
    return S3Clients(moto_config(moto, f"bucket-{secrets.token_hex(4)}"), moto_credentials())


@pytest.fixture
def store(clients: S3Clients, tmp_path: Path) -> Iterator[S3Store]:
    with store_of(clients, tmp_path / "store") as made:
        yield made
