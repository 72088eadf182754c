"""Tasks: the form and the check are one definition."""

from pathlib import Path

import pytest

from adaptery.errors import NotFoundError, SpecError
from adaptery.schemas.spec import InputSpec, JobSpec
from adaptery_hub.tasks import TaskCatalog, freeze_spec

CATALOG = TaskCatalog.load()
DIGEST = "sha256:" + "a" * 64
VERSION = "dv_01hzzzzzzzzzzzzzzzzzzzzzzz"


def problem_of(values: dict) -> str:
    with pytest.raises(SpecError) as caught:
        CATALOG.check_options("training-v0", values)
    return str(caught.value)


def test_the_form_lists_the_options_in_order_with_bounds_and_defaults() -> None:
    task = CATALOG.describe(CATALOG.get("training-v0"), ["tiny/tiny"])
    form = task.schema_["properties"]
    assert list(form)[:4] == ["epochs", "learning_rate", "rank", "seed"]
    assert form["rank"] | {"minimum": 1, "maximum": 256, "default": 8} == form["rank"]
    steps = form["max_steps"]
    assert steps["advanced"] is True and "default" not in steps
    assert (steps["minimum"], steps["maximum"]) == (1, 1_000_000)
    assert task.schema_["additionalProperties"] is False
    assert '"schema"' in task.model_dump_json()


def test_options_are_completed_with_defaults() -> None:
    options = CATALOG.check_options("training-v0", {"epochs": 1})
    assert options["epochs"] == 1 and options["rank"] == 8 and "max_steps" not in options


@pytest.mark.parametrize(
    "values, said",
    [
        ({"rnak": 8}, "options.rnak"),
        ({"rank": 0}, "from 1 to 256"),
        ({"rank": 4.5}, "options.rank"),
        ({"rank": True}, "options.rank"),
        ({"rank": "8"}, "options.rank"),
        ({"learning_rate": float("nan")}, "options.learning_rate"),
        ({"learning_rate": float("inf")}, "options.learning_rate"),
        ({"epochs": -1, "seed": -1}, "options.seed"),
    ],
)
def test_a_wrong_option_is_named_with_what_would_be_right(values: dict, said: str) -> None:
    assert said in problem_of(values)


@pytest.mark.parametrize(
    "values, reason",
    [
        ({"epochs": "many"}, "is not a number"),
        ({"rank": 4.5}, "is not an integer"),
        ({"rank": 0}, "is too small"),
        ({"epochs": 1000}, "is too large"),
    ],
)
def test_what_is_wrong_with_a_value_is_said_in_our_words(values: dict, reason: str) -> None:
    with pytest.raises(SpecError) as caught:
        CATALOG.check_options("training-v0", values)
    assert [problem.reason for problem in caught.value.errors] == [reason]


def test_an_option_that_may_be_left_out_is_explained_once_with_its_bounds() -> None:
    with pytest.raises(SpecError) as caught:
        CATALOG.check_options("training-v0", {"max_steps": "many"})
    [problem] = caught.value.errors
    assert problem.where == "options.max_steps"
    assert problem.remedy == "an integer from 1 to 1000000"


def test_the_frozen_spec_is_a_job_spec_and_nothing_else() -> None:
    task = CATALOG.get("training-v0")
    options = CATALOG.check_options("training-v0", {"rank": 4, "max_steps": 7})
    frozen = freeze_spec(task, options, [InputSpec(version=VERSION, content_digest=DIGEST)])
    spec = JobSpec.model_validate(
        {
            **frozen,
            "job": "jb_01hzzzzzzzzzzzzzzzzzzzzzzz",
            "attempt": "at_01hzzzzzzzzzzzzzzzzzzzzzzz",
            "fencing_token": 1,
            "base_model": {"name": "tiny/tiny", "weight_digest": DIGEST},
        }
    )
    assert (spec.lora.rank, spec.lora.alpha, spec.optim.max_steps) == (4, 8, 7)


def test_an_administrators_file_replaces_a_shipped_one(tmp_path: Path) -> None:
    shipped = Path(CATALOG.load.__globals__["SHIPPED"]) / "training-v0.yaml"
    text = shipped.read_text().replace("title: Training v0", "title: Ours")
    (tmp_path / "training-v0.yaml").write_text(text)
    assert TaskCatalog.load(tmp_path).get("training-v0").title == "Ours"


@pytest.mark.parametrize("text", ["- a list", "name: [", "name: x\nunknown: 1\n"])
def test_a_bad_task_file_stops_the_start_and_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(SpecError, match=r"bad\.yaml"):
        TaskCatalog.load(tmp_path)


def test_an_unknown_task_is_not_found() -> None:
    with pytest.raises(NotFoundError):
        CATALOG.get("training-v9")
