"""That every stage resumes exactly, fails as it should, and that judges teach what they like."""

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from adaptery.adapter_folders import inspect_adapter
from support.judgements import chats, judged, preferences
from tiny import build_tiny_model

pytestmark = pytest.mark.slow
HALF, WHOLE = 3, 6
RECORDS = {"pt": chats, "rm": preferences, "dpo": preferences, "kto": judged, "grpo": chats}


def make(bench, stage: str, judge, **options):
    attempt = bench.attempt(RECORDS[stage](), stage=stage, **options)
    if stage == "grpo":
        shutil.copytree(judge.path / "adapter", attempt.path / "reward")
        attempt.spec["reward"] = {
            "weight_digest": inspect_adapter(attempt.path / "reward").weight_digest,
            "generations": 4,
            "max_new_tokens": 8,
        }
    return attempt


@pytest.fixture(scope="module")
def judge(bench):
    attempt = bench.attempt(preferences(), stage="rm", max_steps=12)
    assert attempt.run() == 0, attempt.log
    return attempt


@pytest.mark.parametrize("stage", RECORDS)
def test_resumed_gives_what_one_go_gives(bench, judge, stage):
    """3 divides neither 8 records nor 12 answers evenly: epochs end within and without a step."""
    fields = {
        "lora": {"dropout": 0.2},
        "batch_size": 4 if stage == "grpo" else 3,
        "gradient_accumulation": 3 if stage == "grpo" else 1,
        "max_steps": WHOLE,
        "save_steps": HALF,
        "learning_rate": 0.003,
        "gradient_checkpointing": stage == "grpo",  # the answers are written without
    }
    straight = make(bench, stage, judge, **fields)
    assert straight.run() == 0, straight.log
    first = make(bench, stage, judge, **fields)
    first.spec["inputs"] = straight.spec["inputs"]
    shutil.rmtree(first.path / "inputs")
    shutil.copytree(straight.path / "inputs", first.path / "inputs")
    assert first.run() == 0, first.log
    resumed = bench.resume(first, HALF)
    assert resumed.run() == 0, resumed.log
    of_both = [
        [
            {name: value for name, value in event.items() if name not in ("seq", "at")}
            for event in attempt.of_kind("metrics")
            if event["step"] > HALF and event.pop("tokens_per_second")
        ]
        for attempt in (straight, resumed)
    ]
    assert of_both[0] == of_both[1]
    weights = [
        (attempt.path / "adapter/adapter_model.safetensors").read_bytes()
        for attempt in (straight, resumed)
    ]
    assert weights[0] == weights[1]


@pytest.mark.parametrize("stage", ["rm", "dpo", "grpo"])
def test_weights_that_are_no_numbers_end_the_attempt(bench, judge, tmp_path, stage):
    base = build_tiny_model(tmp_path)
    weights = load_file(base / "model.safetensors")
    weights["model.norm.weight"] = torch.full_like(weights["model.norm.weight"], float("nan"))
    save_file(weights, base / "model.safetensors", {"format": "pt"})
    attempt = make(bench, stage, judge, base=base)
    assert attempt.run() == 1
    assert attempt.events[-1]["code"] == "diverged", (attempt.events, attempt.log)


def test_a_judge_teaches_what_it_likes(bench, judge):
    attempt = make(
        bench, "grpo", judge,
        batch_size=16, gradient_accumulation=2, max_steps=30, learning_rate=0.01,
    )  # fmt: skip
    attempt.spec["reward"] |= {"generations": 8, "beta": 0.0}
    assert attempt.run() == 0, attempt.log
    rewards = [event["reward"] for event in attempt.of_kind("metrics")]
    assert sum(rewards[-5:]) > sum(rewards[:5]) + 1, rewards


