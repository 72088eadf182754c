"""Every stage on a card: the losses of the processor, exact resumes, honest ends."""

import json
import os
import signal
from pathlib import Path

import pytest
from safetensors.torch import load_file

from support.judgements import chats, judged, preferences
from support.waiting import eventually_sync
from support.work_folders import Bench, WorkFolder
from tiny import build_tiny_model, tiny_records

pytestmark = pytest.mark.gpu

RECORDS = {
    "pt": tiny_records(),
    "sft": tiny_records(),
    "rm": preferences(),
    "dpo": preferences(),
    "kto": [*judged(), *preferences()[:4]],
}
STEPS = 4
#: No worker sees a card then.
ON_PROCESSOR = {"CUDA_VISIBLE_DEVICES": ""}
WEIGHTS = "adapter/adapter_model.safetensors"


def trained(attempt: WorkFolder) -> WorkFolder:
    assert attempt.run() == 0, (attempt.events[-1:], attempt.log)
    return attempt


def on_processor(attempt: WorkFolder) -> WorkFolder:
    attempt.environment = ON_PROCESSOR
    return attempt


@pytest.mark.parametrize("stage", RECORDS)
def test_losses_are_those_of_the_processor(bench: Bench, stage: str) -> None:
    options = {"stage": stage, "max_steps": STEPS}
    card = trained(bench.attempt(RECORDS[stage], **options))
    processor = trained(on_processor(bench.attempt(RECORDS[stage], **options)))
    assert card.losses == pytest.approx(processor.losses, rel=1e-3, abs=1e-5)
    ours, theirs = (load_file(attempt.path / WEIGHTS) for attempt in (card, processor))
    for name, weight in theirs.items():
        # Adam's first steps are as large for a gradient of rounding errors as for any other.
        assert (ours[name] - weight).abs().mean() < 0.05 * STEPS * 0.01, name


@pytest.mark.parametrize("stage", RECORDS)
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_learns_nearly_the_same(bench: Bench, stage: str, precision: str) -> None:
    options = {"stage": stage, "max_steps": 8, "learning_rate": 0.003}
    half = trained(bench.attempt(RECORDS[stage], precision=precision, **options))
    assert any(precision in event["message"] for event in half.of_kind("log"))
    whole = trained(bench.attempt(RECORDS[stage], **options))
    assert half.losses[1] == pytest.approx(whole.losses[1], rel=0.05)
    assert half.losses[8] < half.losses[1]


def test_the_device_tells_its_peak_and_the_adapter_is_evaluated(bench: Bench) -> None:
    attempt = bench.attempt(max_steps=STEPS)
    attempt.spec |= {"spec_version": 2, "eval": {"val_size": 4, "max_new_tokens": 8}}
    summary = trained(attempt).events[-1]
    assert 0 < summary["peak_memory_bytes"] < 500 * 2**20  # the host's is more: its libraries
    scores = json.loads((attempt.path / "adapter/card.json").read_text())["evaluation"]
    assert scores["adapter"]["loss"] < scores["base"]["loss"]


HALF, WHOLE = 7, 14
HARD = {"batch_size": 3, "logging_steps": 2, "save_steps": HALF, "max_steps": WHOLE}
DROPOUT = {"dropout": 0.2}


@pytest.fixture(scope="module")
def straight(bench: Bench) -> WorkFolder:
    return trained(bench.attempt(lora=DROPOUT, learning_rate=0.003, **HARD))


def rest_of(losses: dict[int, float]) -> dict[int, float]:
    return {step: loss for step, loss in losses.items() if step > HALF}


def test_killed_and_resumed_gives_the_losses_of_one_go(bench: Bench, straight: WorkFolder) -> None:
    killed = bench.attempt(lora=DROPOUT, learning_rate=0.003, **HARD)
    worker = killed.start()
    eventually_sync(
        lambda: bool(killed.of_kind("checkpoint")), timeout_seconds=90, slowest_seconds=0.05
    )
    os.kill(worker.pid or 0, signal.SIGKILL)
    worker.join()
    resumed = trained(bench.resume(killed, HALF))
    # Kernels add up in an order of their own: not to the last digit.
    assert resumed.losses == pytest.approx(rest_of(straight.losses), rel=1e-4)


def test_a_checkpoint_moves_from_a_card_to_a_processor_and_back(bench: Bench) -> None:
    first = trained(bench.attempt(save_steps=2, max_steps=6))
    other = trained(on_processor(bench.attempt(save_steps=2, max_steps=6)))
    after = {step: loss for step, loss in first.losses.items() if step > 2}
    moved = trained(on_processor(bench.resume(first, 2)))
    assert moved.losses == pytest.approx(after, rel=1e-3)
    back = bench.resume(other, 2)
    back.environment = {}
    assert trained(back).losses == pytest.approx(after, rel=1e-3)


OWN = {"stage": "grpo", "batch_size": 4, "gradient_accumulation": 2, "max_steps": 2}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_model_learns_from_its_own_answers(bench: Bench, precision: str) -> None:
    from adaptery.adapter_folders import inspect_adapter

    judge = trained(bench.attempt(preferences(), stage="rm", max_steps=STEPS))
    attempt = bench.attempt(chats(), precision=precision, **OWN)
    (judge.path / "adapter").rename(attempt.path / "reward")
    digest = inspect_adapter(attempt.path / "reward").weight_digest
    attempt.spec["reward"] = {"weight_digest": digest, "generations": 4, "max_new_tokens": 8}
    metrics = trained(attempt).of_kind("metrics")
    assert [event["step"] for event in metrics if "reward" in event] == [1, 2]
    assert metrics[0]["kl"] == pytest.approx(0, abs=1e-2)


def test_too_little_memory_on_the_card_ends_with_what_to_do(bench: Bench, tmp_path: Path) -> None:
    """Attention that is written out takes the square of the length: here some tens of GB."""
    long = build_tiny_model(tmp_path / "long", context_tokens=16384)
    texts = [{"kind": "text", "text": "x" * 16000}] * 4
    options = {"attention": "eager", "cutoff_len": 16384, "max_steps": 1}
    attempt = bench.attempt(texts, base=long, stage="pt", **options)
    assert attempt.run() == 1, attempt.events
    assert attempt.events[-1]["code"] == "out_of_memory", attempt.log
    assert "batch size" in attempt.events[-1]["remedy"]


def test_flash_attention_is_refused_where_its_package_is_missing(bench: Bench) -> None:
    from importlib.util import find_spec

    if find_spec("flash_attn") is not None:
        pytest.skip("flash_attn is here")
    attempt = bench.attempt(attention="flash", precision="bf16")
    assert attempt.run() == 1
    assert attempt.events[-1]["code"] == "spec_refused"
    assert "flash-attn" in attempt.events[-1]["reason"] and attempt.events[-1]["remedy"]
