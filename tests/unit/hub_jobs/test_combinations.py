"""What does not combine, cannot be served or cannot run is refused with the option's name."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from adaptery.errors import FieldProblem, SpecError
from adaptery.schemas.spec import InputSpec, StartSpec
from adaptery_hub.base_model_files import BaseModelFiles
from adaptery_hub.fleet.circumstances import Surroundings, read_facts
from adaptery_hub.fleet.live import BaseModelReport, Heartbeat, LiveView
from adaptery_hub.tasks import (
    BaseFacts,
    Circumstances,
    Machine,
    TaskCatalog,
    check_combinations,
    freeze_spec,
)
from adaptery_network.agent.heartbeats import worker_features
from support.hub_tables import AGENT, WEIGHTS, Clock
from support.tokenizer_folders import write_tokenizer

CATALOG = TaskCatalog.load()
DIGEST = "sha256:" + "a" * 64
LEARNT = InputSpec(version="dv_01hzzzzzzzzzzzzzzzzzzzzzzz", content_digest=DIGEST)
START = StartSpec(weight_digest=DIGEST, name="@demo/soap@1")

CONFIG = json.dumps(
    {
        "num_attention_heads": 2,
        "hidden_size": 8,
        "vocab_size": 99,
        "num_hidden_layers": 1,
        "intermediate_size": 16,
        "max_position_embeddings": 2048,
    }
)

CPU = Machine(gpu=False, bitsandbytes=False, flash_attn=False)
GPU = Machine(gpu=True, bitsandbytes=True, flash_attn=True)
BARE_GPU = Machine(gpu=True, bitsandbytes=False, flash_attn=False)
UNKNOWN = Machine()
NOTHING = BaseFacts()


def refusals(
    values: dict[str, Any],
    *machines: Machine,
    task: str = "sft",
    start_from: StartSpec | None = None,
    base: BaseFacts = NOTHING,
    has_turns: bool = True,
) -> list[FieldProblem]:
    found = CATALOG.get(task)
    frozen = freeze_spec(found, CATALOG.check_options(task, values), [LEARNT], start_from)
    try:
        check_combinations(found, frozen, Circumstances(machines, base, has_turns))
    except SpecError as refused:
        return list(refused.errors)
    return []


@pytest.mark.parametrize(
    "values, option, reason",
    [
        ({"use_dora": True}, "use_dora", "cannot be served"),
        ({"adapter_kind": "loha", "lora_rank": 17}, "lora_rank", "rank 289"),
        ({"adapter_kind": "lokr", "lora_rank": 33}, "lora_rank", "rank 264"),
        ({"adapter_init": "pissa", "lora_rank": 129}, "lora_rank", "rank 258"),
        ({"adapter_kind": "loha", "use_rslora": True}, "use_rslora", "not loha"),
        ({"adapter_kind": "lokr", "loraplus_lr_ratio": 16}, "loraplus_lr_ratio", "not lokr"),
        ({"early_stopping_steps": 3}, "early_stopping_steps", "held out"),
        ({"eval_steps": 3}, "eval_steps", "held out"),
        ({"val_size": 1.5}, "val_size", "no number of examples"),
        ({"lora_target": ["all", "q_proj"]}, "lora_target", "all and others"),
        ({"flash_attn": "fa2", "precision_type": "fp32"}, "flash_attn", "not fp32"),
        ({"rope_scaling": "yarn", "rope_factor": 2}, "rope_scaling", "cannot be served"),
        ({"rope_scaling": "linear", "rope_factor": 2}, "rope_scaling", "cannot be served"),
    ],
)
def test_what_does_not_combine_is_refused_wherever_it_would_run(
    values: dict[str, Any], option: str, reason: str
) -> None:
    [problem] = refusals(values)
    assert problem.where == f"options.{option}"
    assert reason in problem.reason and problem.remedy


@pytest.mark.parametrize(
    "values",
    [
        {"adapter_kind": "loha", "lora_rank": 16},
        {"adapter_init": "pissa", "lora_rank": 128},
        {"early_stopping_steps": 3, "val_size": 0.1},
        {"val_size": 20},
        {"rope_scaling": "dynamic", "rope_factor": 2},
        {"use_rslora": True, "loraplus_lr_ratio": 16, "neftune_noise_alpha": 5},
    ],
)
def test_what_combines_is_taken(values: dict[str, Any]) -> None:
    assert refusals(values) == []


@pytest.mark.parametrize(
    "values, option",
    [
        ({"quantization_bit": "4"}, "quantization_bit"),
        ({"quantization_bit": "8"}, "quantization_bit"),
        ({"flash_attn": "fa2"}, "flash_attn"),
        ({"precision_type": "fp16"}, "precision_type"),
    ],
)
def test_what_needs_a_gpu_is_refused_while_an_agent_has_none(
    values: dict[str, Any], option: str
) -> None:
    [problem] = refusals(values, GPU, CPU)
    assert problem.where == f"options.{option}" and "needs a GPU" in problem.reason
    assert refusals(values, GPU) == refusals(values, UNKNOWN) == refusals(values) == []


def test_packages_are_asked_for_where_there_is_a_gpu() -> None:
    [quantized] = refusals({"quantization_bit": "4"}, BARE_GPU)
    [flash] = refusals({"flash_attn": "fa2"}, BARE_GPU)
    assert "bitsandbytes" in quantized.reason and "flash-attn" in flash.reason


def test_examples_are_not_longer_than_the_base_model_can_look_back() -> None:
    short = BaseFacts(context_tokens=2048)
    [problem] = refusals({"cutoff_len": 4096}, base=short)
    assert problem.where == "options.cutoff_len" and "2,048" in problem.reason
    stretched = {"cutoff_len": 4096, "rope_scaling": "dynamic", "rope_factor": 2}
    assert refusals(stretched, base=short) == []
    assert refusals({"cutoff_len": 4096}) == []


def test_a_template_is_chosen_where_the_base_model_has_none() -> None:
    bare = BaseFacts(has_template=False)
    [problem] = refusals({}, base=bare)
    assert problem.where == "options.template" and "by name" in problem.remedy
    assert refusals({"template": "chatml"}, base=bare) == []
    assert refusals({}, base=bare, has_turns=False) == [], "texts need none"


def test_a_template_whose_control_tokens_are_missing_is_refused(tmp_path: Path) -> None:
    base = read_facts(write_tokenizer(tmp_path, tokens=("<|im_start|>", "<|im_end|>")))
    assert base.has_template and "llama3" in base.unfit_templates
    assert not {"chatml", "qwen", "alpaca", "zephyr"} & base.unfit_templates
    [problem] = refusals({"template": "llama3"}, base=base)
    assert problem.where == "options.template" and "model, alpaca, chatml" in problem.remedy
    assert refusals({"template": "chatml"}, base=base) == []


def test_a_start_of_its_own_does_not_combine_with_going_on() -> None:
    [problem] = refusals({"adapter_init": "pissa"}, start_from=START)
    assert problem.where == "options.adapter_init"
    assert refusals({}, start_from=START) == []


def test_packing_is_for_stages_that_learn_from_one_text_at_a_time() -> None:
    assert "packing" not in CATALOG.get("dpo").options
    assert refusals({"packing": True}, task="pt") == []


def test_all_refusals_come_at_once() -> None:
    found = refusals({"use_dora": True, "early_stopping_steps": 1, "quantization_bit": "8"}, CPU)
    assert {problem.where for problem in found} == {
        "options.use_dora",
        "options.early_stopping_steps",
        "options.quantization_bit",
    }


def around(folder: Path, **said: Any) -> Callable[..., Circumstances]:
    """Return what is known around an agent of the queue `training` that says this of itself."""
    clock, live = Clock(), LiveView()
    models = (BaseModelReport("tiny/tiny", WEIGHTS),)
    live.observe(Heartbeat(AGENT, 1, clock.now, base_models=models, **said), clock.now)
    files = BaseModelFiles(folder)
    around = Surroundings(lambda: live, files, lambda agent, queue: queue == "training")

    def known(weight_digest: str | None, queue: str = "training") -> Circumstances:
        return around.of(weight_digest, queue)

    return known


def test_machines_are_what_live_agents_say_of_themselves(tmp_path: Path) -> None:
    features = frozenset({"sealed", "with:bitsandbytes", "without:flash_attn"})
    gpu = {"gpu": [{"total_bytes": 1}]}
    known = around(tmp_path, load=gpu, features=features)(WEIGHTS)
    assert known.machines == [Machine(True, True, False)]
    assert around(tmp_path, load={"gpu": []})(WEIGHTS).machines == [Machine(False, None, None)]
    silent = around(tmp_path)
    assert silent(WEIGHTS).machines == [UNKNOWN], "earlier releases say nothing"
    assert not silent("sha256:" + "d" * 64).machines and not silent(None).machines
    assert not silent(WEIGHTS, "night").machines, "another queue is another agent's"


@pytest.mark.parametrize(
    "files, facts",
    [
        ({}, BaseFacts(None, False)),
        ({"config.json": CONFIG}, BaseFacts(2048, False)),
        ({"config.json": "[" * 9999}, BaseFacts(None, False)),
        ({"tokenizer_config.json": '{"chat_template": "x"}'}, BaseFacts(None, True)),
        ({"chat_template.jinja": "x"}, BaseFacts(None, True)),
    ],
)
def test_a_base_model_is_what_its_files_say(
    tmp_path: Path, files: dict[str, str], facts: BaseFacts
) -> None:
    assert around(tmp_path)(WEIGHTS).base == BaseFacts(), "no agent handed it over yet"
    folder = tmp_path / WEIGHTS.removeprefix("sha256:")
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    assert around(tmp_path)(WEIGHTS).base == facts


def test_an_agent_says_what_its_workers_have() -> None:
    assert worker_features((sys.executable, "-m", "adaptery_training")) == (
        f"{'with' if find_spec('bitsandbytes') else 'without'}:bitsandbytes",
        f"{'with' if find_spec('flash_attn') else 'without'}:flash_attn",
    )
    assert worker_features(("/opt/other/python",)) == (), "of another environment nothing is known"
