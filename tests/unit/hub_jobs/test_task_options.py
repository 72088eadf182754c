"""Every option of every shipped task: what the form offers is what the spec takes."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptery.errors import SpecError
from adaptery.examples import OWN_TEMPLATE, TEMPLATE_NAMES
from adaptery.schemas.spec import InputSpec, JobSpec
from adaptery_hub.tasks import (
    BaseFacts,
    Circumstances,
    TaskCatalog,
    TaskDefinition,
    check_combinations,
    freeze_spec,
)
from adaptery_hub.tasks.freezing import parse_frozen
from adaptery_hub.tasks.spec_fields import spec_fields

CATALOG = TaskCatalog.load()
TASKS = {task.name: task for task in CATALOG}
DIGEST = "sha256:" + "a" * 64
VERSION = "dv_01hzzzzzzzzzzzzzzzzzzzzzzz"
LEARNT = InputSpec(version=VERSION, content_digest=DIGEST)
HELD_OUT = LEARNT.model_copy(update={"split": "validation"})
#: Options that tasks share are fuzzed in the first task that has them.
EACH_OPTION = {
    option.model_dump_json(): (task.name, name)
    for task in reversed(list(CATALOG))
    for name, option in task.options.items()
}.values()

SCALARS = st.one_of(
    st.integers(),
    st.floats(),
    st.booleans(),
    st.text(max_size=300),
    st.none(),
    st.sampled_from([0, 1, 2**31, 2**63, 2**64, 1e-320, 10**400, "", "all", "none", "auto"]),
)
ANYTHING = (
    SCALARS | st.lists(SCALARS, max_size=40) | st.dictionaries(st.text(), SCALARS, max_size=3)
)


@cache
def schema_of(task: str) -> dict[str, Any]:
    return CATALOG.describe(TASKS[task], ["tiny/tiny"]).schema_["properties"]


def freeze(task: TaskDefinition, values: dict[str, Any], *inputs: InputSpec) -> JobSpec:
    """Submit as the desk does, all checks but those of the machines."""
    options = CATALOG.check_options(task.name, values)
    reward = DIGEST if task.stage == "grpo" else None
    frozen = freeze_spec(task, options, inputs or (LEARNT,), reward=reward)
    return parse_frozen(task, frozen)


def allowed_by(schema: dict[str, Any], value: object) -> bool:
    """A small reader of the JSON Schema that forms are drawn from, strict as JSON is."""
    kind = schema["type"]
    if "enum" in schema or "const" in schema:
        choices = schema.get("enum", [schema.get("const")])
        return isinstance(value, str) and value in choices
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "array":
        return (
            isinstance(value, list)
            and schema["minItems"] <= len(value) <= schema["maxItems"]
            and all(allowed_by(schema["items"], entry) for entry in value)
            and len(set(value)) == len(value)
        )
    wanted = {"integer": int, "number": (int, float), "string": str}[str(kind)]
    if not isinstance(value, wanted) or isinstance(value, bool):
        return False
    if kind == "string":
        return len(value) <= schema["maxLength"]
    return bool(schema["minimum"] <= value <= schema["maximum"])  # type: ignore[operator]


@pytest.mark.parametrize("task, option", EACH_OPTION, ids=lambda part: str(part))
@settings(max_examples=40)
@given(data=st.data())
def test_an_options_value_is_refused_by_its_name_or_makes_a_spec(
    task: str, option: str, data: st.DataObject
) -> None:
    value = data.draw(ANYTHING | near(schema_of(task)[option]))
    allowed = allowed_by(schema_of(task)[option], value)
    try:
        options = CATALOG.check_options(task, {option: value})
    except SpecError as refused:
        assert not allowed, "the form offers what is refused"
        assert {problem.where for problem in refused.errors} == {f"options.{option}"}
        assert all(problem.reason and problem.remedy for problem in refused.errors)
        return
    assert allowed, "what the form does not offer is taken"
    assert options[option] == value
    try:
        freeze(TASKS[task], {option: value})
    except SpecError as refused:  # two options that only mean something together
        partners = {"options.rope_scaling", "options.rope_factor"}
        assert {problem.where for problem in refused.errors} <= partners


def near(schema: dict[str, Any]) -> st.SearchStrategy[object]:
    """Values that may well be right: choices, bounds and what is between and just beyond them."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("type") == "array":
        return st.lists(st.sampled_from(schema["items"]["enum"]), max_size=9)
    if schema.get("type") not in ("integer", "number"):
        return st.booleans()
    low, high = schema["minimum"], schema["maximum"]
    if schema["type"] == "integer":
        return st.integers(low - 1, high + 1)
    return st.floats(low, high) | st.sampled_from([low, high, low / 2 - 1e-9, high * 2])


