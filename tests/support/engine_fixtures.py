"""Fixtures of tests of the engine: a tiny base model, adapters on it, and what PEFT computes.

A conftest takes them by giving them their names.
"""

from pathlib import Path

import pytest

from support.engine import Reference, build_adapters, named
from tiny import build_tiny_model

__all__ = ["adapters", "base", "reference"]


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return named(build_tiny_model(tmp_path_factory.mktemp("base")))


@pytest.fixture(scope="session")
def adapters(base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return build_adapters(tmp_path_factory.mktemp("adapters"), base)


@pytest.fixture(scope="session")
def reference(base: Path, adapters: dict[str, Path]) -> Reference:
    return Reference(base, adapters)
