"""Each shipped task, submitted as its form first stands, is a job that a worker can do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from adaptery.schemas.spec import InputSpec, JobSpec
from adaptery_hub.tasks import TaskCatalog, freeze_spec
from support.judgements import judged, preferences
from support.training_runs import DIGEST, train
from tiny import tiny_records

LEARNT = InputSpec(version="dv_01hzzzzzzzzzzzzzzzzzzzzzzz", content_digest=DIGEST)
RECORDS: dict[str, Callable[[], list[dict]]] = {
    "pt": tiny_records,
    "sft": tiny_records,
    "rm": preferences,
    "dpo": preferences,
    "kto": judged,
}


# trl asks transformers 5.23 by the old name; a worker is quiet about it.
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
@pytest.mark.slow
@pytest.mark.parametrize("name", ["training-v0", *RECORDS])
def test_the_defaults_of_a_task_train(base: Path, tmp_path: Path, name: str) -> None:
    catalog = TaskCatalog.load()
    task = catalog.get(name)
    frozen = freeze_spec(task, catalog.check_options(name, {"max_steps": 2}), [LEARNT])
    spec = JobSpec.model_validate(
        {
            **frozen,
            "job": "jb_01hzzzzzzzzzzzzzzzzzzzzzzz",
            "attempt": "at_01hzzzzzzzzzzzzzzzzzzzzzzz",
            "fencing_token": 1,
            "base_model": {"name": "tests/tiny", "weight_digest": DIGEST},
        }
    )
    run = train(base, tmp_path, spec, records=RECORDS[task.stage]())
    assert run.outcome.finished and sorted(run.losses) == [1, 2]