@pytest.mark.parametrize("task", TASKS)
def test_all_options_at_once_make_a_spec_or_are_named(task: str) -> None:
    schemas = schema_of(task)

    @settings(max_examples=20)
    @given(st.fixed_dictionaries({}, optional={name: near(it) for name, it in schemas.items()}))
    def holds(values: dict[str, Any]) -> None:
        known = Circumstances([frozenset()], BaseFacts(2048, has_template=False))
        try:
            options = CATALOG.check_options(task, values)
            reward = DIGEST if TASKS[task].stage == "grpo" else None
            frozen = freeze_spec(TASKS[task], options, [LEARNT], reward=reward)
            check_combinations(TASKS[task], frozen, known)
        except SpecError as refused:
            named = {problem.where.removeprefix("options.") for problem in refused.errors}
            # What forms leave to the definition, such as the template, only has it to blame.
            assert named <= {*schemas, "task"}

    holds()


@pytest.mark.parametrize("task", TASKS)
def test_the_defaults_of_a_task_can_be_submitted_as_they_are(task: str) -> None:
    options = CATALOG.check_options(task, {})
    reward = DIGEST if TASKS[task].stage == "grpo" else None
    frozen = freeze_spec(TASKS[task], options, [LEARNT], reward=reward)
    check_combinations(TASKS[task], frozen, Circumstances([frozenset()], BaseFacts(2048, True)))


def test_every_field_of_the_spec_is_in_the_form_of_some_task() -> None:
    decided = {option.into for task in CATALOG for option in task.options.values()}
    assert decided == set(spec_fields())


def test_the_names_of_table_one_are_options_of_the_full_tasks_or_derived() -> None:
    # Source: Bumgardner et al., 2024, Table I; the others are the service's to say.
    derived = {"stage", "model_name_or_path", "dataset", "dataset_dir"}
    table = """stage model_name_or_path dataset dataset_dir template
        lora_rank lora_alpha lora_target per_device_train_batch_size gradient_accumulation_steps
        lr_scheduler_type logging_steps save_steps learning_rate num_train_epochs precision_type"""
    for name in {"pt", "sft", "rm", "dpo", "kto", "grpo"}:
        assert set(table.split()) <= set(TASKS[name].options) | derived


def test_the_templates_of_forms_are_those_that_there_are() -> None:
    assert TASKS["sft"].options["template"].choices == (OWN_TEMPLATE, *TEMPLATE_NAMES)


def test_there_is_a_full_task_for_each_stage() -> None:
    assert {TASKS[stage].stage for stage in ("pt", "sft", "rm", "dpo", "kto", "grpo")} == {
        "pt",
        "sft",
        "rm",
        "dpo",
        "kto",
        "grpo",
    }


@pytest.mark.parametrize(
    "values, path, told",
    [
        ({"packing": True}, "optim.batching", "packed"),
        ({"packing": False}, "optim.batching", "grouped"),
        ({"quantization_bit": "4"}, "optim.quantization", "4bit"),
        ({"flash_attn": "disabled"}, "optim.attention", "eager"),
        ({"lora_target": ["all"]}, "lora.targets", "all"),
        ({"lora_target": ["q_proj", "v_proj"]}, "lora.targets", ("q_proj", "v_proj")),
        ({"rope_scaling": "none"}, "optim.rope", None),
        ({"rope_scaling": "dynamic", "rope_factor": 4}, "optim.rope.factor", 4),
        ({"lora_rank": 32}, "lora.alpha", 64),
        ({"lora_rank": 32, "lora_alpha": 8}, "lora.alpha", 8),
        ({"template": "llama3"}, "template", "llama3"),
        ({"early_stopping_steps": 2}, "eval.patience", 2),
    ],
)
def test_values_of_the_form_become_what_the_spec_says(
    values: dict[str, Any], path: str, told: object
) -> None:
    found: object = freeze(TASKS["sft"], values, LEARNT, HELD_OUT)
    for part in path.split("."):
        found = getattr(found, part)
    assert found == told
