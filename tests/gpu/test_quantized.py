"""Base models in 8 and 4 bits on a card: they train, and plain PEFT and the engine take what comes.

An adapter learnt beside rounded weights is served on the whole ones, as everywhere.
"""

from collections.abc import Callable
from contextlib import suppress

import pytest
import torch

from adaptery_training.failures import explain
from support.engine import Reference, TinyEngine
from support.judgements import preferences
from support.training_runs import job_spec
from support.work_folders import Bench, WorkFolder
from tiny import build_tiny_model

pytestmark = pytest.mark.gpu
pytest.importorskip("bitsandbytes")

PROMPT = list(b"Tell me about the sky. ")


def trained(attempt: WorkFolder) -> WorkFolder:
    assert attempt.run() == 0, (attempt.events[-1:], attempt.log)
    return attempt


@pytest.mark.parametrize("bits", ["8bit", "4bit"])
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_an_adapter_of_quantized_weights_is_learnt_and_served(
    bench: Bench, build: Callable, bits: str, precision: str
) -> None:
    attempt = trained(bench.attempt(quantization=bits, precision=precision, max_steps=8))
    assert attempt.losses[8] < 0.8 * attempt.losses[1]
    folders = {"learnt": attempt.path / "adapter"}
    engine = TinyEngine(build(), folders)
    engine.register("learnt")
    engine.add("row", PROMPT, "learnt", 12)
    engine.finish()
    assert engine.answer("row") == Reference(bench.base, folders).greedy(PROMPT, 12, "learnt")


def test_pairs_are_learnt_and_resumed_in_four_bits(bench: Bench) -> None:
    options = {"stage": "dpo", "quantization": "4bit", "precision": "bf16", "save_steps": 2}
    whole = trained(
        bench.attempt(preferences(), max_steps=4, gradient_checkpointing=True, **options)
    )
    assert whole.losses[4] < whole.losses[1]
    resumed = trained(bench.resume(whole, 2))
    assert resumed.losses == pytest.approx(
        {step: loss for step, loss in whole.losses.items() if step > 2}, rel=0.02
    )


def test_too_little_memory_while_weights_are_read_is_told_as_that(tmp_path) -> None:
    from adaptery_training.base import load_base_model

    spec = job_spec({"quantization": "4bit", "precision": "bf16"})
    base = build_tiny_model(tmp_path / "base")
    torch.cuda.set_per_process_memory_fraction(1e-6)
    filling: list[torch.Tensor] = []
    for size in (2**28, 2**20, 2**9):  # what is kept of earlier tests could be used again
        with suppress(torch.OutOfMemoryError):
            while True:
                filling.append(torch.empty(size, dtype=torch.uint8, device="cuda"))
    try:
        with pytest.raises(RuntimeError) as refused:
            load_base_model(base, spec.base_model, "bf16", optim=spec.optim)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert explain(refused.value).code == "out_of_memory"
