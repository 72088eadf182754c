"""What does not combine, cannot be served or cannot run is refused with the option's name."""

from __future__ import annotations

import json
from collections.abc import Callable
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
    TaskCatalog,
    check_combinations,
    freeze_spec,
)
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

CPU: frozenset[str] = frozenset()
QUANTIZING = frozenset({"8bit", "4bit"})
GPU = QUANTIZING | {"fp16", "flash"}
UNKNOWN = None
NOTHING = BaseFacts()


def refusals(
    values: dict[str, Any],
    *agents: frozenset[str] | None,
    task: str = "sft",
    start_from: StartSpec | None = None,
    base: BaseFacts = NOTHING,
    has_turns: bool = True,
) -> list[FieldProblem]:
    found = CATALOG.get(task)
    frozen = freeze_spec(found, CATALOG.check_options(task, values), [LEARNT], start_from)
    try:
        check_combinations(found, frozen, Circumstances(agents, base, has_turns))
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
    "values, option, needed",
    [
        ({"quantization_bit": "4"}, "quantization_bit", "bitsandbytes"),
        ({"quantization_bit": "8"}, "quantization_bit", "bitsandbytes"),
        ({"flash_attn": "fa2"}, "flash_attn", "a GPU and flash-attn"),
        ({"precision_type": "fp16"}, "precision_type", "a GPU"),
    ],
)
def test_what_no_agent_can_is_refused(values: dict[str, Any], option: str, needed: str) -> None:
    [problem] = refusals(values, CPU, CPU)
    assert problem.where == f"options.{option}" and f"needs {needed}, " in problem.reason
    assert refusals(values, CPU, GPU) == [], "it goes to the one that can"
    assert refusals(values, CPU, UNKNOWN) == refusals(values) == [], "somebody may be able to"


def test_quantized_weights_need_no_gpu() -> None:
    assert refusals({"quantization_bit": "4"}, QUANTIZING) == []


def test_abilities_of_different_agents_do_not_add_up() -> None:
    both = {"quantization_bit": "4", "precision_type": "fp16"}
    found = refusals(both, QUANTIZING, frozenset({"fp16"}))
    assert {problem.where for problem in found} == {
        "options.quantization_bit",
        "options.precision_type",
    }
    assert all("all else that is asked for" in problem.reason for problem in found)
    assert refusals(both, GPU) == []


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


def test_agents_are_asked_that_may_get_the_job(tmp_path: Path) -> None:
    known = around(tmp_path, abilities=QUANTIZING)(WEIGHTS)
    assert known.abilities == [QUANTIZING]
    silent = around(tmp_path)
    assert silent(WEIGHTS).abilities == [UNKNOWN], "it did not say yet"
    assert not silent("sha256:" + "d" * 64).abilities and not silent(None).abilities
    assert not silent(WEIGHTS, "night").abilities, "another queue is another agent's"


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
