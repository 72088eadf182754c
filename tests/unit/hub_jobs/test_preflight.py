"""The rules of a pre-flight: memory, time, advice; and what attempts leave for those of others."""

from dataclasses import replace
from pathlib import Path

import pytest

from adaptery.ids import new_id
from adaptery.schemas.jobs import JobCreate
from adaptery.schemas.preflight import MemoryEstimate, PreflightReport, TimeEstimate
from adaptery.schemas.spec import JobSpec, LoraSpec
from adaptery_hub.database.statements import training_speeds
from adaptery_hub.database.statements.training_speeds import Measured
from adaptery_hub.preflight.advice import advise
from adaptery_hub.preflight.counting import Counts
from adaptery_hub.preflight.forecast import Speed, estimate_time
from adaptery_hub.preflight.memory import (
    CORRECTION_RANGE,
    PastMemory,
    adapter_bytes,
    correction,
    need_bytes,
    read_shape,
    shape_of,
    trained_numbers,
)
from adaptery_hub.preflight.work import Agents, describe
from adaptery_hub.tasks import TaskCatalog
from support.hub_tables import AGENT, WEIGHTS, HubTables, fence_of

DIGEST = "sha256:" + "0" * 64
GB = 1e9
SMOLLM2 = {
    "vocab_size": 49152,
    "hidden_size": 576,
    "num_hidden_layers": 30,
    "intermediate_size": 1536,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "tie_word_embeddings": True,
    "max_position_embeddings": 8192,
    "dtype": "bfloat16",
}
SHAPE = shape_of(SMOLLM2)
assert SHAPE is not None


def spec(stage: str = "sft", **optim: object) -> JobSpec:
    return JobSpec.model_validate(
        {
            "job": new_id("jb"),
            "attempt": new_id("at"),
            "fencing_token": 1,
            "stage": stage,
            "base_model": {"name": "tiny", "weight_digest": DIGEST},
            "inputs": [{"version": new_id("dv"), "content_digest": DIGEST}],
            "optim": optim,
            "limits": {"wall_seconds": 3600, "memory_bytes": 8 * 2**30, "disk_bytes": 2**30},
        }
    )


def test_the_sizes_of_a_model_come_from_its_configuration(tmp_path: Path) -> None:
    assert SHAPE.parameters == pytest.approx(134.5e6, rel=0.01)
    assert trained_numbers(SHAPE, LoraSpec()) == pytest.approx(2.44e6, rel=0.01)
    assert adapter_bytes(SHAPE, LoraSpec()) == pytest.approx(9.8e6, rel=0.01)
    assert adapter_bytes(SHAPE, LoraSpec(kind="loha")) == 8 * adapter_bytes(SHAPE, LoraSpec())
    for broken in ({}, SMOLLM2 | {"hidden_size": -1}, SMOLLM2 | {"vocab_size": True}):
        assert shape_of(broken) is None
    (tmp_path / "config.json").write_text("[]")
    assert read_shape(tmp_path) is None


def test_memory_is_near_what_was_measured_and_grows_with_what_costs_memory() -> None:
    whole, half = (need_bytes(SHAPE, spec(precision=word), 1024, 1024) for word in ("fp32", "bf16"))
    assert whole == pytest.approx(3.7 * GB, rel=0.15) and half == pytest.approx(3.2 * GB, rel=0.2)
    long = need_bytes(SHAPE, spec(precision="bf16"), 8192, 2000)
    spared = need_bytes(SHAPE, spec(precision="bf16", gradient_checkpointing=True), 8192, 2000)
    assert spared < long / 2
    assert need_bytes(SHAPE, spec(quantization="4bit"), 8, 8) < need_bytes(SHAPE, spec(), 8, 8)


