"""Workers that start fast.

A worker spends most of a tiny run importing torch, transformers and peft. So a fork server imports
them once, and each worker is forked from it: a process of its own, which can be killed.
"""

import multiprocessing
from collections.abc import Iterator
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest

from support.work_folders import Bench
from tiny import build_tiny_model


@pytest.fixture(scope="package")
def workers() -> Iterator[ForkServerContext]:
    """A fork server of their own: a process has one, which may be that of the service."""
    context = multiprocessing.get_context("forkserver")
    server: Any = forkserver._forkserver  # nothing public stops it, or tells what it has imported
    before = server._preload_modules
    server._stop()
    trl = [f"trl.trainer.{name}_trainer" for name in ("dpo", "grpo", "kto", "reward")]
    context.set_forkserver_preload(
        ["torch", "transformers.trainer", "peft", "pyarrow.parquet", *trl]
    )
    yield context
    server._stop()
    context.set_forkserver_preload(before)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="package")
def bench(
    tmp_path_factory: pytest.TempPathFactory, base: Path, workers: ForkServerContext
) -> Bench:
    return Bench(tmp_path_factory.mktemp("attempts"), base, workers)
