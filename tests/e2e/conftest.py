"""One real Hub, one trained adapter, one browser: shared by the tests of a module."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from local_hub import HubProcess, HubUser
from support.api import Api, Journey, take_the_journey
from support.browser import BrowserLog, open_browser
from support.hubs import start_hub
from tiny import build_tiny_model

HERE = Path(__file__).parent
CONFIG = HERE / "jupyterhub_config.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests belong to the slow tier."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    base = build_tiny_model(tmp_path_factory.mktemp("tiny") / "base")
    hub = start_hub(tmp_path_factory.mktemp("e2e") / "state", base, CONFIG)
    try:
        yield hub
    finally:
        hub.stop()


@pytest.fixture(scope="module")
def demo_api(hub: HubProcess) -> Api:
    return Api.of(HubUser(hub, "demo"))


@pytest.fixture(scope="module")
def journey(demo_api: Api) -> Journey:
    """Demo's dataset, version, job and adapter."""
    return take_the_journey(demo_api, "soap")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Page, BrowserLog]]:
    with open_browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened
