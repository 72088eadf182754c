"""A Hub that was killed with -9 leaves nothing behind, and starts again as it is."""

import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from local_hub import HubProcess
from support.hubs import start_hub
from support.waiting import eventually_sync

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]


@pytest.fixture
def own_hub(tmp_path: Path, tiny_base: Path) -> Iterator[HubProcess]:
    hub = start_hub(tmp_path / "state", tiny_base)
    yield hub
    hub.stop()


def kill(hub: HubProcess, *others: psutil.Process) -> None:
    assert hub.process is not None
    hub.process.kill()
    for process in others:
        process.send_signal(signal.SIGKILL)
    hub.process.wait()


def left(hub: HubProcess) -> list[list[str]]:
    """Return the command lines that name the Hub's folder."""
    lines = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    return [line for line in lines if any(str(hub.state) in word for word in line)]


def test_nothing_outlives_a_killed_hub_and_it_starts_again(own_hub: HubProcess) -> None:
    eventually_sync(lambda: own_hub.find("traefik"), timeout_seconds=10)
    eventually_sync(lambda: own_hub.find("agent", "run"), timeout_seconds=60)
    kill(own_hub)
    eventually_sync(lambda: not left(own_hub), timeout_seconds=60, every_seconds=0.2)
    own_hub.start()


def test_a_hub_starts_again_right_after_it_and_all_its_children_were_killed(
    own_hub: HubProcess,
) -> None:
    kill(own_hub, *own_hub.descendants())
    own_hub.start()
    assert own_hub.find("traefik")
