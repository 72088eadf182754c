"""Rows come and go in the middle; answers stay what PEFT says."""

from collections.abc import Callable
from pathlib import Path

import pytest

from adaptery.errors import IntegrityError
from adaptery_inference.build import BuiltEngine
from adaptery_inference.engine import Prompt, SamplingParams
from support.engine import Reference, TinyEngine, check_rows_that_join_and_leave
from tiny import build_tiny_adapter

PROMPT = list(b"Tell me about the sky. ")


@pytest.fixture
def loaded(tiny_engine: TinyEngine) -> TinyEngine:
    for name in tiny_engine.folders:
        tiny_engine.register(name)
    return tiny_engine


def test_rows_that_join_and_leave_answer_as_if_alone(
    loaded: TinyEngine, reference: Reference
) -> None:
    check_rows_that_join_and_leave(loaded, reference, PROMPT)


def test_three_adapters_share_every_forward_pass(loaded: TinyEngine) -> None:
    for name in loaded.folders:
        loaded.add(name, PROMPT, name, 10)
    before = loaded.built.runner.forward_passes
    loaded.finish()
    assert loaded.built.runner.forward_passes - before == 10
    assert len({tuple(loaded.answer(name)) for name in loaded.folders}) == 3


def test_a_prompt_in_chunks_answers_as_if_whole(
    build: Callable[..., BuiltEngine], adapters: dict[str, Path], reference: Reference
) -> None:
    engine = TinyEngine(build(max_batch_tokens=20), adapters)
    engine.register("part")
    engine.add("decoding", PROMPT[:4], None, 20)
    engine.step()
    engine.add("chunked", PROMPT * 4, "part", 8)
    engine.finish()
    assert engine.answer("chunked") == reference.greedy(PROMPT * 4, 8, "part")
    assert engine.answer("decoding") == reference.greedy(PROMPT[:4], 20)


def test_a_preempted_row_answers_the_same(
    build: Callable[..., BuiltEngine], adapters: dict[str, Path], reference: Reference
) -> None:
    engine = TinyEngine(build(memory_mib=1), adapters)
    blocks = engine.built.engine.scheduler.blocks
    held = blocks.allocate(blocks.free_blocks - 5)  # somebody else's; five blocks of 16 are left
    assert held is not None
    engine.add("old", PROMPT, None, 30)
    engine.add("young", PROMPT, None, 30)
    engine.finish()
    computed = engine.built.runner.forward_passes
    assert computed > 31  # not all of it side by side
    assert engine.answer("old") == engine.answer("young") == reference.greedy(PROMPT, 30)
    blocks.release(held)


def test_an_evicted_adapter_comes_back_from_disk(
    build: Callable[..., BuiltEngine], adapters: dict[str, Path], reference: Reference
) -> None:
    engine = TinyEngine(build(memory_mib=1), adapters)
    store = engine.built.engine.adapters
    found = {name: engine.register(name) for name in adapters}
    store.evict_idle(store.budget.total_bytes)
    assert not any(store.is_resident(adapter) for adapter in found.values())
    for name in adapters:
        engine.add(name, PROMPT, name, 6)
    engine.finish()
    for name in adapters:
        assert engine.answer(name) == reference.greedy(PROMPT, 6, name)
        assert store.is_resident(found[name])


def test_a_folder_that_changed_after_loading_is_not_used(
    loaded: TinyEngine, base: Path, tmp_path: Path
) -> None:
    folder = build_tiny_adapter(tmp_path / "mine", base, 4, 5)
    adapter = loaded.register("mine", folder)
    build_tiny_adapter(folder, base, 4, 6)
    with pytest.raises(IntegrityError, match="changed"):
        loaded.built.reader.read(adapter)


def test_a_name_loaded_again_serves_new_weights_to_new_rows_only(
    loaded: TinyEngine, adapters: dict[str, Path], reference: Reference
) -> None:
    loaded.register("mine", adapters["plain"])
    loaded.add("old", PROMPT, "mine", 16)
    for _ in range(5):
        loaded.step()
    loaded.register("mine", adapters["part"])
    loaded.add("new", PROMPT, "mine", 16)
    loaded.finish()
    assert loaded.answer("old") == reference.greedy(PROMPT, 16, "plain")
    assert loaded.answer("new") == reference.greedy(PROMPT, 16, "part")


def test_a_name_unloaded_while_it_answers_is_finished(
    loaded: TinyEngine, reference: Reference
) -> None:
    loaded.add("row", PROMPT, "plain", 12)
    loaded.step()
    loaded.built.engine.unregister("plain")
    loaded.finish()
    assert loaded.answer("row") == reference.greedy(PROMPT, 12, "plain")
    assert loaded.built.engine.adapters.find("plain") is None


@pytest.mark.parametrize("adapter", [None, "part"])
@pytest.mark.parametrize("length", [1, 16, 17, 60])
def test_several_answers_to_one_prompt_are_each_what_peft_says(
    adapter: str | None, length: int, loaded: TinyEngine, reference: Reference
) -> None:
    engine, tokens = loaded.built.engine, (PROMPT * 3)[:length]
    params = SamplingParams(max_tokens=8, temperature=0, ignore_eos=True)
    chosen = engine.adapters.find(adapter) if adapter else None
    engine.add([Prompt(tokens, dict.fromkeys("abc", params))], chosen)
    loaded.rows.update({row.id: row for row in engine.scheduler.waiting})
    before = loaded.built.runner.forward_passes
    loaded.finish()
    assert loaded.built.runner.forward_passes - before == 9  # the first row is one step ahead
    wanted = reference.greedy(tokens, 8, adapter)
    assert [loaded.answer(row) for row in "abc"] == [wanted] * 3
