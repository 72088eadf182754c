"""What an earlier run left of the Hub's proxy is ended and removed; nobody else's is."""

import fcntl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from adaptery_hub.proxy import HubTraefikProxy, end, left_behind
from support.waiting import eventually

TRAEFIK = Path(sys.executable).with_name("traefik")


@contextmanager
def traefik(file: Path) -> Iterator[psutil.Process]:
    """Run a real traefik that listens on a port of its own choice."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('[entryPoints.web]\naddress = "127.0.0.1:0"\n')
    with subprocess.Popen([TRAEFIK, "--configfile", file]) as process:
        yield psutil.Process(process.pid)
        process.kill()


async def test_only_the_traefik_of_the_same_folder_is_ended(tmp_path: Path) -> None:
    file = tmp_path / "ours/traefik.toml"
    with traefik(file) as ours, traefik(tmp_path / "theirs/traefik.toml") as theirs:
        await eventually(lambda: left_behind(file))
        assert left_behind(file) == [ours]
        end(ours)
        assert not ours.is_running() and theirs.is_running()
        assert left_behind(file) == []


async def test_a_folder_in_which_another_hub_runs_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "traefik.toml"
    with traefik(file) as theirs, (tmp_path / "hub.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        proxy = HubTraefikProxy(static_config_file=str(file), should_start=True)
        with pytest.raises(RuntimeError, match="Another Hub"):
            await proxy.start()
        assert theirs.is_running() and file.exists()
