"""What workers say that they can, in the environment that an agent gives them."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from adaptery_network.agent.abilities import read_abilities
from adaptery_network.agent.processes import clean_environment

pytestmark = pytest.mark.gpu


def said(folder: Path, **environment: str) -> frozenset[str] | None:
    done = subprocess.run(
        [sys.executable, "-m", "adaptery_training", "--abilities"],
        cwd=folder,
        env=clean_environment(folder, 1, {"PYTHONPATH": os.pathsep.join(sys.path), **environment}),
        capture_output=True,
        check=True,
    )
    return read_abilities(done.stdout)


def test_a_worker_finds_the_card_and_what_was_built_for_it(tmp_path: Path) -> None:
    packages = {"flash": "flash_attn", "8bit": "bitsandbytes", "4bit": "bitsandbytes"}
    there = {name for name, package in packages.items() if find_spec(package) is not None}
    assert said(tmp_path) == {"fp16", *there}


def test_a_card_that_workers_may_not_see_is_none(tmp_path: Path) -> None:
    found = said(tmp_path, CUDA_VISIBLE_DEVICES="")
    assert found is not None and not found & {"fp16", "flash"}
