"""The service alone, in the test's own process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.sealed_stage import SealedStage, staged
from support.served_adapters import BASE_MODELS, Fleet, add_adapter, serve
from support.service import Client, Service, running_service

MAX_UPLOAD_BYTES = 200_000


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with running_service(
        tmp_path / "state",
        max_upload_bytes=MAX_UPLOAD_BYTES,
        shard_records=40,
        base_models=BASE_MODELS,
    ) as running:
        yield running


@pytest.fixture
def demo(service: Service) -> Client:
    return service.client("demo", groups=("radiology",))


@pytest.fixture
def colleague(service: Service) -> Client:
    return service.client("colleague", groups=("radiology",))


@pytest.fixture
def guest(service: Service) -> Client:
    return service.client("guest")


@pytest.fixture
async def fleet(service: Service) -> Fleet:
    """An agent whose engine follows a script."""
    return await serve(service)


@pytest.fixture
async def soap(service: Service, demo: Client) -> str:
    """The id of an adapter of `demo`'s."""
    return await add_adapter(service, demo)


@pytest.fixture
async def stage(service: Service) -> AsyncIterator[SealedStage]:
    """An agent of the network that opens what is sealed, and answers as it is told."""
    async with staged(service) as stage:
        yield stage


@pytest.fixture
async def secret(service: Service, demo: Client) -> str:
    """A restricted adapter of demo's."""
    return await add_adapter(service, demo, "secret", sensitivity="restricted")
