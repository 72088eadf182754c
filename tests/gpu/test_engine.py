"""The engine on a card answers as PEFT does on the processor, and gives back what it takes."""

import gc
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from adaptery.errors import InvalidInputError
from adaptery_inference.engine import Prompt, SamplingParams
from support.engine import (
    TOLERANCE,
    Reference,
    TinyEngine,
    check_rows_that_join_and_leave,
    json_grammar,
    named,
)
from tiny import FAMILIES, build_tiny_adapter, build_tiny_model

pytestmark = pytest.mark.gpu

PROMPT = list(b"Tell me about the sky. ")
SHORT, LONG = list(b"ab"), list(b"a prompt that is long enough to be a segment of its own " * 3)
GREEDY = SamplingParams(max_tokens=8, temperature=0, ignore_eos=True)


@pytest.fixture
def loaded(build: Callable, adapters: dict[str, Path]) -> TinyEngine:
    engine = TinyEngine(build(), adapters)
    for name in adapters:
        engine.register(name)
    return engine


def mixed(names: Sequence[str | None]) -> list[tuple[list[int], str | None]]:
    return [(prompt, name) for prompt in (SHORT, PROMPT, LONG) for name in names]


def test_rows_that_join_and_leave_answer_as_peft_does(
    loaded: TinyEngine, reference: Reference
) -> None:
    check_rows_that_join_and_leave(loaded, reference, PROMPT)


@pytest.mark.parametrize(("dtype", "near"), [("float32", TOLERANCE), ("bfloat16", 0.1)])
def test_logits_of_adapters_in_one_pass_are_near_those_of_peft(
    build: Callable, adapters: dict[str, Path], reference: Reference, dtype: str, near: float
) -> None:
    engine = TinyEngine(build(dtype=dtype), adapters)
    rows = mixed(["plain", None, "part", "patterns"])
    for found, (prompt, name) in zip(engine.logits(rows), rows, strict=True):
        wanted = reference.logits(prompt, name)
        assert (found.cpu() - wanted).norm() < near * wanted.norm()
    assert engine.built.runner.forward_passes == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_answers_as_transformers_does(
    build: Callable, tmp_path: Path, family: str
) -> None:
    folder = named(build_tiny_model(tmp_path / "model", family=family))
    engine, truth = TinyEngine(build(model=folder), {}), Reference(folder, {})
    engine.add("row", LONG, count=12)
    engine.finish()
    assert engine.answer("row") == truth.greedy(LONG, 12)


def test_a_prompt_in_chunks_and_a_preempted_row_answer_the_same(
    build: Callable, adapters: dict[str, Path], reference: Reference
) -> None:
    engine = TinyEngine(build(memory_mib=1, max_batch_tokens=20), adapters)
    engine.register("part")
    engine.add("chunked", PROMPT * 4, "part", 8)
    engine.finish()
    assert engine.answer("chunked") == reference.greedy(PROMPT * 4, 8, "part")
    blocks = engine.built.engine.scheduler.blocks
    held = blocks.allocate(blocks.free_blocks - 5)
    assert held is not None
    engine.add("old", PROMPT, None, 30)
    engine.add("young", PROMPT, None, 30)
    engine.finish()
    assert engine.answer("old") == engine.answer("young") == reference.greedy(PROMPT, 30)


def test_answers_to_one_prompt_share_what_was_computed_of_it(
    loaded: TinyEngine, reference: Reference
) -> None:
    engine = loaded.built.engine
    engine.add([Prompt(LONG, dict.fromkeys("abc", GREEDY))], engine.adapters.find("part"))
    loaded.rows.update({row.id: row for row in engine.scheduler.waiting})
    before = loaded.built.runner.forward_passes
    loaded.finish()
    assert loaded.built.runner.forward_passes - before == 9  # the first row is one step ahead
    wanted = reference.greedy(LONG, 8, "part")
    assert [loaded.answer(row) for row in "abc"] == [wanted] * 3


WAYS = {
    "warm": {"temperature": 0.8},
    "nucleus": {"temperature": 1.2, "top_p": 0.9},
    "few": {"top_k": 7, "min_p": 0.02},
    "penalties": {"repetition_penalty": 1.3, "frequency_penalty": 0.5, "presence_penalty": 0.4},
    "bias": {"logit_bias": {70: 4.0, 80: -100.0}, "temperature": 0},
    "logprobs": {"logprobs": 3, "temperature": 0},
}


def sampled(engine: TinyEngine) -> Mapping[str, list]:
    """The choices of all ways side by side."""
    for number, (way, options) in enumerate(WAYS.items()):
        params = SamplingParams(max_tokens=24, seed=number, ignore_eos=True, **options)
        engine.built.engine.add([Prompt(PROMPT, {way: params})], None)
    found: dict[str, list] = {way: [] for way in WAYS}
    while engine.built.engine.has_work:
        for output in engine.built.engine.step(lambda _: None).outputs:
            found[output.sequence_id].append(output.choice)
    return found