def test_a_start_that_moves_base_weights_is_made_once(bench):
    """trl makes its reference as the adapter was made; the chosen answers stay as likely."""
    first = {}
    for init in ("default", "pissa", "olora"):
        attempt = bench.attempt(preferences(), stage="dpo", lora={"init": init}, max_steps=1)
        attempt.spec |= {"spec_version": 2, "preference": {"sft_weight": 1.0}}
        assert attempt.run() == 0, attempt.log
        first[init] = attempt.losses[1]
    assert first["default"] > 1  # of which 0.6931 are of dpo itself
    assert first == pytest.approx(dict.fromkeys(first, first["default"]), rel=1e-3)


def test_a_reward_model_goes_on_where_another_ended_in_whatever_form_it_is_trained(bench, judge):
    goes_on = bench.attempt(preferences(), stage="rm", max_steps=2, learning_rate=1e-6)
    shutil.copytree(judge.path / "adapter", goes_on.path / "start")
    digest = inspect_adapter(goes_on.path / "start").weight_digest
    goes_on.spec |= {"spec_version": 2, "start_from": {"weight_digest": digest, "name": "a@1"}}
    other = bench.attempt(preferences(), stage="rm", max_steps=12, lora={"kind": "lokr"})
    assert (goes_on.run(), other.run()) == (0, 0), goes_on.log + other.log
    margins = [
        [event["reward_margin"] for event in attempt.of_kind("metrics")]
        for attempt in (judge, goes_on, other)
    ]
    assert margins[1][0] == pytest.approx(margins[0][-1], rel=0.3)
    assert margins[2][-1] > margins[2][0] + 0.1
    assert inspect_adapter(other.path / "adapter").kind == "reward"


def test_scoring_adapters_are_no_start_for_what_writes(bench, judge):
    attempt = bench.attempt(max_steps=1)
    shutil.copytree(judge.path / "adapter", attempt.path / "start")
    digest = inspect_adapter(attempt.path / "start").weight_digest
    attempt.spec |= {"spec_version": 2, "start_from": {"weight_digest": digest, "name": "a@1"}}
    assert attempt.run() == 1
    assert attempt.events[-1]["code"] == "spec_refused"
    assert "scores answers" in attempt.events[-1]["reason"]


@pytest.mark.parametrize("stage", ["rm", "dpo", "kto"])
def test_held_out_judgements_are_measured_and_measuring_leaves_no_trace(bench, judge, stage):
    records = RECORDS[stage]()
    attempts = [
        bench.attempt(records, stage=stage, max_steps=4, batch_size=3, lora={"dropout": 0.2})
        for _ in "ab"
    ]
    for attempt, steps in zip(attempts, (1, 100), strict=True):
        attempt.spec |= {"spec_version": 2, "eval": {"val_size": 4, "steps": steps}}
        attempt.spec["optim"]["gradient_checkpointing"] = steps == 1
        assert attempt.run() == 0, attempt.log
    often, seldom = (
        [event["eval_loss"] for event in attempt.of_kind("metrics") if "eval_loss" in event]
        for attempt in attempts
    )
    assert (len(often), len(seldom)) == (4, 1)
    assert often[-1] < often[0] and often[-1] == pytest.approx(seldom[0])
    assert attempts[0].losses == pytest.approx(attempts[1].losses)


def test_what_training_goes_on_from_is_what_it_is_held_against(bench):
    """The first step of dpo finds nothing changed, though the adapter has learnt before."""
    before = bench.attempt(chats(), max_steps=4)
    assert before.run() == 0, before.log
    attempt = bench.attempt(preferences(), stage="dpo", max_steps=1)
    shutil.copytree(before.path / "adapter", attempt.path / "start")
    digest = inspect_adapter(attempt.path / "start").weight_digest
    attempt.spec |= {"spec_version": 2, "start_from": {"weight_digest": digest, "name": "a@1"}}
    assert attempt.run() == 0, attempt.log
    told = attempt.of_kind("metrics")[0]
    assert (told["reward_margin"], told["loss"]) == (0, pytest.approx(0.6931, abs=1e-3))
