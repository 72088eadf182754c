"""What goes wrong for good fails a job with a reason that its owner can act on.

Everything is real, down to the worker that trains the tiny model.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from adaptery_network.agent.folders import model_slug
from support.api import Api, alpaca, make_version, wait_for_job
from support.chaos import stage
from support.deployment import BASE, Deployment, token_of
from support.waiting import eventually_sync
from tiny import build_tiny_model

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

TASK = """
title: {name}
description: Fails.
stage: sft
queue: training
options:
  max_steps: {{ into: optim.max_steps, title: Steps, description: How many., default: 20 }}
limits: {limits}
fixed:
  optim: {{ cutoff_len: 256, save_steps: 2 }}
"""
TASKS = {
    "small-disk": "{ disk_bytes: 20000 }",
    "small-memory": "{ memory_bytes: 300000000 }",
    "sound": "{}",
}
BROKEN = "tiny/broken"


@dataclass
class Bench:
    """A deployment with one agent, and somebody with a version to train on."""

    parts: Deployment
    api: Api
    version: dict

    def submit(self, task: str, **more: object) -> str:
        body = {
            "task": task,
            "name": task,
            "base_model": BASE,
            "dataset": self.version["name"],
            **more,
        }
        return self.api.json("POST", "api/jobs", 201, json=body)["id"]

    def failure(self, job: str) -> str:
        def over() -> dict | None:
            found = self.api.json("GET", f"api/jobs/{job}")
            return found if found["state"] in ("completed", "failed", "cancelled") else None

        found = eventually_sync(over, timeout_seconds=120, every_seconds=0.2)
        assert found["state"] == "failed", found
        return found["reason"]


def break_weights(base: Path) -> Path:
    """Make a model compute what is no number."""
    path = base / "model.safetensors"
    weights = load_file(path)
    weights["model.norm.weight"][0] = float("nan")
    save_file(weights, path, {"format": "pt"})
    return base


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    root = tmp_path_factory.mktemp("failures")
    tasks = root / "tasks"
    tasks.mkdir()
    for name, limits in TASKS.items():
        (tasks / f"{name}.yaml").write_text(TASK.format(name=name, limits=limits))
    bases = {
        BASE: str(build_tiny_model(root / "base")),
        BROKEN: str(break_weights(build_tiny_model(root / "broken", seed=1))),
    }
    convert = (sys.executable, "-P", "-m", "adaptery_inference", "convert")
    (root / "stage").mkdir()
    with (
        stage(
            root / "stage",
            agents=1,
            options={"tasks_dir": str(tasks), "base_models": bases},
            base_models=bases,
            convert_command=convert,
        ) as parts,
        Api(parts.url, token_of("anna")) as api,
    ):
        yield Bench(parts, api, make_version(api, "notes", alpaca(8))[1])


def test_a_full_disk(bench: Bench) -> None:
    reason = bench.failure(bench.submit("small-disk"))
    assert "bytes of disk" in reason
    assert "save less often" in reason


def test_too_little_memory(bench: Bench) -> None:
    reason = bench.failure(bench.submit("small-memory"))
    assert "memory" in reason
    assert "lower the batch size" in reason or "ask an admin" in reason


def test_a_loss_that_is_no_number(bench: Bench) -> None:
    reason = bench.failure(bench.submit("sound", base_model=BROKEN))
    assert "no number" in reason or "not a number" in reason
    assert "learning rate" in reason


def test_a_version_that_is_withdrawn_while_its_job_waits(bench: Bench) -> None:
    _, version = make_version(bench.api, "regretted", alpaca(8, "rash"))
    bench.parts.stop("agent0")
    job = bench.submit("sound", dataset=version["name"])
    bench.api.json("POST", f"api/versions/{version['id']}/withdraw", json={"reason": "consent"})
    reason = bench.failure(job)
    bench.parts.start_agent(0)
    assert "regretted@1 is withdrawn" in reason
    assert "submit again with another version" in reason


def test_a_base_model_that_cannot_be_read(bench: Bench) -> None:
    ready = bench.submit("sound")
    wait_for_job(bench.api, ready)
    (weights,) = bench.parts.root.glob(f"agent0/models/{model_slug(BASE)}/model.safetensors")
    whole = weights.read_bytes()
    try:
        weights.chmod(0o600)
        weights.write_bytes(whole[: len(whole) // 2])
        reason = bench.failure(bench.submit("sound"))
    finally:
        weights.write_bytes(whole)
    assert BASE in reason
    assert "ask an administrator" in reason
