"""Tiny models and adapters, built once, and an engine over them."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest
import torch

from adaptery_inference.build import BuiltEngine, build_engine
from adaptery_inference.config import ServeConfig
from support import engine_fixtures
from support.engine import TinyEngine, named
from support.engine_server import serving
from tiny import build_tiny_model

base = engine_fixtures.base
adapters = engine_fixtures.adapters
reference = engine_fixtures.reference


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def build(base: Path, tmp_path: Path) -> Callable[..., BuiltEngine]:
    """Build an engine in fp32 on one thread, with other options where wanted."""

    def make(**options: object) -> BuiltEngine:
        fixed = {"token_file": tmp_path / "token", "threads": 1, "memory_mib": 8}
        return build_engine(ServeConfig(**{"model": base, **fixed, **options}))

    return make


@pytest.fixture
def tiny_engine(build: Callable[..., BuiltEngine], adapters: dict[str, Path]) -> TinyEngine:
    return TinyEngine(build(), adapters)


@pytest.fixture
async def client(build: Callable[..., BuiltEngine]) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(build()) as client:
        yield client


@pytest.fixture(scope="session")
def roomy_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base model with room for tools: it has a token for each byte."""
    return named(build_tiny_model(tmp_path_factory.mktemp("roomy"), context_tokens=2048))


@pytest.fixture
async def roomy(
    build: Callable[..., BuiltEngine], roomy_base: Path
) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(build(model=roomy_base)) as client:
        yield client
