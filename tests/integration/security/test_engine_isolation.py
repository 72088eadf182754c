"""One tenant's adapter must not change, break or slow what another tenant's row computes."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from adaptery.base_models import BaseModelInfo, weight_digest, write_base_model
from adaptery.errors import InvalidInputError
from adaptery_inference.build import BuiltEngine, build_engine
from adaptery_inference.config import ServeConfig
from adaptery_inference.engine import Prompt, SamplingParams
from support.engine import TinyEngine
from tiny import build_tiny_adapter, build_tiny_model

PROMPT = list(b"Tell me ")  # below the length from which a chunk has matrices of its own
HUGE = 3e38  # finite in fp32; times almost anything it is not


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = build_tiny_model(tmp_path_factory.mktemp("base"))
    info = BaseModelInfo(name="tiny/base", weight_digest=weight_digest(folder), source="built")
    write_base_model(folder, info)
    return folder


@pytest.fixture
def change(base: Path, tmp_path: Path) -> Callable[..., Path]:
    """Build an adapter and change its matrices or its config."""

    def make(name: str, side: str = "", value: float = 0.0, **config: object) -> Path:
        folder = build_tiny_adapter(tmp_path / name, base, 4, 1)
        path = folder / "adapter_model.safetensors"
        tensors = load_file(path)
        for key, tensor in tensors.items():
            if side and f"lora_{side}" in key:
                tensor.fill_(value)
        save_file(tensors, path, {"format": "pt"})
        settings = folder / "adapter_config.json"
        settings.write_text(json.dumps(json.loads(settings.read_text()) | config))
        return folder

    return make


@pytest.fixture
def engine(base: Path, tmp_path: Path) -> TinyEngine:
    built: BuiltEngine = build_engine(
        ServeConfig(model=base, token_file=tmp_path / "token", threads=1, memory_mib=8)
    )
    return TinyEngine(built, {})


def alone(engine: TinyEngine, row: str) -> list[int]:
    engine.add(row, PROMPT, None, 12)
    engine.finish()
    return engine.answer(row)


def test_weights_that_overflow_change_no_other_row_of_the_pass(
    engine: TinyEngine, change: Callable[..., Path]
) -> None:
    expected = alone(engine, "before")
    engine.register("bad", change("bad", "A", HUGE))
    engine.register("good", change("good"))
    engine.add("good", PROMPT, "good", 12)
    engine.add("bad", PROMPT, "bad", 12)
    engine.add("victim", PROMPT, None, 12)
    engine.finish()
    assert engine.answer("victim") == expected
    assert alone(engine, "after") == expected  # nothing of it stays in the cache


def test_an_adapter_whose_scaling_overflows_is_refused(
    engine: TinyEngine, change: Callable[..., Path]
) -> None:
    with pytest.raises(InvalidInputError, match="finite"):
        engine.register("bad", change("bad", lora_alpha=1e42))


def test_a_row_without_finite_numbers_ends_alone(
    engine: TinyEngine, change: Callable[..., Path]
) -> None:
    engine.register("bad", change("bad", "A", HUGE))
    sampled = SamplingParams(max_tokens=4, temperature=1.0, seed=3, ignore_eos=True)
    store = engine.built.engine
    store.add([Prompt(PROMPT, {"victim": sampled})])
    store.add([Prompt(PROMPT, {"bad": sampled})], store.adapters.find("bad"))
    outputs = []
    while store.has_work:
        outputs += store.step(lambda adapter: None).outputs
    ends = {output.sequence_id: output for output in outputs if output.is_last}
    assert isinstance(ends["bad"].error, InvalidInputError)
    assert ends["victim"].error is None and ends["victim"].finish_reason is not None


def test_freed_blocks_keep_nothing_for_the_next_row(engine: TinyEngine) -> None:
    cache = engine.built.runner._cache
    cache._data.fill_(float("nan"))
    cache.forget(range(cache._data.shape[0]))
    assert not cache._data.isnan().any()


def test_a_pattern_of_an_adapter_cannot_hold_up_the_engine(
    engine: TinyEngine, change: Callable[..., Path]
) -> None:
    folder = change("slow", alpha_pattern={r"([a-z_.0-9]+)+!": 4})
    started = time.monotonic()
    with pytest.raises(InvalidInputError, match="pattern"):
        engine.register("slow", folder)
    assert time.monotonic() - started < 2