def test_past_attempts_correct_the_rule_within_reason() -> None:
    optim = {"batch_size": 4, "precision": "fp32"}
    need = need_bytes(SHAPE, spec(**optim), 1024, 1024)
    runs = [PastMemory({"optim": optim}, 256, peak) for peak in (need, need // 10 * 13)]
    assert correction(SHAPE, runs) == pytest.approx(1.3, rel=0.01)
    assert correction(SHAPE, [PastMemory({}, 1, 2**40)]) == CORRECTION_RANGE[1]
    assert correction(SHAPE, []) is None


def test_time_is_told_from_past_runs_of_agents_that_are_there() -> None:
    speeds = [Speed("ag_a", 100), Speed("ag_a", 200), Speed("ag_b", 1000)]
    told = estimate_time(10_000, "sft", speeds, frozenset({"ag_a"}))
    assert (told.low, told.high) == (50, 100)
    assert told.basis == "2 past runs on 1 agent, 100 to 200 tokens a second"
    assert estimate_time(10_000, "sft", speeds, frozenset()).low == 10
    alone = estimate_time(1_000, "sft", [Speed("ag_a", 100)], frozenset())
    assert alone.low is not None and alone.high is not None and alone.low < 10 < alone.high
    for stage, known in (("sft", []), ("grpo", speeds)):
        unknown = estimate_time(1_000, stage, known, frozenset())
        assert (unknown.low, unknown.high) == (None, None) and unknown.basis


def reported(**more: object) -> PreflightReport:
    counts = dict.fromkeys(
        ("records", "held_out", "examples", "cut", "dropped_cut", "dropped_empty", "tokens",
         "target_tokens", "longest", "mean", "padding_share", "steps", "steps_per_epoch",
         "total_tokens"),
        0,
    )  # fmt: skip
    return PreflightReport.model_validate(
        {
            "base_model": "tiny",
            "stage": "sft",
            "template": "model",
            "lengths": (),
            "seconds": TimeEstimate(low=None, high=None, basis="x"),
            "memory_bytes": MemoryEstimate(need=None, limit=1, basis="x"),
            "disk_bytes": None,
            "warnings": (),
            **counts,
            **more,
        }
    )


GOOD = Counts(records=1_000, examples=1_000, steps=100, longest=10, shape=SHAPE)


@pytest.mark.parametrize(
    ("counts", "more", "where", "word"),
    [
        ({"records": 10}, {}, "dataset", "few"),
        ({"steps": 5}, {}, "options.epochs", "hardly move"),
        ({"steps": 20}, {}, "options.save_steps", "no checkpoint"),
        ({"cut": 200}, {}, "options.cutoff_len", "lose their end"),
        ({"dropped_cut": 3}, {}, "options.cutoff_len", "beyond"),
        ({"dropped_empty": 3}, {}, "dataset", "nothing in them is learnt"),
        ({"untranslated": 3}, {}, "dataset", "cannot become"),
        ({"leaked": 3}, {}, "dataset", "learnt too"),
        ({"placeholders": 3}, {}, "dataset", "placeholder"),
        ({"unended": 3}, {}, "template", "learn to stop"),
        ({"refusal": ("Record 7 is odd.", "Mend it.")}, {}, "dataset", "Record 7"),
        ({}, {"padding_share": 0.5}, "task", "padding"),
        ({}, {"disk_bytes": 2**40}, "options.save_steps", "come to"),
        (
            {},
            {"seconds": TimeEstimate(low=1, high=9e9, basis="x")},
            "options.epochs",
            "may take",
        ),
        (
            {},
            {"memory_bytes": MemoryEstimate(need=2**40, limit=2**30, basis="x")},
            "options.batch_size",
            "are needed",
        ),
    ],
)
def test_what_is_odd_is_named_with_the_option_that_decides_it(counts, more, where, word) -> None:
    task = TaskCatalog().get("training-v0", frozenset())
    plain = advise(reported(), GOOD, spec(save_steps=25), task)
    assert plain == ()
    (found, *_) = advise(reported(**more), replace(GOOD, **counts), spec(save_steps=25), task)
    assert found.where == where and word in found.reason and found.remedy


@pytest.mark.parametrize(
    ("optim", "where", "remedy"),
    [
        ({"max_steps": 6}, "options.max_steps", "Raise the steps."),
        ({"gradient_accumulation": 1}, "options.epochs", "Raise the epochs."),
        (
            {"gradient_accumulation": 8},
            "options.epochs",
            "Lower accumulation, or raise the epochs.",
        ),
    ],
)
def test_only_what_can_help_is_advised(optim, where: str, remedy: str) -> None:
    task = TaskCatalog().get("training-v0", frozenset())
    counts = replace(GOOD, steps=6)
    (found,) = advise(reported(), counts, spec(save_steps=2, **optim), task)
    assert (found.where, found.remedy) == (where, remedy)


def test_a_report_says_what_it_is_based_on() -> None:
    past = [Measured("ag_a", "auto", 100.0, 4 * 2**30, 256.0, {"optim": {"batch_size": 4}})]
    counts = Counts(
        examples=10, tokens=1000, total_tokens=3000, steps=10, batch_tokens=512, batch_targets=99,
        shape=SHAPE,
    )  # fmt: skip
    agents = Agents(frozenset({"ag_a"}), 2 * 2**30)
    report = describe(spec(), counts, past, agents)
    assert report.mean == 100 and report.seconds.high == 45
    assert (
        report.memory_bytes.limit == 2 * 2**30 and "1 past run tells" in report.memory_bytes.basis
    )
    bare = describe(spec(precision="fp32"), counts, [], Agents())
    assert bare.seconds.low is None and bare.memory_bytes.limit == 8 * 2**30


async def test_an_attempt_that_ended_leaves_its_speed_and_memory(hub: HubTables) -> None:
    await hub.bind()
    version = await hub.version("demo")
    wanted = JobCreate(name="notes", dataset=version, options={"batch_size": 2})
    await hub.desk.submit(await hub.identity("demo"), wanted)
    claim = await hub.claim()
    assert claim is not None
    at = "2026-01-02T03:04:05Z"
    speeds = [
        {"kind": "metrics", "step": n, "epoch": 0.1, "tokens_per_second": n * 100.0}
        for n in (1, 2, 3)
    ]
    summary = dict.fromkeys(("epoch", "total_flos", "train_loss", "train_steps_per_second"), 1.0)
    summary |= {"kind": "summary", "train_runtime": 10.0, "train_samples_per_second": 5.0}
    summary |= {"tokens": 5_000, "peak_memory_bytes": 2**30}
    events = [
        {"seq": seq, "at": at, **event} for seq, event in enumerate([*speeds, summary], start=1)
    ]
    for _ in range(2):  # sent again, it counts once
        await hub.queue.report(fence_of(claim), events)
    (found,) = await hub.database.read(lambda c: training_speeds.of_model(c, WEIGHTS, "sft"))
    assert (found.agent_id, found.tokens_per_second, found.row_tokens) == (AGENT, 200.0, 100.0)
    assert found.peak_memory_bytes == 2**30 and found.precision == "auto"
    assert found.spec["optim"]["batch_size"] == 2
    assert await hub.database.read(lambda c: training_speeds.of_model(c, WEIGHTS, "dpo")) == []
