"""Disks full to the last byte: jobs fail with the reason or wait, and all goes on with room.

Each is a small one of its own: where workers work, where the agent keeps adapters, and where the
service keeps everything.
"""

import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from adaptery.adapter_folders import AdapterInfo, inspect_adapter
from support.api import Api, alpaca, make_version, wait_for_job
from support.chaos import stage
from support.deployment import BASE, Deployment, token_of
from support.waiting import eventually_sync
from tiny import build_tiny_model

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk"),
]

PATIENCE = 240
DISKS = {"agent0/attempts": 64, "agent0/adapters": 4, "hub": 64}  # MiB


@contextmanager
def small_disk(place: Path, mebibytes: int) -> Iterator[None]:
    place.mkdir(parents=True, mode=0o700)
    options = f"size={mebibytes}m,mode=0700"
    mount = ("mount", "-t", "tmpfs", "-o", options, "adaptery-test", str(place))
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("nothing can be mounted here")
    try:
        yield
    finally:
        subprocess.run(("umount", "--lazy", str(place)), check=True)


@contextmanager
def filled(place: Path) -> Iterator[None]:
    """Take all the room there is, and what becomes free meanwhile is not ours."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as stream, suppress(OSError):
        while stream.write(bytes(4096)):
            pass
    try:
        yield
    finally:
        filler.unlink()


@dataclass
class Bench:
    """A deployment, and somebody with a version to train on."""

    parts: Deployment
    api: Api
    version: str

    def submit(self, name: str, steps: int) -> str:
        options = {"max_steps": steps, "save_steps": steps}
        body = {"task": "training-v0", "name": name, "dataset": self.version, "options": options}
        return self.api.json("POST", "api/jobs", 201, json=body)["id"]

    def step(self, job: str) -> int:
        return self.api.json("GET", f"api/jobs/{job}")["step"] or 0

    def chat(self, model: str) -> httpx.Response:
        body = {"model": model, "messages": [{"role": "user", "content": "plain"}]}
        return self.api.post("v1/chat/completions", json=body)

    def download(self, job: dict[str, Any], into: Path) -> AdapterInfo:
        answer = self.api.get(f"api/adapters/{job['adapter_id']}/download")
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            archive.extractall(into)
        return inspect_adapter(next(into.rglob("adapter_config.json")).parent)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    root = tmp_path_factory.mktemp("disks")
    bases = {BASE: str(build_tiny_model(root / "base"))}
    convert = (sys.executable, "-P", "-m", "adaptery_inference", "convert")
    with ExitStack() as stack:
        for name, mebibytes in DISKS.items():
            stack.enter_context(small_disk(root / name, mebibytes))
        parts = stack.enter_context(
            stage(
                root,
                agents=1,
                options={"base_models": bases, "default_base_model": BASE},
                base_models=bases,
                convert_command=convert,
            )
        )
        api = stack.enter_context(Api(parts.url, token_of("anna")))
        version = make_version(api, "notes", alpaca(8))[1]["name"]
        bench = Bench(parts, api, version)
        wait_for_job(api, bench.submit("first", 4), timeout_seconds=PATIENCE)  # the agent is ready
        yield bench


def test_no_room_for_what_a_worker_writes(bench: Bench) -> None:
    job = bench.submit("cramped", 100_000)
    eventually_sync(lambda: bench.step(job) > 0, timeout_seconds=PATIENCE)
    with filled(bench.parts.root / "agent0/attempts"):
        ended = wait_for_job(bench.api, job, "failed", PATIENCE)
    assert "agent's disk is full" in ended["reason"] and "make room" in ended["reason"]


def test_no_room_to_begin_with(bench: Bench) -> None:
    attempts = bench.parts.root / "agent0/attempts"
    with filled(attempts):
        job = bench.submit("early", 4)

        def refused() -> bool:
            return "did not take it" in (bench.api.json("GET", f"api/jobs/{job}")["reason"] or "")

        eventually_sync(refused, timeout_seconds=PATIENCE)
        assert [path.name for path in attempts.iterdir()] == ["filler"]
    wait_for_job(bench.api, job, timeout_seconds=PATIENCE)


def test_no_room_for_adapters_at_the_agent(bench: Bench) -> None:
    adapters = bench.parts.root / "agent0/adapters"
    before = set(adapters.iterdir())
    with filled(adapters):
        # Of other steps than jobs before: an adapter of the same weights is here already.
        wait_for_job(bench.api, bench.submit("uncached", 5), timeout_seconds=PATIENCE)
        answer = bench.chat("uncached")
        assert answer.status_code == 503, answer.text
        assert set(adapters.iterdir()) == {*before, adapters / "filler"}
        assert not list((adapters / ".staging").iterdir())
    eventually_sync(lambda: bench.chat("uncached").status_code == 200)


def test_no_room_at_the_service(bench: Bench, tmp_path: Path) -> None:
    job = bench.submit("patient", 150)
    eventually_sync(lambda: bench.step(job) > 0, timeout_seconds=PATIENCE)
    with filled(bench.parts.state):
        eventually_sync(
            lambda: "waits for the service" in bench.parts.log("agent0"), timeout_seconds=PATIENCE
        )
        refused = bench.api.post("api/datasets", json={"name": "later"})
        assert refused.status_code == 503 and "room" in refused.json()["hint"]
        assert bench.api.json("GET", f"api/jobs/{job}")["state"] == "training"
        assert bench.chat("first").status_code == 200
    ended = wait_for_job(bench.api, job, timeout_seconds=PATIENCE)
    assert bench.download(ended, tmp_path).kind == "chat"  # it is whole
    assert bench.parts.processes["service"].poll() is None
    assert bench.parts.processes["agent0"].poll() is None
    wait_for_job(bench.api, bench.submit("after", 4), timeout_seconds=PATIENCE)
