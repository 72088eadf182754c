"""Everything here runs on a CUDA device, and is skipped where there is none.

`make test-gpu` runs it. The truth is what transformers and PEFT compute on the processor in fp32.
"""

import multiprocessing
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import engine_fixtures
from support.work_folders import Bench

base = engine_fixtures.base
adapters = engine_fixtures.adapters
reference = engine_fixtures.reference


@pytest.fixture(scope="session", autouse=True)
def _card() -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device here")


@pytest.fixture
def build(base: Path, tmp_path: Path) -> Iterator[Callable]:
    """Build an engine on the card, in fp32; what it held is given back afterwards."""
    import torch

    from adaptery_inference.build import BuiltEngine, build_engine
    from adaptery_inference.config import ServeConfig

    def make(**options: object) -> BuiltEngine:
        fixed = {"token_file": tmp_path / "token", "memory_mib": 64, "device": "cuda"}
        return build_engine(ServeConfig(**{"model": base, **fixed, **options}))

    yield make
    torch.cuda.empty_cache()


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Bench:
    """Workers are spawned: a process that has touched the card cannot be forked."""
    root = tmp_path_factory.mktemp("attempts")
    return Bench(root, base, multiprocessing.get_context("spawn"))
