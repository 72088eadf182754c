"""Parts killed, each of them or at random over and over: every job completes exactly once.

`make chaos KILLS=200 SEED=1` runs the long form alone; in `make test-all` it is shorter.
"""

import os
import sys
from pathlib import Path

import pytest

from support.agent_side import program
from support.chaos import Chaos, Plan, random_kills, stage
from support.deployment import BASE, Deployment
from tiny import build_tiny_model

KILLS = int(os.environ.get("KILLS", "50"))
SEED = int(os.environ.get("SEED", "1"))


def cause(parts: Deployment, plan: Plan) -> None:
    chaos = Chaos(parts, plan)
    try:
        chaos.run()
        assert chaos.problems() == [], chaos.summary()
    finally:
        chaos.close()


@pytest.mark.timeout(180)
def test_fifteen_kills_cost_no_job(tmp_path: Path) -> None:
    each = ("worker", "agent0", "service", "broker", "agent1")
    # A worker without torch, so that kills cost moments.
    with stage(tmp_path, worker_command=program("carded_worker")) as parts:
        cause(parts, Plan(kills=(*each, *random_kills(15 - len(each), SEED))))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_kills_cost_no_job_that_really_trains(tmp_path: Path) -> None:
    base = build_tiny_model(tmp_path / "base")
    convert = (sys.executable, "-P", "-m", "adaptery_inference", "convert")
    with stage(tmp_path, base_models={BASE: str(base)}, convert_command=convert) as parts:
        plan = Plan(
            kills=random_kills(KILLS, SEED),
            seed=SEED,
            steps=150,
            save_steps=15,
            pause_seconds=(0.2, 4.0),
            patience_seconds=600,
        )
        cause(parts, plan)
