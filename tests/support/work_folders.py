"""Work folders as an agent lays them out, and workers in processes of their own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from adaptery.base_models import weight_digest
from adaptery.ids import new_id
from adaptery.records import Record
from support.version_folders import write_version
from tiny import tiny_records

WORKER_SECONDS = 120


def run_worker(folder: str, base: str, output: str, environment: Mapping[str, str]) -> None:
    """Be a worker: what `python -m adaptery_training` does, in a process that was just made."""
    os.chdir(folder)
    # A tiny model gains nothing by a second thread.
    os.environ.update({"OMP_NUM_THREADS": "1", **environment})
    for number in (1, 2):
        os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), number)
    from adaptery_training.__main__ import main

    code = main(["--spec", "job.json", "--base-model", base])
    sys.stderr.flush()
    os._exit(code)


@dataclass
class WorkFolder:
    """One attempt, as the agent prepares it."""

    path: Path
    base: Path
    workers: BaseContext
    spec: dict = field(default_factory=dict)
    #: What the worker's environment has beside this process's.
    environment: dict[str, str] = field(default_factory=dict)

    def add_version(self, records: list[dict]) -> None:
        """Put a dataset version into `inputs/` and name it in the spec."""
        position = len(self.spec["inputs"])
        made = [Record.from_dict(record) for record in records]
        folder = self.path / "inputs" / str(position)
        self.spec["inputs"].append(write_version(folder, made))

    def start(self) -> BaseProcess:
        """Write the spec and start a worker."""
        (self.path / "job.json").write_text(json.dumps(self.spec))
        log = str(self.path / "worker.log")
        context: Any = self.workers  # of the kinds of contexts, only the base lacks the class
        worker = context.Process(
            target=run_worker, args=(str(self.path), str(self.base), log, self.environment)
        )
        worker.start()
        return worker

    def run(self) -> int:
        """Run a worker to its end and return its exit code."""
        worker = self.start()
        worker.join(WORKER_SECONDS)
        assert worker.exitcode is not None, "the worker hangs"
        return worker.exitcode

    @property
    def events(self) -> list[dict]:
        """All whole lines of the event file."""
        path = self.path / "events.jsonl"
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith(b"\n")]

    def of_kind(self, kind: str) -> list[dict]:
        return [event for event in self.events if event["kind"] == kind]

    @property
    def losses(self) -> dict[int, float]:
        return {event["step"]: event["loss"] for event in self.of_kind("metrics")}

    @property
    def log(self) -> str:
        path = self.path / "worker.log"
        return path.read_text() if path.exists() else ""


@dataclass
class Bench:
    """Makes work folders of one job."""

    root: Path
    base: Path
    workers: BaseContext
    job: str = field(default_factory=lambda: new_id("jb"))

    def attempt(
        self,
        records: list[dict] | None = None,
        *,
        base: Path | None = None,
        lora: Mapping[str, object] | None = None,
        stage: str = "sft",
        **optim: object,
    ) -> WorkFolder:
        base = base or self.base
        path = self.root / new_id("at")
        path.mkdir()
        spec = {
            "spec_version": 1,
            "job": self.job,
            "attempt": path.name,
            "fencing_token": 1,
            "stage": stage,
            "base_model": {"name": "tests/tiny", "weight_digest": weight_digest(base)},
            "inputs": [],
            "template": "model",
            "lora": {"rank": 4, "alpha": 8, **(lora or {})},
            "optim": {
                "learning_rate": 0.01,
                "batch_size": 4,
                "gradient_accumulation": 1,
                "max_steps": 6,
                "logging_steps": 1,
                "save_steps": 1000,
                "precision": "fp32",
                **optim,
            },
            "limits": {"wall_seconds": 600, "memory_bytes": 8 << 30, "disk_bytes": 1 << 30},
        }
        folder = WorkFolder(path, base, self.workers, spec)
        folder.add_version(tiny_records() if records is None else records)
        return folder

    def resume(self, earlier: WorkFolder, step: int) -> WorkFolder:
        """The next attempt of the same job, from a checkpoint of an earlier one."""
        path = self.root / new_id("at")
        path.mkdir()
        spec = json.loads(json.dumps(earlier.spec)) | {"attempt": path.name, "fencing_token": 2}
        saved = next(e for e in earlier.of_kind("checkpoint") if e["step"] == step)
        spec["resume_from"] = {"step": step, "digest": saved["digest"]}
        for name in ("inputs", "start", "reward"):
            if (earlier.path / name).exists():
                (earlier.path / name).rename(path / name)
        (earlier.path / saved["path"]).rename(path / "resume")
        return WorkFolder(path, earlier.base, self.workers, spec, earlier.environment)
