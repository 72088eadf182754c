"""One real Hub with everything behind it, shared by the tests of this folder."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_hub import HubProcess, HubUser
from support.api import Api, Journey, take_the_journey
from support.hubs import start_hub
from tiny import build_tiny_embedder, build_tiny_model


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture(scope="session")
def tiny_embedder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_embedder(tmp_path_factory.mktemp("embedder") / "model")


@pytest.fixture(scope="session")
def hub(
    tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, tiny_embedder: Path
) -> Iterator[HubProcess]:
    state = tmp_path_factory.mktemp("hub") / "state"
    hub = start_hub(state, tiny_base, ADAPTERY_EMBEDDING_MODEL=str(tiny_embedder))
    try:
        yield hub
    finally:
        if keep := os.environ.get("ADAPTERY_TEST_KEEP_LOG"):
            Path(keep).write_text(hub.log)
        hub.stop()


@pytest.fixture(scope="session")
def demo(hub: HubProcess) -> HubUser:
    return HubUser(hub, "demo")


@pytest.fixture(scope="session")
def guest(hub: HubProcess) -> HubUser:
    return HubUser(hub, "guest")


@pytest.fixture(scope="session")
def colleague(hub: HubProcess) -> HubUser:
    return HubUser(hub, "colleague")


@pytest.fixture(scope="session")
def admin(hub: HubProcess) -> HubUser:
    return HubUser(hub, "admin")


@pytest.fixture(scope="session")
def demo_api(demo: HubUser) -> Api:
    return Api.of(demo)


@pytest.fixture(scope="session")
def guest_api(guest: HubUser) -> Api:
    return Api.of(guest)


@pytest.fixture(scope="session")
def journey(demo_api: Api) -> Journey:
    """Demo's dataset, version, job and adapter."""
    return take_the_journey(demo_api, "visits")
