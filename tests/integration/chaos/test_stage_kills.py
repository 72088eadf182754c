"""A worker killed in the middle of any stage costs its job nothing: same curve, same weights.

Everything is real, from submit to adapter: a judge is trained, and another job learns by it from
where a third one ended.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import psutil
import pytest
import sqlalchemy as sa

from adaptery_hub.database import tables
from support.agent_side.workers import workers_of
from support.api import Api, make_version, wait_for_job
from support.chaos import stage as deployment_stage
from support.deployment import BASE, Deployment, token_of
from support.judgements import chats, judged, preferences
from support.waiting import eventually_sync
from tiny import build_tiny_model

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

RECORDS = {
    "pt": chats, "sft": chats, "rm": preferences, "dpo": preferences, "kto": judged, "grpo": chats,
}  # fmt: skip
PATIENCE = 300
#: A step of `grpo` writes answers first.
STEPS = {"grpo": 40}
OPTIONS: dict[str, Any] = {
    "precision_type": "fp32",
    "lora_dropout": 0.2,
    "learning_rate": 0.003,
    "per_device_train_batch_size": 3,
    "gradient_accumulation_steps": 1,
    "cutoff_len": 256,
    "logging_steps": 1,
}
OF_GRPO = {
    "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 2,
    "num_generations": 4,
    "max_new_tokens": 8,
}


@dataclass
class Bench:
    """A deployment, somebody with datasets of each kind, and the unkilled job of each stage."""

    parts: Deployment
    api: Api
    versions: dict[Any, str] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)

    def submit(self, stage: str, name: str, **changed: Any) -> str:
        steps = STEPS.get(stage, 200)
        options = {**OPTIONS, "max_steps": steps, "save_steps": steps // 10}
        body: dict[str, Any] = {"task": stage, "name": name, "dataset": self._version(stage)}
        if stage == "grpo":
            options |= OF_GRPO
            body |= {"reward": self.straight("rm")["adapter"]}
            body |= {"start_from": self.straight("sft")["adapter"]}
        body["options"] = {**options, **changed}
        return self.api.json("POST", "api/jobs", 201, json=body)["id"]

    def straight(self, stage: str) -> dict[str, Any]:
        """The job of a stage that nobody kills."""
        if stage not in self.jobs:
            self.jobs[stage] = wait_for_job(
                self.api, self.submit(stage, stage), timeout_seconds=PATIENCE
            )
        return self.jobs[stage]

    def kill_worker(self, job: str) -> None:
        """Kill it once the service has a checkpoint."""

        def has_checkpoint() -> bool:
            return bool(self.api.json("GET", f"api/jobs/{job}/checkpoints")["items"])

        eventually_sync(has_checkpoint, timeout_seconds=PATIENCE, slowest_seconds=0.05)
        running = sa.select(tables.attempts.c.id).where(
            tables.attempts.c.job_id == job, tables.attempts.c.outcome.is_(None)
        )
        for process in workers_of(str(self._value(running))):
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def curve(self, job: str) -> list[dict[str, Any]]:
        """The numbers of each step as they were told; but for its speed, which is of the day."""
        page = self.api.json("GET", f"api/jobs/{job}/metrics", params={"limit": 500})
        assert not page["has_more"]
        told = [event["data"] for event in page["items"]]
        return [{k: v for k, v in event.items() if k != "tokens_per_second"} for event in told]

    def weights(self, job: dict[str, Any]) -> str:
        adapter = tables.adapters.c.id == job["adapter_id"]
        return self._value(sa.select(tables.adapters.c.weight_digest).where(adapter))

    def _version(self, stage: str) -> str:
        make = RECORDS[stage]
        if make not in self.versions:
            lines = "\n".join(json.dumps(record) for record in make()).encode()
            self.versions[make] = make_version(self.api, make.__name__, lines)[1]["name"]
        return self.versions[make]

    def _value(self, query: sa.Select[Any]) -> Any:
        database = self.parts.database()
        try:
            with database.engine.connect() as connection:
                return connection.execute(query).scalar_one()
        finally:
            database.close()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    root = tmp_path_factory.mktemp("stages")
    bases = {BASE: str(build_tiny_model(root / "base"))}
    convert = (sys.executable, "-P", "-m", "adaptery_inference", "convert")
    (root / "stage").mkdir()
    with (
        deployment_stage(
            root / "stage",
            agents=1,
            options={"base_models": bases, "default_base_model": BASE},
            base_models=bases,
            convert_command=convert,
            worker_threads=1,
        ) as parts,
        Api(parts.url, token_of("anna")) as api,
    ):
        yield Bench(parts, api)


@pytest.mark.parametrize("stage", RECORDS)
def test_a_worker_killed_in_the_middle_costs_nothing(bench: Bench, stage: str) -> None:
    straight = bench.straight(stage)
    job = bench.submit(stage, f"{stage}-killed")
    bench.kill_worker(job)
    killed = wait_for_job(bench.api, job, timeout_seconds=PATIENCE)
    attempts = bench.api.json("GET", f"api/jobs/{job}/statistics")["attempts"]
    assert [attempt["outcome"] for attempt in attempts] == ["lost", "completed"]
    curve = bench.curve(job)
    steps = [told["step"] for told in curve]
    whole = STEPS.get(stage, 200)
    back = [before + 1 - after for before, after in pairwise(steps)]
    assert max(steps) == whole and all(0 <= step < whole // 10 for step in back)
    assert {told["step"]: told for told in curve} == {
        told["step"]: told for told in bench.curve(straight["id"])
    }
    assert bench.weights(killed) == bench.weights(straight)


def test_a_judge_teaches_from_where_another_job_ended(bench: Bench) -> None:
    job = bench.submit("grpo", "taught", max_steps=4, lora_dropout=0)
    job = wait_for_job(bench.api, job, timeout_seconds=PATIENCE)
    assert job["start_from"] == bench.straight("sft")["adapter"]
    assert job["reward"] == bench.straight("rm")["adapter"]
    first, *_, last = bench.curve(job["id"])
    assert first["kl"] == 0  # what it went on from is what it is held against
    assert last["kl"] > 0 and "reward" in last
    assert bench.weights(job) != bench.weights(bench.straight("sft"))