def test_tokens_are_drawn_as_on_the_processor(build: Callable) -> None:
    card, processor = (sampled(TinyEngine(build(device=name), {})) for name in ("cuda", "cpu"))
    for way in WAYS:
        assert [c.token for c in card[way]] == [c.token for c in processor[way]], way
    for ours, theirs in zip(card["logprobs"], processor["logprobs"], strict=True):
        assert ours.logprob == pytest.approx(theirs.logprob, abs=1e-3)
        assert [token for token, _ in ours.top] == [token for token, _ in theirs.top]


def test_an_answer_is_held_to_its_grammar(build: Callable) -> None:
    engine = TinyEngine(build(), {})
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 99}},
        "required": ["n"],
        "additionalProperties": False,
    }
    grammar = engine.built.grammars.compile(json_grammar(schema))
    params = SamplingParams(max_tokens=40, seed=3, grammar=grammar)
    engine.built.engine.add([Prompt(PROMPT, {"row": params})], None)
    text = ""
    while engine.built.engine.has_work:
        text += "".join(o.text for o in engine.built.engine.step(lambda _: None).outputs)
    assert 0 <= json.loads(text)["n"] <= 99


def test_a_broken_adapter_spoils_its_own_row_only(
    loaded: TinyEngine, reference: Reference, base: Path, tmp_path: Path
) -> None:
    folder = build_tiny_adapter(tmp_path / "broken", base, 4, 9)
    weights = load_file(folder / "adapter_model.safetensors")
    huge = {name: torch.full_like(tensor, 1e38) for name, tensor in weights.items()}
    save_file(huge, folder / "adapter_model.safetensors", {"format": "pt"})
    loaded.register("broken", folder)
    engine = loaded.built.engine
    for name in ("broken", "plain", "part", "base"):
        loaded.add(name, PROMPT, None if name == "base" else name, 8)
    broken: list[object] = []
    while engine.has_work:
        outputs = engine.step(lambda _: None).outputs
        broken += [o.error for o in outputs if o.sequence_id == "broken" and o.error]
    assert [type(error).__name__ for error in broken] == ["BrokenNumbersError"]
    for name in ("plain", "part", "base"):
        wanted = reference.greedy(PROMPT, 8, None if name == "base" else name)
        assert loaded.answer(name) == wanted, name
    loaded.add("after", PROMPT, None, 8)  # gets the blocks in which the broken row was
    loaded.finish()
    assert loaded.answer("after") == reference.greedy(PROMPT, 8)


def test_an_evicted_adapter_leaves_the_card_and_comes_back(
    build: Callable, adapters: dict[str, Path], reference: Reference
) -> None:
    engine = TinyEngine(build(), adapters)
    store = engine.built.engine.adapters
    before = held()
    found = [engine.register(name) for name in adapters]
    assert held() - before >= sum(adapter.size_bytes for adapter in found)
    store.evict_idle(store.budget.total_bytes)
    assert held() == before
    for name in adapters:
        engine.add(name, PROMPT, name, 6)
    engine.finish()
    for name in adapters:
        assert engine.answer(name) == reference.greedy(PROMPT, 6, name)
        assert store.is_resident(engine.built.engine.adapters.find(name))


def held() -> int:
    """Bytes of tensors on the card."""
    gc.collect()
    torch.cuda.synchronize()
    return torch.cuda.memory_allocated()


def test_two_hundred_requests_leave_nothing_on_the_card(loaded: TinyEngine) -> None:
    names = [None, *loaded.folders]

    def ask(count: int) -> int:
        for number in range(count):
            tokens = LONG[: 1 + 7 * number % len(LONG)]
            loaded.add(f"row {number}", tokens, names[number % len(names)], 5)
            if number % 8 == 7:
                loaded.finish()
        loaded.finish()
        loaded.add("last", PROMPT, None, 1)
        loaded.finish()
        return held()

    before = ask(24)
    assert ask(200) == before
    assert loaded.built.engine.scheduler.blocks.free_blocks > 0
    loaded.built.engine.scheduler.check_integrity()


def test_more_memory_than_the_card_has_is_refused_with_the_reason(build: Callable) -> None:
    _, total = torch.cuda.mem_get_info()
    with pytest.raises(InvalidInputError, match="memory_mib") as refused:
        build(memory_mib=math.ceil(total / 2**20) * 2)
    assert refused.value.hint and "lower" in refused.value.hint


def test_a_card_that_is_not_there_is_refused_with_the_reason(build: Callable) -> None:
    with pytest.raises(InvalidInputError, match="cuda:99"):
        build(device="cuda:99")
