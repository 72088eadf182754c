"""Parts killed at random, over and over: every job completes exactly once."""

import os
from pathlib import Path

import pytest

from support.agent_side import program
from support.chaos import Chaos, Plan
from support.deployment import Deployment, deployment

SEED = int(os.environ.get("SEED", "1"))
OPTIONS = {"lease_seconds": 15.0, "max_attempts": 50}


def cause(parts: Deployment, plan: Plan) -> None:
    chaos = Chaos(parts, plan)
    try:
        chaos.run()
        assert chaos.problems() == [], chaos.summary()
    finally:
        chaos.close()


@pytest.mark.timeout(180)
def test_fifteen_kills_cost_no_job(tmp_path: Path) -> None:
    # A worker without torch, so that kills cost moments.
    agent = {"worker_command": program("carded_worker"), "worker_grace_seconds": 5}
    with deployment(
        tmp_path, agents=2, behaviour="steady", options=OPTIONS, agent_options=agent
    ) as parts:
        cause(parts, Plan(kills=15, seed=SEED))
