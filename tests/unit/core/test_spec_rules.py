"""What does not combine is refused by field, before anything starts."""

import pytest

from adaptery.ids import new_id
from adaptery.schemas.spec import JobSpec
from adaptery.spec_rules import spec_problems

DIGEST = "sha256:" + "0" * 64
REWARD = {"weight_digest": DIGEST, "generations": 4}
START = {"weight_digest": DIGEST, "name": "radiology/letters@2"}
VALIDATION = {"version": new_id("dv"), "content_digest": DIGEST, "split": "validation"}
HELD_OUT = {"version": new_id("dv"), "content_digest": DIGEST, "held_out": True}
LEARNT = {**HELD_OUT, "held_out": None}


def spec(**sections: object) -> JobSpec:
    return JobSpec.model_validate(
        {
            "job": new_id("jb"),
            "attempt": new_id("at"),
            "fencing_token": 1,
            "stage": "sft",
            "base_model": {"name": "tiny", "weight_digest": DIGEST},
            "inputs": [{"version": new_id("dv"), "content_digest": DIGEST}],
            "limits": {"wall_seconds": 1, "memory_bytes": 1, "disk_bytes": 1},
            **sections,
        }
    )


@pytest.mark.parametrize(
    ("sections", "where"),
    [
        ({"lora": {"dora": True}}, "lora.dora"),
        ({"lora": {"kind": "loha", "rank": 17}}, "lora.rank"),
        ({"lora": {"kind": "lokr", "rank": 33}}, "lora.rank"),
        ({"lora": {"init": "pissa", "rank": 129}}, "lora.rank"),
        ({"lora": {"kind": "loha", "rslora": True}}, "lora.rslora"),
        ({"lora": {"kind": "lokr", "init": "pissa"}}, "lora.init"),
        ({"lora": {"kind": "lokr", "dropout": 0.1}}, "lora.dropout"),
        ({"lora": {"kind": "loha"}, "optim": {"loraplus_ratio": 4}}, "optim.loraplus_ratio"),
        ({"lora": {"kind": "loha"}, "optim": {"quantization": "8bit"}}, "optim.quantization"),
        ({"lora": {"kind": "loha"}, "start_from": START}, "lora.kind"),
        ({"lora": {"init": "olora"}, "start_from": START}, "lora.init"),
        ({"lora": {"init": "loftq"}, "optim": {"quantization": "4bit"}}, "optim.quantization"),
        ({"eval": {"patience": 2}}, "eval.patience"),
        ({"eval": {"patience": 2}, "inputs": [VALIDATION]}, "eval.patience"),
        ({"inputs": [HELD_OUT, {**VALIDATION, "held_out": True}]}, "inputs"),
        ({"stage": "grpo", "reward": REWARD, "inputs": [LEARNT, HELD_OUT]}, "validation"),
        ({"stage": "dpo", "optim": {"batching": "packed"}}, "optim.batching"),
        ({"optim": {"attention": "flash", "precision": "fp32"}}, "optim.attention"),
        ({"stage": "grpo"}, "reward"),
        ({"reward": REWARD}, "reward"),
        ({"stage": "rm", "optim": {"quantization": "8bit"}}, "optim.quantization"),
        ({"stage": "kto", "optim": {"batch_size": 1}}, "optim.batch_size"),
        ({"stage": "grpo", "reward": {**REWARD, "generations": 3}}, "reward.generations"),
        ({"stage": "grpo", "reward": REWARD, "eval": {"val_size": 0.1}}, "eval.val_size"),
    ],
)
def test_what_does_not_combine_is_named_by_its_field(sections, where):
    problems = spec_problems(spec(**sections))
    assert [problem.where for problem in problems] == [where]
    assert problems[0].remedy


@pytest.mark.parametrize(
    "sections",
    [
        {},
        {"lora": {"kind": "loha", "rank": 16}},
        {"stage": "rm", "lora": {"kind": "loha"}},
        {"stage": "kto"},
        {"stage": "grpo", "reward": REWARD},
        {"lora": {"kind": "lokr", "rank": 32}},
        {"lora": {"init": "pissa", "rank": 128, "rslora": True}},
        {"start_from": START, "lora": {"rank": 256}},
        {"eval": {"patience": 2, "val_size": 0.1}},
        {"eval": {"patience": 2}, "inputs": [{**VALIDATION, "split": "train"}, VALIDATION]},
        {"eval": {"patience": 2, "steps": 5}, "inputs": [LEARNT, HELD_OUT]},
        {"optim": {"batching": "packed", "loraplus_ratio": 16, "attention": "flash"}},
    ],
)
def test_what_combines_is_taken(sections):
    assert spec_problems(spec(**sections)) == []
